"""Latent synthesis by diffusion: from units to latents that a frozen speech encoder might have given.

Latent Synthesis (arXiv 2310.05374) names this synthesizer and leaves its parts open. Here: blocks over the units say how long each is; what
they make of a unit is laid over its frames, and is the condition of a WaveNet that takes the noise out of normalized latents.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from stxlib.errors import ConfigError, DataError
from stxlib.models.empirical_durations import DurationCounts, EmpiricalDurations
from stxlib.models.latent_alignment import AlignedLatents
from stxlib.models.mishearing import Mishearing, MishearingConfig
from stxlib.nn.conformer import Conformer, ConformerConfig
from stxlib.nn.duration_predictor import DurationPredictor
from stxlib.nn.wavenet import WaveNet, WaveNetConfig
from stxlib.ops.diffusion import NUM_TIMES, ddim
from stxlib.ops.draws import normal
from stxlib.ops.masks import length_mask
from stxlib.ops.segments import BOUNDARY, Segments, expand, neighbours, with_boundary

NOISE_STREAM = 0  # of the random numbers of an utterance


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig:
    kind: Literal["diffusion"] = "diffusion"
    """latents out of noise, by a trained denoiser"""
    encoder: ConformerConfig = field(default_factory=ConformerConfig)
    """blocks over the units; their width is that of a frame's condition"""
    denoiser: WaveNetConfig = field(default_factory=WaveNetConfig)
    """what takes the noise out"""
    condition_dropout: float = 0.1
    """share of training utterances whose units are hidden from the denoiser, for guidance (0 to 1)"""
    guidance: float = 0.0
    """w of (1 + w) denoised with the units - w denoised without them; above 0 latents are clearer than real ones, vary more (standard
    deviation 1.4 in place of 1 at w = 1), and cost twice as much"""
    sampling_steps: int = 50
    """steps from noise to latents (1 to 1000)"""
    durations: Literal["drawn", "predicted"] = "drawn"
    """drawn: those of a random training example with the same neighbours; predicted: the rounded output of a regression, always the same"""
    mishearing: MishearingConfig = field(default_factory=MishearingConfig)
    """units are taken for others, as in voices that the encoder does not know"""
    min_examples: int = 3
    """examples of a context that are enough to draw durations from; with fewer, a neighbour is disregarded"""
    duration_dropout: float = 0.5
    """dropout of the regression (0 or more, below 1)"""

    def __post_init__(self) -> None:
        for name in ("condition_dropout", "duration_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name):g}; use 0 or more, and less than 1")
        if self.guidance < 0:
            raise ConfigError(f"guidance: {self.guidance:g}; use 0 (none) or more")
        if not 1 <= self.sampling_steps <= NUM_TIMES:
            raise ConfigError(f"sampling_steps: {self.sampling_steps}; use 1 to {NUM_TIMES}")
        if self.min_examples < 1:
            raise ConfigError(f"min_examples: {self.min_examples}; use 1 or more")


