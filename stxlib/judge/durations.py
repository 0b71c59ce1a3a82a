"""Durations of units: synthesized ones, those on a CTC path, and those of the phones that were spoken."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stxlib.score.alignment import align

Array = NDArray[np.float64]

# Fewer equal names than this share of the pairs: the phones that were timed are not the units.
_MIN_EQUAL = 0.5


def compare_durations(durations: Array, references: Array) -> dict[str, float | int | None]:
    """Figures of two lists of durations, in milliseconds, of the same things; pairs with a nan are left out.

    pairs; mean and deviation of both; correlation (Pearson); mean_absolute_difference; distribution_distance: mean absolute difference
    after both were sorted (Wasserstein distance), 0 where the two are the same but for their order. None where there is no pair.
    """
    known = np.isfinite(durations) & np.isfinite(references)
    one, two = durations[known], references[known]
    if not len(one):
        return {"pairs": 0} | dict.fromkeys(_FIGURES)
    varies = len(one) > 1 and one.std() > 0 and two.std() > 0
    return {
        "pairs": len(one),
        "mean": float(one.mean()),
        "deviation": float(one.std()),
        "reference_mean": float(two.mean()),
        "reference_deviation": float(two.std()),
        "correlation": float(np.corrcoef(one, two)[0, 1]) if varies else None,
        "mean_absolute_difference": float(np.abs(one - two).mean()),
        "distribution_distance": float(np.abs(np.sort(one) - np.sort(two)).mean()),
    }


_FIGURES = (
    "mean",
    "deviation",
    "reference_mean",
    "reference_deviation",
    "correlation",
    "mean_absolute_difference",
    "distribution_distance",
)


def read_phone_times(value: str) -> tuple[list[str], Array]:
    """Names and starts, in seconds, of a value of `phone_times`: JSON, [[phone, start, end], ...]. ValueError says what is wrong."""
    try:
        rows = json.loads(value)
        return [str(name) for name, _, _ in rows], np.array([float(start) for _, start, _ in rows])
    except (ValueError, TypeError) as error:
        raise ValueError(f"not [[phone, start, end], ...] ({error})") from None


def true_durations(units: Sequence[str], phones: Sequence[str], starts: Array, seconds: float) -> Array:
    """(U + 1,) milliseconds from the start of each unit to that of the next one, or to the end of the audio; nan where it is not known.

    Position 0 is the time before the first unit. What was spoken may differ from the units, which are made of the text alone (accents,
    weak forms): the two are aligned by edit distance, and a duration is known where a unit and the one after it have partners. All are
    nan where less than half of the partners have the same name.
    units: U symbols; phones: names; starts: seconds of each; seconds: of the audio.
    """
    unknown = np.full(len(units) + 1, np.nan)
    if not units or not phones:
        return unknown
    (alignment,) = align({"": " ".join(units)}, {"": " ".join(phones)})
    partner: dict[int, int] = {}
    place = other = 0
    for op in alignment.ops:
        if op in "CS":
            partner[place] = other
        place += op != "I"
        other += op != "D"
    if alignment.ops.count("C") < _MIN_EQUAL * max(1, len(partner)):
        return unknown
    # The edges of the audio are partners of each other.
    partner[len(units)] = len(phones)
    partner[-1] = -1
    onset = np.concatenate([[0.0], starts, [seconds]])  # of phone j at j + 1
    durations = unknown.copy()
    for unit in range(-1, len(units)):
        if unit in partner and partner.get(unit + 1) == partner[unit] + 1:
            durations[unit + 1] = 1000 * (onset[partner[unit] + 2] - onset[partner[unit] + 1])
    return durations
