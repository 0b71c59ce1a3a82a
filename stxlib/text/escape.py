"""Words of free text that look like symbols: a backslash before them says that they are text.

A word that has backslashes already gets one more, so that every word comes back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from stxlib.text.normalize import NormalizationConfig, normalize

MARK = "\\"


def escape(word: str, is_symbol: Callable[[str], bool]) -> str:
    """Write a word of free text so that it cannot be taken for a symbol (symbols never begin with a backslash)."""
    return MARK + word if is_symbol(word.lstrip(MARK)) else word


def unescape(word: str, is_symbol: Callable[[str], bool]) -> str:
    """Undo `escape`; any other word, with backslashes or without, is left as it is."""
    return word[1:] if word.startswith(MARK) and is_symbol(word.lstrip(MARK)) else word


class Escapes:
    """The symbols of targets, and the words of text that look like one as they stand or once they are normalized. Can be pickled."""

    def __init__(
        self, symbols: Collection[str] = (), normalization: NormalizationConfig | None = None
    ) -> None:
        self._symbols = frozenset(symbols)
        self._normalization = normalization or NormalizationConfig()

    def is_symbol(self, word: str) -> bool:
        """Whether a word is a symbol as it stands."""
        return word in self._symbols

    def escape(self, text: str) -> str:
        """A text in which no word is a symbol, nor becomes one when it is normalized: what looks like one is normalized here, and has a
        backslash. Nothing happens where there are no symbols.
        """
        if not self._symbols:
            return text
        if self._normalization.whitespace == "remove" and text.split():
            text = "".join(text.split())  # they are one word when they are read again
        return re.sub(r"\S+", lambda match: self._escape_word(match[0]), text)

    def unescape(self, word: str) -> str:
        """Undo `escape` for a word that was normalized."""
        return unescape(word, self.is_symbol)

    def _escape_word(self, word: str) -> str:
        if word.isascii() and word.isalnum():  # most words, and no symbol
            return word
        parts = normalize(word, self._normalization).split()
        if any(part.lstrip(MARK) in self._symbols for part in (word, *parts)):
            return " ".join(escape(part, self.is_symbol) for part in parts)
        return word
