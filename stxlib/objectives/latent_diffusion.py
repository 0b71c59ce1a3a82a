"""What the diffusion synthesizer minimizes: the error of the denoiser on real latents, and of the durations on a CTC alignment."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from stxlib.data.batch import SpeechBatch
from stxlib.errors import ConfigError
from stxlib.models.diffusion import NOISE_STREAM, DiffusionSynthesizer
from stxlib.models.latent_alignment import AlignedLatents, align_latents
from stxlib.models.speech_to_text import SpeechToText
from stxlib.objectives.inspection import Inspection
from stxlib.objectives.label_encoder import UNITS
from stxlib.ops.diffusion import NUM_TIMES, add_noise, velocity_of
from stxlib.ops.draws import normal, uniform
from stxlib.ops.masks import length_mask
from stxlib.ops.segments import Segments
from stxlib.ratio import Ratio
from stxlib.text.target_vocabulary import Task

# Streams of random numbers of an utterance, beside that of its noise.
TIME_STREAM, DROPOUT_STREAM = 2, 3

# Deviations from the mean that pictures show, from black to white.
SHOWN = 2.5


@dataclass(frozen=True, kw_only=True)
class LatentDiffusionLossConfig:
    kind: Literal["latent_diffusion"] = "latent_diffusion"
    """denoise the latents of a speech model that is frozen"""
    duration_weight: float = 1.0
    """weight of the error of the durations (0 or more)"""

    def __post_init__(self) -> None:
        if not 0 <= self.duration_weight < math.inf:
            raise ConfigError(f"duration_weight: {self.duration_weight:g}; use 0 or more")

    @property
    def tasks(self) -> tuple[Task, ...]:
        """None: nothing is written."""
        return ()


class LatentDiffusionObjective(nn.Module):
    """loss = velocity_error + duration_weight * duration_error: mean squares over all elements of latents, and over all log durations.

    The velocity's error is the noise's, divided by the level of the signal, so times of much noise count as much as others: it is there
    that units decide on the latents, and a short training would hardly reach it otherwise. So that a batch is exactly the mean of its
    micro-batches, a duration is weighed with a constant, the elements that there are for each over the training set.

    Time, noise and whether the units are hidden are functions of an utterance's seed; the seeds of a development set are always the same.
    """

    def __init__(
        self, network: DiffusionSynthesizer, speech: SpeechToText, config: LatentDiffusionLossConfig
    ) -> None:
        """speech: the speech model, whose encoder and unit output are frozen here."""
        super().__init__()
        self.network = network
        self.speech = speech.requires_grad_(False)
        self.config = config
        if not config.duration_weight:
            network.duration_predictor.requires_grad_(False)

    def estimate_statistics(self, batches: Iterable[SpeechBatch]) -> None:
        """Before training: what the network has to know of the training set; see `DiffusionSynthesizer.estimate_latent_statistics`."""
        device = self.network.latent_mean.device
        self.network.estimate_latent_statistics(self._align(batch.to(device)) for batch in batches)

    def estimate_mishearing(self, batches: Iterable[SpeechBatch]) -> float:
        """Before training: which units the encoder takes for others in `batches`, speech at other speeds; see `Mishearing.estimate`."""
        device = self.network.latent_mean.device
        aligned = (self._align(batch.to(device)) for batch in batches)
        return self.network.mishearing.estimate(self.speech.unit_head, aligned)

    def forward(self, batch: SpeechBatch) -> dict[str, Ratio]:
        """Loss and its terms. DataError where an utterance has fewer latents than its units need; the loader leaves such out."""
        network, aligned = self.network, self._align(batch)
        segments, lens = aligned.segments, aligned.latent_lens
        encoded = network.encode(segments.units, segments.lens)
        conditions, _ = network.conditions(encoded, segments)
        if self.training:
            hidden = self._draw(batch.seeds, DROPOUT_STREAM) < network.config.condition_dropout
            conditions = torch.where(hidden[:, None, None], network.nothing.to(conditions), conditions)

        sample = network.normalize(aligned.latents, lens)
        times = 1 + (self._draw(batch.seeds, TIME_STREAM) * NUM_TIMES).long()
        noise = normal(batch.seeds.cpu(), lens.cpu(), network.dim, NOISE_STREAM).to(sample)
        velocity = network.denoiser(
            add_noise(sample, noise, times), lens, times, network.denoiser.project(conditions)
        )
        wrong = (velocity.float() - velocity_of(sample, noise, times)).square().sum(2)
        velocity_error = wrong.masked_fill(~length_mask(lens, wrong.shape[1]), 0.0).sum()
        duration_error, num_durations = duration_errors(
            network.log_durations(encoded, segments.lens), segments
        )

        count = lens.sum() * network.dim
        per_duration = network.dim * network.mean_frames_per_unit / 2
        loss = velocity_error + self.config.duration_weight * per_duration * duration_error
        return {
            "loss": Ratio(loss, count),
            "velocity_error": Ratio(velocity_error.detach(), count),
            "duration_error": Ratio(duration_error.detach(), num_durations),
        }

    @torch.no_grad()
    def inspect(self, batch: SpeechBatch) -> Inspection:
        """Real latents of the first utterance, and what is synthesized of its units and their true durations. Call it in eval mode."""
        aligned = self._align(batch)
        segments, num_frames = aligned.segments, int(aligned.latent_lens[0])
        made, lens = self.network.sample_segments(
            Segments(
                segments.units[:1], segments.lens[:1], segments.label_frames[:1], segments.blank_frames[:1]
            ),
            batch.seeds[:1],
        )
        images = {
            name: (self.network.normalize(latents[:1], lens)[0, :num_frames].t() / (2 * SHOWN) + 0.5)
            for name, latents in (("latents", aligned.latents), ("synthesized", made))
        }
        return Inspection({name: image.clamp(0, 1).float().cpu() for name, image in images.items()}, [], [])

    def _align(self, batch: SpeechBatch) -> AlignedLatents:
        """In full precision: what is learnt from shall not depend on that of the learning."""
        units = batch.labels[UNITS]
        with torch.autocast(batch.waves.device.type, enabled=False):
            aligned = align_latents(self.speech, batch.waves, batch.wave_lens, units.ids, units.lens)
        num_frames = int(aligned.latent_lens.max())  # a batch of waves may be padded to more
        return AlignedLatents(aligned.latents[:, :num_frames], aligned.latent_lens, aligned.segments)

    def _draw(self, seeds: Tensor, stream: int) -> Tensor:
        """One number in [0, 1) for each utterance: (B,)."""
        return uniform(seeds.cpu(), torch.ones_like(seeds, device="cpu"), stream)[:, 0].to(seeds.device)


def duration_errors(log_durations: Tensor, segments: Segments) -> tuple[Tensor, Tensor]:
    """Sum of squares of what is predicted (B, P, 2) - log(1 + frames), and how many there are; that BOUNDARY has no label frame is no news."""
    frames = torch.stack([segments.label_frames, segments.blank_frames], 2)
    counted = length_mask(segments.lens, frames.shape[1])[:, :, None].expand_as(frames).clone()
    counted[:, 0, 0] = False
    wrong = (log_durations - frames.to(log_durations).log1p()).square()
    return wrong.masked_fill(~counted, 0.0).sum(), counted.sum()
