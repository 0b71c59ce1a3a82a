"""What a metric says of single labels: scores of each, and which was taken for which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stxlib.errors import DataError

MAX_LABELS = 25
"rows of a confusion matrix, and of a table in RESULTS.md"


@dataclass(frozen=True)
class LabelScore:
    """Counts of one label. They are fractions where a prediction can be right in part."""

    label: str
    tp: float
    fp: float
    fn: float
    support: float
    "how often the references have it: `tp + fn`, where these are not fractions"

    @property
    def precision(self) -> float | None:
        """In percent; None where it was never predicted."""
        return _percent(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """In percent; None where the references do not have it."""
        return _percent(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """In percent; None where it is neither in references nor in predictions."""
        return _percent(2 * self.tp, 2 * self.tp + self.fp + self.fn)


@dataclass(frozen=True)
class Confusion:
    """How often each label of the references was taken for each.

    rows: one for each label of the references, with a column for each label of the predictions.
    """

    labels: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]

    def confused(self) -> list[tuple[str, str, int]]:
        """(reference, prediction, times) of what was taken for another, most frequent first."""
        found = [
            (reference, prediction, times)
            for reference, row in zip(self.labels, self.rows, strict=True)
            for prediction, times in zip(self.labels, row, strict=True)
            if times and reference != prediction
        ]
        return sorted(found, key=lambda item: (-item[2], item[:2]))

    def most_confused(self, number: int) -> list[int]:
        """Places of the `number` labels that were most often taken for another, or another for them; in their order."""

        def errors(place: int) -> int:
            column = sum(row[place] for row in self.rows)
            return sum(self.rows[place]) + column - 2 * self.rows[place][place]

        places = range(len(self.labels))
        return sorted(sorted(places, key=lambda place: (-errors(place), place))[:number])


def read_labels(entry: Mapping[str, Any], source: str) -> list[LabelScore]:
    """`details.per_label` of a metric, most frequent first; empty where it has none.

    source: where the entry was read, for the message of the DataError that a damaged one raises.
    """
    try:
        details = entry.get("details", {})
        # SLURP counts distances in tp and fn of `per_label`, and none in those of its entities.
        whole = details.get("kinds", {}).get("entity", {})
        found = []
        for label, counts in details.get("per_label", {}).items():
            tp, fp, fn = (float(counts[name]) for name in ("tp", "fp", "fn"))
            of_label = whole.get(label, counts)
            support = float(of_label["tp"]) + float(of_label["fn"])
            found.append(LabelScore(label, tp, fp, fn, support))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(source, "per_label", error) from None
    return sorted(found, key=lambda score: (-score.support, score.label))


def read_confusion(entry: Mapping[str, Any], source: str) -> Confusion | None:
    """`details.confusion` of a metric; None where it has none. DataError as `read_labels`."""
    try:
        found = entry.get("details", {}).get("confusion")
        if not found:
            return None
        labels = tuple(str(label) for label in found["labels"])
        rows = tuple(tuple(int(times) for times in row) for row in found["rows"])
        if {len(rows), *map(len, rows)} != {len(labels)}:
            raise ValueError(f"{len(labels)} labels need as many rows and columns")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(source, "confusion", error) from None
    return Confusion(labels, rows) if labels else None


def number(value: float) -> str:
    """A count: whole where it is, else with one decimal."""
    return str(int(value)) if float(value).is_integer() else f"{value:.1f}"


def _percent(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None


def _damaged(source: str, what: str, error: Exception) -> DataError:
    return DataError(
        f"{source}: `details.{what}` is not as stxlib.bin.score writes it ({error}); delete the file and score again"
    )
