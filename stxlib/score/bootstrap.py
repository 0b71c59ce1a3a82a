"""Bootstrap confidence intervals of any figure that is a function of summed counts.

Utterances of one speaker are not independent, so whole speakers are drawn with replacement where they are
known (Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP
2004), else whole sentences where utterances are recordings of them (SLURP: four recordings of each on average, with the
same labels), else utterances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stxlib.score.metric import Array, Counts

MIN_SPEAKERS = 5
"with fewer speakers, a draw of speakers says little: utterances are drawn"

LEVEL = 0.95
_CHUNK = 4_000_000  # numbers drawn at a time: 32 MB


@dataclass(frozen=True)
class Interval:
    """A two-sided interval, in the unit of the figure; nan where the figure is never defined."""

    low: float
    high: float


@dataclass(frozen=True)
class Groups:
    """What is drawn: `index[i]` is the group of utterance i."""

    kind: str
    "'speaker', 'sentence' or 'utterance'"
    index: NDArray[np.int64]
    size: int

    def sums(self, counts: Counts) -> tuple[list[str], Array]:
        """The names of the counts, and their sums as (size, len(names))."""
        columns = [np.bincount(self.index, weights=values, minlength=self.size) for values in counts.values()]
        return list(counts), np.stack(columns, axis=1)


def groups_of(
    utts: Sequence[str], speakers: Mapping[str, str] | None, sentences: Sequence[str] | None = None
) -> Groups:
    """Speakers where there are at least `MIN_SPEAKERS`, else the sentences of the utterances, else single utterances."""
    if speakers is not None and len(set(speakers.values())) >= MIN_SPEAKERS:
        return _grouped("speaker", [speakers[utt] for utt in utts])
    if sentences is not None:
        return _grouped("sentence", sentences)
    return Groups("utterance", np.arange(len(utts), dtype=np.int64), len(utts))


def _grouped(kind: str, of_utt: Sequence[str]) -> Groups:
    names, index = np.unique(np.array(of_utt), return_inverse=True)
    return Groups(kind, index.astype(np.int64), len(names))


def draw_weights(size: int, draws: int, seed: int) -> Iterator[Array]:
    """How often each group is drawn: (some draws, size) at a time, `draws` rows in all."""
    random = np.random.default_rng(seed)
    rows = max(1, _CHUNK // size)
    for start in range(0, draws, rows):
        count = min(rows, draws - start)
        drawn = random.integers(size, size=(count, size)) + size * np.arange(count)[:, None]
        yield (np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size).astype(np.float64))


def bootstrap(
    counts: Counts,
    figures: Callable[[Counts], dict[str, Array]],
    groups: Groups,
    *,
    draws: int = 1000,
    seed: int = 1,
) -> dict[str, Interval]:
    """The 95 % percentile interval of each figure over `draws` resampled sets. The same seed gives the same
    intervals.
    """
    names, sums = groups.sums(counts)
    parts = [figures(named(names, weights @ sums)) for weights in draw_weights(groups.size, draws, seed)]
    return {figure: interval(np.concatenate([part[figure] for part in parts])) for figure in parts[0]}


def named(names: Sequence[str], columns: Array) -> dict[str, Array]:
    """(..., len(names)) -> name -> (...)."""
    return {name: columns[..., position] for position, name in enumerate(names)}


def interval(values: Array) -> Interval:
    """The middle 95 % of `values`, nan left out."""
    values = values[~np.isnan(values)]
    if not len(values):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
