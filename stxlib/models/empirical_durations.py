"""Durations of units as they were in training, drawn by their neighbours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stxlib.nn.fitted_buffers import FittedBuffers
from stxlib.ops.draws import uniform
from stxlib.ops.masks import length_mask
from stxlib.ops.segments import BOUNDARY, Segments, neighbours, with_boundary

# Of the random numbers of an utterance; those of other purposes are other streams.
DURATION_STREAM = 1


class DurationCounts:
    """How often each (left unit, unit, right unit, label frames, blank frames) occurs in segments."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, ...]] = Counter()

    def add(self, segments: Segments) -> None:
        """Count every position of these utterances."""
        left, right = neighbours(segments)
        columns = (left, segments.units, right, segments.label_frames, segments.blank_frames)
        valid = length_mask(segments.lens, segments.units.shape[1])
        self._counts.update(map(tuple, torch.stack(columns, 2)[valid].tolist()))

    def table(self) -> Tensor:
        """(M, 6) int64, sorted: the five numbers above, and the count."""
        rows = [(*key, count) for key, count in sorted(self._counts.items())]
        return torch.tensor(rows, dtype=torch.int64).reshape(-1, 6)


class EmpiricalDurations(FittedBuffers):
    """Pairs of (label frames, blank frames after them) of real segments, by (left unit, unit, right unit).

    Where that context has fewer than `min_examples` examples, those of (left, unit) are taken, then of (unit, right), then of the unit
    alone; a unit without an example takes those of all units. Between two equal units there is a blank frame. The blank frames before the first unit are an example of BOUNDARY.
    """

    table: Tensor
    fitted = ("table",)

    def __init__(self, num_units: int, min_examples: int = 3) -> None:
        super().__init__()
        self.num_units = num_units
        self.min_examples = min_examples
        self.register_buffer("table", torch.zeros(0, 6, dtype=torch.int64))
        self._levels: list[_Level] = []

    def fit(self, segments: Iterable[Segments]) -> None:
        """Take over the durations of these batches of utterances, in place of earlier ones."""
        counts = DurationCounts()
        for batch in segments:
            counts.add(batch)
        self.set_counts(counts)

    def set_counts(self, counts: DurationCounts) -> None:
        """As `fit`, for counts that are there already."""
        self.table = counts.table().to(self.table.device)
        self._levels.clear()

    def unseen(self) -> list[int]:
        """Units, <blank> left out, without an example: they take the durations of all units."""
        return sorted(set(range(BOUNDARY + 1, self.num_units)) - set(self.table[:, 1].tolist()))

    def draw(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> Segments:
        """An example of each unit, drawn at random. units: (B, U); unit_lens: (B,); seeds: (B,) decide alone what is drawn."""
        draws = uniform(seeds.cpu(), unit_lens.cpu() + 1, DURATION_STREAM)  # (B, P)
        return self._chosen(units, unit_lens, draws)

    def mean(self, units: Tensor, unit_lens: Tensor) -> Segments:
        """The rounded means of the examples of each unit, with at least one label frame."""
        return self._chosen(units, unit_lens, None)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        self._levels.clear()
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _chosen(self, units: Tensor, unit_lens: Tensor, draws: Tensor | None) -> Segments:
        """Computed on the CPU, as the random numbers are."""
        assert len(self.table), "durations were not fitted"
        if not self._levels:
            self._levels += _levels_of(self.table.cpu(), self.num_units, self.min_examples)
        positions, lens = with_boundary(units.cpu(), unit_lens.cpu())
        assert int(positions.max()) < self.num_units, (int(positions.max()), self.num_units)
        none = torch.zeros_like(positions)
        segments = Segments(positions, lens, none, none)
        left, right = neighbours(segments)
        valid = length_mask(lens, positions.shape[1])
        frames = torch.zeros(*positions.shape, 2, dtype=torch.int64)  # label, blank
        undecided = valid
        for level, keys in zip(
            self._levels, _level_keys(left, positions, right, self.num_units), strict=True
        ):
            place, num_examples = level.find(keys)
            here = undecided & (num_examples >= level.min_examples)
            if draws is None:
                found = level.means[place[here]]
            else:
                found = level.example(place[here], draws[here])
            frames[here] = found
            undecided = undecided & ~here
        assert not bool(undecided.any()), "the durations lack the boundary or all units"
        # Two equal units in a row are two for a CTC only with a blank between them; other contexts do not know of that.
        repeated = valid & (right == positions) & (positions != BOUNDARY)
        label_frames, blank_frames = frames.unbind(2)
        blank_frames = blank_frames.clamp(min=repeated.long())
        return Segments(positions, lens, label_frames, blank_frames).to(units.device)


@dataclass(frozen=True)
class _Level:
    """Examples by the key of one kind of context."""

    keys: Tensor  # (K,) distinct, sorted
    starts: Tensor  # (K,) examples of the keys before
    totals: Tensor  # (K,) examples of each key
    means: Tensor  # (K, 2) rounded means of label and blank frames
    ends: Tensor  # (M,) examples up to each row of the table, in order of keys
    frames: Tensor  # (M, 2) label and blank frames of these rows
    min_examples: int

    def find(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Place of each key, any shape, and how many examples it has: 0 where it is none of ours."""
        place = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        return place, self.totals[place].masked_fill(self.keys[place] != keys, 0)

    def example(self, place: Tensor, draws: Tensor) -> Tensor:
        """The frames (N, 2) of the example at draws (N,), in [0, 1), of all examples of a key."""
        totals = self.totals[place]
        number = (draws.double() * totals).long().minimum(totals - 1)
        return self.frames[torch.searchsorted(self.ends, self.starts[place] + number, right=True)]


def _level_keys(left: Tensor, units: Tensor, right: Tensor, num_units: int) -> tuple[Tensor, ...]:
    """Keys of a unit at each level of context, from the narrowest on."""
    before = left * num_units + units
    return (
        before * num_units + right,
        before,
        units * num_units + right,
        units,
        (units != BOUNDARY).long(),
    )


def _levels_of(table: Tensor, num_units: int, min_examples: int) -> list[_Level]:
    left, units, right, label, blank, counts = table.unbind(1)
    frames = torch.stack([label, blank], 1)
    levels = []
    for number, keys in enumerate(_level_keys(left, units, right, num_units)):
        keys, order = keys.sort(stable=True)
        distinct, place = keys.unique_consecutive(return_inverse=True)
        weights = counts[order]
        totals = torch.zeros_like(distinct).index_add(0, place, weights)
        sums = torch.zeros(len(distinct), 2, dtype=torch.int64).index_add(
            0, place, frames[order] * weights[:, None]
        )
        means = (sums.double() / totals[:, None]).round().long()
        levels.append(
            _Level(
                keys=distinct,
                starts=totals.cumsum(0) - totals,
                totals=totals,
                means=means,
                ends=weights.cumsum(0),
                frames=frames[order],
                min_examples=min_examples if number < 3 else 1,
            )
        )
    return levels
