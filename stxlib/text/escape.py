"""Words of free text that look like symbols: a backslash before them says that they are text.

A word that has backslashes already gets one more, so that every word comes back.
"""

from __future__ import annotations

from collections.abc import Callable

_MARK = "\\"


def escape(word: str, is_symbol: Callable[[str], bool]) -> str:
    """Write a word of free text so that it cannot be taken for a symbol (symbols never begin with a backslash)."""
    return _MARK + word if is_symbol(word.lstrip(_MARK)) else word


def unescape(word: str, is_symbol: Callable[[str], bool]) -> str:
    """Undo `escape`; any other word, with backslashes or without, is left as it is."""
    return word[1:] if word.startswith(_MARK) and is_symbol(word.lstrip(_MARK)) else word
