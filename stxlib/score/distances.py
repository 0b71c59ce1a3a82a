"""How far a filler is from the one that was said: SLURP's word and character distances.

Both are what its official script computes, with jiwer 2.0.0 and textdistance 4.1.5.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache


@lru_cache(maxsize=1 << 16)
def word_distance(reference: str, prediction: str) -> float:
    """Edits / words of the reference: can exceed 1. An empty reference counts as one word.

    Words stand between single blanks after runs of white space were squeezed, so that a lone tab is part of a word, as
    it is to jiwer 2.0.0 (which stops at an empty reference).
    """
    said, predicted = _words(reference), _words(prediction)
    return edit_distance(said, predicted) / max(1, len(said))


@lru_cache(maxsize=1 << 16)
def char_distance(reference: str, prediction: str) -> float:
    """Edits / characters of the longer side: 0..1; 0 where both are empty."""
    return edit_distance(reference, prediction) / max(1, len(reference), len(prediction))


def edit_distance(reference: Sequence[str], prediction: Sequence[str]) -> int:
    """Fewest substitutions, deletions and insertions (Levenshtein)."""
    if reference == prediction:
        return 0
    before = list(range(len(prediction) + 1))
    for row, said in enumerate(reference, start=1):
        now = [row]
        for column, predicted in enumerate(prediction, start=1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (said != predicted)))
        before = now
    return before[-1]


def _words(text: str) -> list[str]:
    return [word for word in re.sub(r"\s\s+", " ", text).strip().split(" ") if word]