class DiffusionSynthesizer(nn.Module):
    """A denoiser of latents, given what units there are and which frames are theirs; and durations of units without any."""

    latent_mean: Tensor
    latent_std: Tensor
    mean_frames_per_unit: Tensor

    def __init__(self, config: DiffusionConfig, num_units: int, dim: int) -> None:
        """num_units: of the CTC at the latents, blank included; dim: width of the latents."""
        super().__init__()
        self.config = config
        self.num_units = num_units
        self.dim = dim
        width = config.encoder.dim
        self.register_buffer("latent_mean", torch.zeros(dim))
        self.register_buffer("latent_std", torch.ones(dim))
        self.register_buffer("mean_frames_per_unit", torch.ones(()))
        self.embedding = nn.Embedding(num_units, width)
        self.encoder = Conformer(config.encoder)
        self.duration_predictor = DurationPredictor(width, 2, config.duration_dropout)
        self.empirical = EmpiricalDurations(num_units, config.min_examples)
        self.mishearing = Mishearing(config.mishearing, num_units)
        self.place = nn.Linear(4, width)  # of `_places`
        self.nothing = nn.Parameter(torch.randn(width) * width**-0.5)  # the condition without units
        self.denoiser = WaveNet(config.denoiser, dim, width)

    @property
    def frames_per_unit(self) -> float:
        """Latents for each unit, mean over the training set."""
        return float(self.mean_frames_per_unit)

    @torch.no_grad()
    def estimate_latent_statistics(self, batches: Iterable[AlignedLatents]) -> None:
        """Take mean and deviation of the latents, latents for each unit and the durations to draw from these. DataError where there are none.

        For durations as varied as those of speech, give the whole training set once.
        """
        device = self.latent_mean.device
        total = torch.zeros(self.dim, dtype=torch.float64, device=device)
        squares = torch.zeros_like(total)
        num_frames, num_units, counts = 0, 0, DurationCounts()
        for batch in batches:
            valid = batch.latents[length_mask(batch.latent_lens, batch.latents.shape[1])].to(total)
            total += valid.sum(0)
            squares += valid.square().sum(0)
            num_frames += len(valid)
            num_units += int((batch.segments.lens - 1).sum())
            counts.add(batch.segments)
        if num_frames == 0 or num_units == 0:
            raise DataError(
                f"latents: {num_frames} frames of {num_units} units to learn from; check the training set"
            )
        mean = total / num_frames
        self.latent_mean.copy_(mean)
        self.latent_std.copy_((squares / num_frames - mean.square()).clamp(min=1e-4).sqrt())
        self.mean_frames_per_unit.fill_(num_frames / num_units)
        self.empirical.set_counts(counts)

    @torch.no_grad()
    def sample(
        self, units: Tensor, unit_lens: Tensor, seeds: Tensor, num_steps: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Latents (B, T, D), zero past latent_lens, and latent_lens (B,). In eval mode only.

        units: (B, U) int64 without BOUNDARY; unit_lens: (B,); seeds: (B,) int64; num_steps: in place of the config's sampling_steps.
        """
        return self.sample_segments(self.durations(units, unit_lens, seeds), seeds, num_steps)

    @torch.no_grad()
    def durations(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> Segments:
        """What `sample` makes latents of: the units as they are heard, and their durations."""
        units = self.mishearing(units, unit_lens, seeds)
        if self.config.durations == "drawn":
            return self.empirical.draw(units, unit_lens, seeds)
        assert not self.training, "dropout would make other durations at each call"
        positions, lens = with_boundary(units, unit_lens)
        frames = self.log_durations(self.encode(positions, lens), lens).expm1().round().long()
        segments = Segments(positions, lens, *frames.clamp(min=0).unbind(2))
        # A unit is there in one frame at least, and two equal ones in a row have a blank between them.
        is_unit = length_mask(lens, positions.shape[1]) & (positions != BOUNDARY)
        is_repeated = is_unit & (neighbours(segments)[1] == positions)
        return replace(
            segments,
            label_frames=segments.label_frames.clamp(min=1) * is_unit,
            blank_frames=segments.blank_frames.clamp(min=is_repeated.long()),
        )

    @torch.no_grad()
    def sample_segments(
        self, segments: Segments, seeds: Tensor, num_steps: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Latents of units whose durations are given. As `sample` in all else."""
        assert not self.training, "dropout would make other latents at each call"
        conditions, lens = self.conditions(self.encode(segments.units, segments.lens), segments)
        with_units = self.denoiser.project(conditions)
        without = self.denoiser.project(self.nothing[None, None])
        weight = self.config.guidance

        def denoise(noised: Tensor, times: Tensor) -> Tensor:
            # Ho and Salimans 2022 (arXiv 2207.12598, eq. 6), for velocities: they and the noise are linear in each other.
            velocity = self.denoiser(noised, lens, times, with_units)
            if weight > 0:
                velocity = (1 + weight) * velocity - weight * self.denoiser(noised, lens, times, without)
            return velocity.float()

        noise = normal(seeds.cpu(), lens.cpu(), self.dim, NOISE_STREAM).to(self.latent_mean)
        normalized = ddim(noise, denoise, num_steps or self.config.sampling_steps)
        latents = normalized * self.latent_std + self.latent_mean
        return latents.masked_fill(~length_mask(lens, latents.shape[1])[:, :, None], 0.0), lens

    def encode(self, units: Tensor, lens: Tensor) -> Tensor:
        """Units (B, P) with BOUNDARY in front -> (B, P, E), zero past lens (B,)."""
        padding = ~length_mask(lens, units.shape[1])
        encoded: Tensor = self.encoder(self.embedding(units.masked_fill(padding, BOUNDARY)), lens)
        return encoded

    def log_durations(self, encoded: Tensor, lens: Tensor) -> Tensor:
        """Of encoded units (B, P, E): log(1 + label frames) and log(1 + blank frames), (B, P, 2) float32, zero past lens (B,)."""
        durations: Tensor = self.duration_predictor(encoded, lens)
        return durations.float()

    def conditions(self, encoded: Tensor, segments: Segments) -> tuple[Tensor, Tensor]:
        """For each frame, its encoded unit and its place in it: (B, T, E), of any value past frame_lens, and frame_lens (B,)."""
        position, places, frame_lens = _places(segments)
        frames = encoded.gather(1, position[:, :, None].expand(-1, -1, encoded.shape[2]))
        return frames + self.place(places.to(encoded)), frame_lens

    def normalize(self, latents: Tensor, latent_lens: Tensor) -> Tensor:
        """Mean 0 and deviation 1 over the training set; zero past latent_lens (B,)."""
        padding = ~length_mask(latent_lens, latents.shape[1])[:, :, None]
        return ((latents - self.latent_mean) / self.latent_std).masked_fill(padding, 0.0)


def _places(segments: Segments) -> tuple[Tensor, Tensor, Tensor]:
    """Position of each frame's unit (B, T), what else is known of the frame (B, T, 4), and frame_lens (B,).

    Whether it is a label frame, whether it is a blank one, and log(1 + n) of the n frames before and after it in this state of its unit.
    """
    position, is_blank, frame_lens = expand(segments)
    counts = torch.stack([segments.label_frames, segments.blank_frames], 2).flatten(1)  # (B, 2 P)
    state = 2 * position + is_blank.long()
    end = counts.cumsum(1).gather(1, state)
    start = end - counts.gather(1, state)
    frame = torch.arange(position.shape[1], device=position.device)
    before, after = (frame - start).clamp(min=0), (end - 1 - frame).clamp(min=0)
    return (
        position,
        torch.stack([~is_blank, is_blank, before.float().log1p(), after.float().log1p()], 2),
        frame_lens,
    )
