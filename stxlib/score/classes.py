"""Precision, recall and F1 of classes, from what was found, missed and made up of each.

A class that occurs on neither side is not counted anywhere; one that occurs on one side only counts, with 0 for the
ratio that nothing divides (scikit-learn's conventions, with `zero_division=0`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stxlib.score.metric import Array, Counts, percent


@dataclass(frozen=True)
class Tally:
    """How one class fared."""

    correct: float
    reference: float
    "how often it is in the references"
    predicted: float

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.correct + other.correct, self.reference + other.reference, self.predicted + other.predicted
        )

    @property
    def precision(self) -> float:
        """correct / predicted, 0..1; 0 where nothing was predicted."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """correct / reference, 0..1; 0 where the references have none."""
        return self.correct / self.reference if self.reference else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 0..1; 0 where nothing is correct."""
        return 2 * self.correct / (self.reference + self.predicted) if self.correct else 0.0

    def as_json(self) -> dict[str, float]:
        """tp, fp, fn, and precision, recall, f1 in percent."""
        return {
            "tp": self.correct,
            "fp": self.predicted - self.correct,
            "fn": self.reference - self.correct,
            "precision": 100 * self.precision,
            "recall": 100 * self.recall,
            "f1": 100 * self.f1,
        }


NOTHING = Tally(0, 0, 0)


def tally_classes(references: Sequence[str], predictions: Sequence[str]) -> dict[str, Tally]:
    """One class an utterance on both sides: class -> tally, sorted.

    An empty prediction is none: it misses its reference, and is no class of its own; neither is an empty reference.
    Raises ValueError when the sides have different lengths.
    """
    pairs = list(zip(references, predictions, strict=True))
    reference, predicted = Counter(filter(None, references)), Counter(filter(None, predictions))
    correct = Counter(one for one, other in pairs if one == other)
    return {
        label: Tally(correct[label], reference[label], predicted[label])
        for label in sorted(reference.keys() | predicted.keys())
    }


def mean_of(tallies: Iterable[Tally]) -> dict[str, float]:
    """Unweighted means of precision, recall and f1 over the classes that were seen, 0..1; nan where none was."""
    seen = [tally for tally in tallies if tally.reference or tally.predicted]
    return {
        name: sum(getattr(tally, name) for tally in seen) / len(seen) if seen else float("nan")
        for name in ("precision", "recall", "f1")
    }


def per_label(tallies: Mapping[str, Tally]) -> dict[str, dict[str, float]]:
    """`details.per_label` of a score."""
    return {label: tally.as_json() for label, tally in tallies.items()}


def confusion(references: Sequence[str], predictions: Sequence[str]) -> dict[str, Any]:
    """`details.confusion` of a score: how often each reference (row) was taken for each prediction (column).

    Only classes that occur; an empty prediction is the class `(none)`.
    """
    named = [prediction or "(none)" for prediction in predictions]
    labels = sorted({*references, *named})
    found = Counter(zip(references, named, strict=True))
    return {"labels": labels, "rows": [[found[row, column] for column in labels] for row in labels]}


def f1_percent(correct: Array, reference: Array, predicted: Array) -> Array:
    """100 * F1 elementwise; nan where neither side has any."""
    return percent(2 * np.asarray(correct), np.asarray(reference) + np.asarray(predicted))


def ratio_percent(correct: Array, whole: Array, reference: Array, predicted: Array) -> Array:
    """100 * correct / whole elementwise; 0 where `whole` is 0, and nan where neither side has any."""
    seen = (np.asarray(reference) + np.asarray(predicted)) != 0
    return np.where(seen, np.nan_to_num(percent(correct, whole)), np.nan)


