"""Rare words: words of the reference that the training transcripts do not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stxlib.data.tables import read_table
from stxlib.score.alignment import Alignment
from stxlib.score.metric import Array


@dataclass(frozen=True)
class RareWords:
    """Occurrences of rare words in the reference, and how many of them were not recognized.

    occurred, missed: (utterances,) in the order of the alignments. missed_words: word -> times missed.
    """

    occurred: Array
    missed: Array
    missed_words: Counter[str]


def read_vocabulary(path: Path) -> frozenset[str]:
    """Every word of a `text` table."""
    return frozenset(word for line in read_table(path).values() for word in line.split())


def count_rare_words(alignments: Iterable[Alignment], known: Collection[str]) -> RareWords:
    """A rare word counts as recognized when it is aligned with itself: its place matters, not only its
    presence.
    """
    occurred, missed, missed_words = [], [], Counter[str]()
    for alignment in alignments:
        rare = [(op, word) for op, word, _ in alignment.steps() if word is not None and word not in known]
        lost = [word for op, word in rare if op != "C"]
        occurred.append(len(rare))
        missed.append(len(lost))
        missed_words.update(lost)
    return RareWords(np.array(occurred, np.float64), np.array(missed, np.float64), missed_words)
