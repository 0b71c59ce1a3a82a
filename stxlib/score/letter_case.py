"""What differs in letter case alone: wrong by the rules of every metric, and seldom meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

Labelled = tuple[str, str]
"a type and a phrase, of which the phrase has a case that may differ"


def count_case_pairs(reference: Iterable[Labelled], prediction: Iterable[Labelled]) -> int:
    """How many phrases of one utterance equal one of the other side, of the same type, but for letter case."""
    said, heard = Counter(reference), Counter(prediction)
    if said == heard:
        return 0
    return (_lowered(said - heard) & _lowered(heard - said)).total()


def case_notes(count: int, what: str) -> tuple[str, ...]:
    """The note of a score in which so many `what` (words, phrases) differ so; none where there are none."""
    if not count:
        return ()
    return (
        f"{count} {what} of the predictions are those of the references but for letter case, and count as wrong; "
        "if that is not meant, write both sides in one case (normalization.case of stage 2 folds what is predicted)",
    )


def _lowered(items: Counter[Labelled]) -> Counter[Labelled]:
    found: Counter[Labelled] = Counter()
    for (kind, phrase), count in items.items():
        found[kind, phrase.lower()] += count
    return found