class Cells:
    """Tallies of many utterances as flat lists: as objects, a test set of them keeps the garbage collector busy."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.labels: list[str] = []
        self.values: list[float] = []
        "three of each cell: correct, reference, predicted"

    def add(self, row: int, tallies: Mapping[str, Tally]) -> None:
        """Those of utterance `row`."""
        for label, tally in tallies.items():
            self.rows.append(row)
            self.labels.append(label)
            self.values += (tally.correct, tally.reference, tally.predicted)


@dataclass(frozen=True)
class ClassColumns:
    """The counts of many classes as columns of a score, and figures of their sums.

    Columns: `<prefix>correct`, `<prefix>reference`, `<prefix>predicted`, and of each class X `<prefix>correct:X` and so
    on: a name with a colon is a part of the count before it.
    """

    labels: tuple[str, ...]
    """the classes that `of` gives columns of their own; without them there is no macro or weighted mean. Figures go by
    the classes that they find in the counts, as two systems that are compared may have different ones"""
    prefix: str = ""

    def of(self, tallies: Sequence[Mapping[str, Tally]]) -> dict[str, Array]:
        """The columns (utterances,) from the tallies of each utterance."""
        cells = Cells()
        for row, of_utt in enumerate(tallies):
            cells.add(row, of_utt)
        return self.of_cells(cells, len(tallies))

    def of_cells(self, cells: Cells, num_utts: int) -> dict[str, Array]:
        """The same from tallies that were added one utterance after the other."""
        place = {label: i for i, label in enumerate(self.labels)}
        places = np.array([place.get(label, -1) for label in cells.labels], np.int64)
        rows, table = np.array(cells.rows, np.int64), np.array(cells.values).reshape(-1, len(_PARTS))
        own = places >= 0
        columns: dict[str, Array] = {}
        for part, values in zip(_PARTS, table.T, strict=True):
            of_label = np.zeros((len(self.labels), num_utts))
            of_label[places[own], rows[own]] = values[own]
            pooled = np.bincount(rows, weights=values, minlength=num_utts)
            columns[self._name(part)] = pooled.astype(np.float64)
            columns |= {self._name(part, label): of_label[i] for label, i in place.items()}
        return columns

    def of_classes(self, references: Sequence[str], predictions: Sequence[str]) -> dict[str, Array]:
        """The columns (utterances,) of one class an utterance on both sides; an empty prediction is none."""
        place = {label: i for i, label in enumerate(self.labels)}
        said, heard = (
            np.array([place.get(label, -1) for label in side]) for side in (references, predictions)
        )
        right = np.array(
            [one == other != "" for one, other in zip(references, predictions, strict=True)], bool
        )
        columns: dict[str, Array] = {}
        for part, places, known in (
            ("correct", said, right),
            ("reference", said, np.array([label != "" for label in references], bool)),
            ("predicted", heard, np.array([label != "" for label in predictions], bool)),
        ):
            of_label = np.zeros((len(self.labels), len(references)))
            rows = np.flatnonzero(known & (places >= 0))
            of_label[places[rows], rows] = 1.0
            columns[self._name(part)] = known.astype(np.float64)
            columns |= {self._name(part, label): of_label[i] for label, i in place.items()}
        return columns

    def micro(self, counts: Counts) -> dict[str, Array]:
        """precision, recall and f1 over all classes pooled, in percent, elementwise; nan where neither side has any."""
        return _ratios(*self._columns(counts))

    def macro(self, counts: Counts) -> dict[str, Array]:
        """Means of the classes' precision, recall and f1 over those that were seen, in percent, elementwise."""
        return self._mean(
            counts, lambda correct, reference, predicted: (reference + predicted > _ANY).astype(float)
        )

    def weighted(self, counts: Counts) -> dict[str, Array]:
        """The same, each class weighted by its references."""
        return self._mean(counts, lambda correct, reference, predicted: reference)

    def _mean(self, counts: Counts, weigh: Callable[[Array, Array, Array], Array]) -> dict[str, Array]:
        first = f"{self.prefix}{_PARTS[0]}:"
        labels = [name.removeprefix(first) for name in counts if name.startswith(first)]
        shape = np.shape(counts[self._name("correct")])
        # (labels, ...) of each part
        columns = [
            np.stack([np.broadcast_to(counts[self._name(part, label)], shape) for label in labels])
            if labels
            else np.zeros((0, *shape))
            for part in _PARTS
        ]
        weight = weigh(*columns)
        total = weight.sum(axis=0)
        return {
            name: percent((weight * np.nan_to_num(value)).sum(axis=0) / 100, total)
            for name, value in _ratios(*columns).items()
        }

    def _columns(self, counts: Counts, label: str = "") -> tuple[Array, Array, Array]:
        correct, reference, predicted = (
            np.asarray(counts[self._name(part, label)], np.float64) for part in _PARTS
        )
        return correct, reference, predicted

    def _name(self, part: str, label: str = "") -> str:
        return f"{self.prefix}{part}:{label}" if label else f"{self.prefix}{part}"


_PARTS = ("correct", "reference", "predicted")
_ANY = 1e-9  # counts averaged over runs leave such remainders when they are taken away again


def _ratios(correct: Array, reference: Array, predicted: Array) -> dict[str, Array]:
    return {
        "precision": ratio_percent(correct, predicted, reference, predicted),
        "recall": ratio_percent(correct, reference, reference, predicted),
        "f1": f1_percent(correct, reference, predicted),
    }
