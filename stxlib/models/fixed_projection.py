"""The fixed projection: latents looked up by unit and neighbours, with durations drawn from real ones. Nothing in it is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from stxlib.errors import ConfigError
from stxlib.models.empirical_durations import EmpiricalDurations
from stxlib.models.mishearing import Mishearing, MishearingConfig
from stxlib.models.residual_noise import RUNS_STREAM, ResidualNoise
from stxlib.nn.fitted_buffers import FittedBuffers
from stxlib.ops.draws import normal
from stxlib.ops.masks import length_mask
from stxlib.ops.segments import Segments, expand, neighbours


@dataclass(frozen=True, kw_only=True)
class FixedProjectionConfig:
    kind: Literal["fixed_projection"] = "fixed_projection"
    """latents from a table of units, without training (Latent Synthesis, arXiv 2310.05374; the table's form is ours)"""
    rows: Literal["prototype", "ctc", "random"] = "prototype"
    """prototype: mean latents of each unit; ctc: its row of the CTC output; random: orthonormal rows, to see what matched latents are worth"""
    context: bool = True
    """move prototypes by what the left and the right neighbour change; ctc and random rows have no context"""
    noise: float = 1.0
    """noise on the latents, as a multiple of what the rows leave unexplained of the training speech; 1: latents vary as these do; more: as
    those of voices that are further from them; 0: none"""
    noise_kind: Literal["residuals", "gaussian"] = "residuals"
    """residuals: what the rows leave of a real utterance, unit by unit; gaussian: each number by itself, normally distributed"""
    noise_frames: int = 50_000
    """latents of whole utterances that are kept to take residuals from (1 or more); 2 bytes a number"""
    mishearing: MishearingConfig = field(default_factory=MishearingConfig)
    """units are taken for others, as in voices that the encoder does not know"""
    smoothing: int = 1
    """frames of a moving average over the rows (odd); 1: none; at 25 latents a second, 3 already blur units of one latent with the blanks
    around them"""
    durations: Literal["drawn", "mean"] = "drawn"
    """drawn: those of a random training example with the same neighbours; mean: the rounded means of these examples"""
    shrinkage: float = 4.0
    """a neighbour seen in n frames moves the prototype by n / (n + shrinkage) of what it changed in them"""
    min_examples: int = 3
    """examples of a context that are enough to draw durations from; with fewer, a neighbour is disregarded"""

    def __post_init__(self) -> None:
        if self.noise < 0:
            raise ConfigError(f"synthesizer.noise: {self.noise:g}; use 0 or more")
        if self.noise_frames < 1:
            raise ConfigError(f"synthesizer.noise_frames: {self.noise_frames}; use 1 or more")
        if self.smoothing < 1 or self.smoothing % 2 == 0:
            raise ConfigError(f"synthesizer.smoothing: {self.smoothing}; use an odd number (1: none)")
        if self.shrinkage < 0:
            raise ConfigError(f"synthesizer.shrinkage: {self.shrinkage:g}; use 0 or more")
        if self.min_examples < 1:
            raise ConfigError(f"synthesizer.min_examples: {self.min_examples}; use 1 or more")


class FixedProjection(FittedBuffers):
    """latent = row of (unit, label or blank frame) + offset of the left unit + offset of the right unit + noise.

    State 2 u is the label frames of unit u, state 2 u + 1 the blank frames after it; state 1, the frames before the first unit. A key of
    an offset is state * num_units + neighbour. `stxlib.models.projection_estimate` fills the buffers.
    """

    latent_mean: Tensor
    latent_std: Tensor
    mean_frames_per_unit: Tensor
    rows: Tensor
    deviations: Tensor
    left_keys: Tensor
    left_offsets: Tensor
    right_keys: Tensor
    right_offsets: Tensor
    fitted = ("left_keys", "left_offsets", "right_keys", "right_offsets")

    def __init__(self, config: FixedProjectionConfig, num_units: int, dim: int) -> None:
        super().__init__()
        self.config = config
        self.num_units = num_units
        self.dim = dim
        self.register_buffer("latent_mean", torch.zeros(dim))
        self.register_buffer("latent_std", torch.ones(dim))
        self.register_buffer("mean_frames_per_unit", torch.zeros(()))
        self.register_buffer("rows", torch.zeros(2 * num_units, dim))
        self.register_buffer("deviations", torch.zeros(2 * num_units, dim))
        for side in ("left", "right"):
            self.register_buffer(f"{side}_keys", torch.zeros(0, dtype=torch.int64))
            self.register_buffer(f"{side}_offsets", torch.zeros(0, dim))
        self.empirical = EmpiricalDurations(num_units, config.min_examples)
        self.residuals = ResidualNoise(dim)
        self.mishearing = Mishearing(config.mishearing, num_units)

    @property
    def frames_per_unit(self) -> float:
        """Latents for each unit, mean over the training set."""
        return float(self.mean_frames_per_unit)

    @torch.no_grad()
    def sample(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, T, D), zero past latent_lens, and latent_lens (B,).

        units: (B, U) int64 without BOUNDARY; unit_lens: (B,); seeds: (B,) int64. An utterance is a function of its units and its seed.
        """
        return self.sample_segments(self.durations(units, unit_lens, seeds), seeds)

    def durations(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> Segments:
        """What `sample` makes latents of: the units as they are heard, and their durations."""
        units = self.mishearing(units, unit_lens, seeds)
        if self.config.durations == "mean":
            return self.empirical.mean(units, unit_lens)
        return self.empirical.draw(units, unit_lens, seeds)

    @torch.no_grad()
    def sample_segments(self, segments: Segments, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of units whose durations are given. As `sample` in all else."""
        latents, state, latent_lens = self.means(segments)
        valid = length_mask(latent_lens, latents.shape[1])
        if self.config.smoothing > 1:
            latents = _moving_average(latents, valid, self.config.smoothing)
        if self.config.noise > 0:
            if self.config.noise_kind == "residuals":
                noise = self.residuals(segments, seeds)
            else:
                noise = normal(seeds.cpu(), latent_lens.cpu(), self.dim, RUNS_STREAM).to(latents)
            latents = latents + self.config.noise * self.deviations[state] * noise
        return latents.masked_fill(~valid[:, :, None], 0.0), latent_lens

    def means(self, segments: Segments) -> tuple[Tensor, Tensor, Tensor]:
        """Without noise: latents (B, T, D) and the states (B, T) that they are of, of any value past latent_lens (B,)."""
        position, is_blank, latent_lens = expand(segments)  # (B, T)
        state = 2 * segments.units.gather(1, position) + is_blank.long()
        left, right = (side.gather(1, position) for side in neighbours(segments))
        latents = self.rows[state]  # (B, T, D)
        latents = latents + _looked_up(self.left_keys, self.left_offsets, state * self.num_units + left)
        latents = latents + _looked_up(self.right_keys, self.right_offsets, state * self.num_units + right)
        return latents, state, latent_lens


def _looked_up(keys: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
    """Rows of values (K, D) for wanted keys (B, T) -> (B, T, D), zero for those not among keys (K,), sorted."""
    if len(keys) == 0:
        return values.new_zeros(*wanted.shape, values.shape[1])
    place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return values[place].masked_fill((keys[place] != wanted)[:, :, None], 0.0)


def _moving_average(x: Tensor, valid: Tensor, num_taps: int) -> Tensor:
    """Mean over the `num_taps` frames around each, of those that are there. x: (B, T, D); valid: (B, T)."""
    reach = num_taps // 2
    weights = valid[:, :, None].to(x)
    padded = torch.nn.functional.pad(torch.cat([x * weights, weights], 2), (0, 0, reach, reach))
    sums = sum(padded[:, tap : tap + x.shape[1]] for tap in range(num_taps))
    assert isinstance(sums, Tensor)
    return sums[:, :, :-1] / sums[:, :, -1:].clamp(min=1)
