"""Entities with times from the best path of a CTC network that writes inline tags, for NEL.

Source: slue-toolkit, `eval_nel.py`, task e2e; an offset and the use of blanks are chosen on dev.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stxlib.score.nel_overlap import Span
from stxlib.text.entity_tags import END, RAW_SYMBOLS

BLANK = "<b>"
BETWEEN_WORDS = "|"


def ctc_entities(
    characters: Sequence[str],
    seconds: Sequence[float],
    *,
    offset: float = 0.0,
    with_blank: bool = True,
    symbols: Mapping[str, str] = RAW_SYMBOLS,
) -> list[Span]:
    """The entities of one utterance: phrase, start and end in seconds, to 10 ms, not below 0.

    characters: the best path without repetitions: characters, tag symbols, `]`, `|` between words, `<b>` for blanks.
    seconds: how long each of them lasts.
    offset: added to all times.
    with_blank: an entity goes from its opening symbol to the end of its `]`; else from its first character to the end of the one
        before its `]`, a `|` between them left out.
    An entity without characters has, with_blank false, no start of its own: it gets that of the one before it, as in the
    toolkit, and is left out where there is none.
    Raises ValueError when the two sides have different lengths.
    """
    openers = set(symbols.values())
    found: list[Span] = []
    phrase: str | None = None  # of the open entity
    start: float | None = None
    now = 0.0
    for position, (character, duration) in enumerate(zip(characters, seconds, strict=True)):
        if phrase is not None:
            if character == END:
                end = now + (duration if with_blank else -_before_end(characters, seconds, position))
                if start is not None:
                    found.append((phrase.strip(), _moved(start, offset), _moved(end, offset)))
                phrase = None
            elif character == BETWEEN_WORDS:
                phrase += " "
            elif character != BLANK:
                if not with_blank and not phrase.strip():
                    start = now
                phrase += character
        if character in openers:
            phrase = ""
            if with_blank:
                start = now
        now += duration
    return found


def _before_end(characters: Sequence[str], seconds: Sequence[float], position: int) -> float:
    """How long before the `]` at `position` the word before it has ended: a `|`, and one blank after it, are no part of it."""
    length, back = 0.0, 1
    while position - back > 0 and characters[position - back] != BETWEEN_WORDS:
        length += seconds[position - back]
        back += 1
    return length + seconds[position - back] if back <= 2 else 0.0


def _moved(second: float, offset: float) -> float:
    return float(np.round(max(np.round(second, 2) + offset, 0.0), 2))
