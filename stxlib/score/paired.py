"""The paired significance test: is one system better than another on the same utterances?

Test: approximate randomization (Noreen 1989; Yeh, COLING 2000). If the systems were alike, it would not
matter which of the two produced the output of a speaker; so outputs are swapped speaker by speaker at random,
and p is the share of swaps whose difference is at least as large, in either direction, as the observed one.
Interval: both systems scored on the same bootstrap draws. Both go by speaker where speakers are known, as
utterances of one speaker are not independent, else by utterance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from stxlib.errors import DataError
from stxlib.score.bootstrap import Groups, Interval, draw_weights, interval, named
from stxlib.score.metric import Array, Counts

_CHUNK = 4_000_000  # swaps drawn at a time
_TIE = 1e-9  # percent: equal differences must not part by rounding


@dataclass(frozen=True)
class Comparison:
    """Scores in percent; `difference` is system - baseline."""

    baseline: float
    system: float
    difference: float
    difference_interval: Interval
    baseline_interval: Interval
    system_interval: Interval
    p: float
    "two-sided; never 0: at least 1 / (draws + 1)"
    groups: Groups
    is_exact: bool
    "all swaps were tried, because there are few"
    changed: tuple[int, int, int]
    "utterances on which the system's figure is lower, equal, higher than the baseline's"


def compare(
    baseline: Counts,
    system: Counts,
    figure: Callable[[Counts], Array],
    groups: Groups,
    *,
    draws: int = 10_000,
    seed: int = 1,
) -> Comparison:
    """Compare two systems by one figure.

    baseline, system: counts of the same utterances, (utterances,) each; averaged over runs where there are
    several.
    figure: counts of any shape -> the figure, of that shape.
    Raises DataError when the figure is not defined on the set (nothing was counted).
    """
    names, before = groups.sums(baseline)  # (groups, counts)
    _, after = groups.sums(system)

    def value(sums: Array) -> Array:
        return figure(named(names, sums))

    observed = float(value(after.sum(0)) - value(before.sum(0)))
    if np.isnan(observed):
        raise DataError("the figure is not defined on this set: nothing was counted for it")

    is_exact = 2**groups.size <= draws if groups.size < 60 else False
    swaps = _all_swaps(groups.size) if is_exact else _random_swaps(groups.size, draws, seed)
    num_swaps = num_extreme = 0
    for swap in swaps:  # (some swaps, groups)
        moved = swap @ (after - before)
        difference = value(after.sum(0) - moved) - value(before.sum(0) + moved)
        num_extreme += int((np.abs(difference) >= abs(observed) - _TIE).sum())
        num_swaps += len(swap)
    p = num_extreme / num_swaps if is_exact else (num_extreme + 1) / (num_swaps + 1)

    drawn = [(value(w @ before), value(w @ after)) for w in draw_weights(groups.size, draws, seed)]
    first, second = (np.concatenate(values) for values in zip(*drawn, strict=True))
    by_utt = np.nan_to_num(figure(system)) - np.nan_to_num(figure(baseline))
    return Comparison(
        baseline=float(value(before.sum(0))),
        system=float(value(after.sum(0))),
        difference=observed,
        difference_interval=interval(second - first),
        baseline_interval=interval(first),
        system_interval=interval(second),
        p=p,
        groups=groups,
        is_exact=is_exact,
        changed=(
            int((by_utt < -_TIE).sum()),
            int((np.abs(by_utt) <= _TIE).sum()),
            int((by_utt > _TIE).sum()),
        ),
    )


def _random_swaps(size: int, draws: int, seed: int) -> Iterator[Array]:
    random = np.random.default_rng([seed, 1])  # another stream than the bootstrap's
    rows = max(1, _CHUNK // size)
    for start in range(0, draws, rows):
        yield random.integers(2, size=(min(rows, draws - start), size)).astype(np.float64)


def _all_swaps(size: int) -> Iterator[Array]:
    yield ((np.arange(2**size)[:, None] >> np.arange(size)) & 1).astype(np.float64)
