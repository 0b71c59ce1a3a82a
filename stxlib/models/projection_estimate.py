"""Fills a fixed projection from real latents with their alignments: means, offsets of neighbours, deviations, durations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from stxlib.models.empirical_durations import DurationCounts
from stxlib.models.fixed_projection import FixedProjection
from stxlib.models.latent_alignment import AlignedLatents
from stxlib.models.residual_noise import ResidualExamples
from stxlib.ops.masks import length_mask
from stxlib.ops.segments import BOUNDARY, expand, neighbours

_ROWS_AT_ONCE = 4096
_PRIOR_FRAMES = 10.0  # of the variance of all states, in that of each


@dataclass(frozen=True)
class ProjectionReport:
    """What the latents are like, and how well the table says them."""

    num_utts: int
    num_frames: int
    num_units: int
    "in the text of these utterances"
    blank_share: float
    "of the frames"
    explained_by_rows: float
    "share of the variance of real latents, with the true durations"
    explained_with_context: float
    "the same with the offsets of neighbours"
    num_offsets: int
    "(unit, label or blank frames, neighbour) that occurred, left and right together"
    unseen_units: tuple[int, ...]
    "ids without an example: the mean latent, and durations of all units"


class ProjectionEstimate:
    """Sums in float64 over batches of aligned latents, in one pass and in any order; `finish` solves for the projection."""

    def __init__(self, num_units: int, dim: int) -> None:
        self.num_units = num_units
        self.dim = dim
        self._num_utts = 0
        self._num_labels = 0
        self._counts = torch.zeros(2 * num_units, dtype=torch.float64)
        self._sums = torch.zeros(2 * num_units, dim, dtype=torch.float64)
        self._squares = torch.zeros(2 * num_units, dim, dtype=torch.float64)
        self._left, self._right = _KeyedSums(dim), _KeyedSums(dim)
        self._both = _KeyedSums(0)
        self._durations = DurationCounts()

    def add(self, aligned: AlignedLatents) -> None:
        """Count the frames of these utterances."""
        segments = aligned.segments.to("cpu")
        self._num_utts += len(segments.lens)
        self._num_labels += int((segments.lens - 1).sum())
        self._durations.add(segments)
        position, is_blank, lens = expand(segments)
        valid = length_mask(lens, position.shape[1])
        latents = aligned.latents[:, : position.shape[1]].cpu()[valid].double()  # (frames, D)
        state = (2 * segments.units.gather(1, position) + is_blank.long())[valid]
        left, right = (side.gather(1, position)[valid] for side in neighbours(segments))
        self._counts.index_add_(0, state, torch.ones_like(state, dtype=torch.float64))
        self._sums.index_add_(0, state, latents)
        self._squares.index_add_(0, state, latents.square())
        self._left.add(state * self.num_units + left, latents)
        self._right.add(state * self.num_units + right, latents)
        self._both.add((state * self.num_units + left) * self.num_units + right, latents[:, :0])

    def finish(self, projection: FixedProjection, unit_weight: Tensor, seed: int) -> ProjectionReport:
        """Fill the buffers of `projection`.

        unit_weight: (V, D) of the CTC output at the latents, for rows ctc; seed: of random rows. The offset of a left unit is the mean of
        what the prototype leaves of its frames, times n / (n + shrinkage) for n frames; that of a right unit the same of what both leave.
        """
        config = projection.config
        num_frames = self._counts.sum()
        assert num_frames > 0, "no aligned latents were added"
        mean = self._sums.sum(0) / num_frames
        variance = (self._squares.sum(0) / num_frames - mean.square()).clamp(min=0)
        seen = self._counts > 0
        counts = self._counts.clamp(min=1)[:, None]
        prototypes = torch.where(seen[:, None], self._sums / counts, mean)
        unexplained = (self._squares - counts * prototypes.square()) * seen[:, None]  # (states, D), sums

        left_keys, left_counts, left_sums = self._left.sorted()
        right_keys, right_counts, right_sums = self._right.sorted()
        left_state, right_state = left_keys // self.num_units, right_keys // self.num_units
        # Sums of what is left of the frames of each (state, neighbour) when the prototype is taken off.
        left_rest = left_sums - left_counts[:, None] * prototypes[left_state]
        right_rest = right_sums - right_counts[:, None] * prototypes[right_state]
        left_offsets = left_rest / (left_counts + config.shrinkage)[:, None]
        # Of the right neighbour's frames, each is moved by its own left one already: (state, left, right) say how often by which.
        moved = torch.zeros_like(right_rest)
        both_keys, both_counts, _ = self._both.sorted()
        both_state_left, both_right = both_keys // self.num_units, both_keys % self.num_units
        at_left = torch.searchsorted(left_keys, both_state_left)
        at_right = torch.searchsorted(
            right_keys, both_state_left // self.num_units * self.num_units + both_right
        )
        for part in torch.arange(len(both_keys)).split(_ROWS_AT_ONCE):
            moved.index_add_(0, at_right[part], both_counts[part, None] * left_offsets[at_left[part]])
        right_offsets = (right_rest - moved) / (right_counts + config.shrinkage)[:, None]

        # Squares of what is left after both: the sum of (rest - left offset - right offset)^2, multiplied out.
        gained = torch.zeros_like(unexplained)
        gained.index_add_(0, left_state, left_offsets * (2 * left_rest - left_counts[:, None] * left_offsets))
        gained.index_add_(
            0,
            right_state,
            right_offsets * (2 * (right_rest - moved) - right_counts[:, None] * right_offsets),
        )
        total = float(variance.sum() * num_frames)
        report = ProjectionReport(
            num_utts=self._num_utts,
            num_frames=int(num_frames),
            num_units=self._num_labels,
            blank_share=float(self._counts[1::2].sum() / num_frames),
            explained_by_rows=1 - float(unexplained.sum()) / max(total, 1e-30),
            explained_with_context=1 - float((unexplained - gained).sum()) / max(total, 1e-30),
            num_offsets=len(left_keys) + len(right_keys),
            unseen_units=tuple(
                unit for unit in range(BOUNDARY + 1, self.num_units) if not bool(seen[2 * unit])
            ),
        )

        has_context = config.context and config.rows == "prototype"
        left_over = (unexplained - gained if has_context else unexplained).clamp(min=0)
        pooled = left_over.sum(0) / num_frames
        # A state of a few frames seems to vary less than it does, one of one frame not at all.
        deviations = ((left_over + _PRIOR_FRAMES * pooled) / (self._counts[:, None] + _PRIOR_FRAMES)).sqrt()
        length = float(variance.sum().sqrt())
        if config.rows == "prototype":
            rows = prototypes
        elif config.rows == "ctc":
            weight = unit_weight.detach().cpu().double()
            rows = mean + length * _by_state(torch.nn.functional.normalize(weight - weight.mean(0), dim=1))
        else:
            rows = mean + length * _by_state(_orthonormal_rows(self.num_units, self.dim, seed))
        if not has_context:
            left_keys, left_offsets = left_keys[:0], left_offsets[:0]
            right_keys, right_offsets = right_keys[:0], right_offsets[:0]
        _set(projection, "latent_mean", mean)
        _set(projection, "latent_std", variance.sqrt())
        _set(projection, "mean_frames_per_unit", num_frames / max(self._num_labels, 1))
        _set(projection, "rows", rows)
        _set(projection, "deviations", deviations)
        _set(projection, "left_keys", left_keys)
        _set(projection, "left_offsets", left_offsets)
        _set(projection, "right_keys", right_keys)
        _set(projection, "right_offsets", right_offsets)
        projection.empirical.set_counts(self._durations)
        return report


def collect_residuals(
    projection: FixedProjection, means_of: FixedProjection, batches: Iterable[AlignedLatents]
) -> dict[str, float]:
    """Keep what the rows of `means_of` leave of real latents as the noise of `projection`, until there is enough of it. Returns what there is."""
    examples = ResidualExamples(projection.config.noise_frames)
    for batch in batches:
        segments = batch.segments.to("cpu")
        means, state, _ = means_of.means(segments)
        latents = batch.latents[:, : means.shape[1]].cpu()
        examples.add((latents - means) / projection.deviations[state].clamp(min=1e-6), segments)
        if examples.full:
            break
    return examples.finish(projection.residuals)


def _set(projection: FixedProjection, name: str, value: Tensor) -> None:
    setattr(projection, name, value.to(getattr(projection, name)))


def _by_state(rows: Tensor) -> Tensor:
    """One row for each unit (V, D) -> one for each state (2 V, D): label frames take the unit's, all blank frames that of CTC's blank."""
    return torch.stack([rows, rows[:1].expand_as(rows)], 1).flatten(0, 1)


def _orthonormal_rows(num_rows: int, dim: int, seed: int) -> Tensor:
    """(num_rows, dim) float64 of norm 1, orthogonal within each block of `dim` rows: more cannot be."""
    generator = torch.Generator().manual_seed(seed)
    blocks = [
        torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=generator))[0]
        for _ in range(-(-num_rows // dim))
    ]
    return torch.cat(blocks)[:num_rows]


class _KeyedSums:
    """Sums of vectors, and how many they are, for those of many possible keys that occur."""

    def __init__(self, dim: int) -> None:
        self._slots: dict[int, int] = {}
        self._counts = torch.zeros(0, dtype=torch.float64)
        self._sums = torch.zeros(0, dim, dtype=torch.float64)

    def add(self, keys: Tensor, vectors: Tensor) -> None:
        """keys: (N,) int64; vectors: (N, dim)."""
        distinct, place = keys.unique(return_inverse=True)
        slots = torch.tensor(
            [self._slots.setdefault(key, len(self._slots)) for key in distinct.tolist()], dtype=torch.int64
        )
        if len(self._slots) > len(self._counts):  # doubled, so that growing costs little
            missing = 2 * len(self._slots) - len(self._counts)
            self._counts = torch.cat([self._counts, self._counts.new_zeros(missing)])
            self._sums = torch.cat([self._sums, self._sums.new_zeros(missing, self._sums.shape[1])])
        self._counts.index_add_(0, slots[place], torch.ones_like(keys, dtype=torch.float64))
        self._sums.index_add_(0, slots[place], vectors)

    def sorted(self) -> tuple[Tensor, Tensor, Tensor]:
        """Keys (K,) int64 in order, their counts (K,) and sums (K, dim), float64."""
        keys, order = torch.tensor(list(self._slots), dtype=torch.int64).sort()
        return keys, self._counts[order], self._sums[order]
