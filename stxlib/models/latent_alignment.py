"""Latents of labelled speech, and which unit each of them belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stxlib.models.speech_to_text import SpeechToText
from stxlib.ops.align import forced_align
from stxlib.ops.segments import Segments, segments_of_paths


@dataclass(frozen=True)
class AlignedLatents:
    """Real latents of a batch, with the durations of their units."""

    latents: Tensor  # (B, T, D) float32, zero past latent_lens
    latent_lens: Tensor  # (B,) int64
    segments: Segments  # of the units; their frames add up to latent_lens


@torch.no_grad()
def align_latents(
    network: SpeechToText,
    waves: Tensor,
    wave_lens: Tensor,
    units: Tensor,
    unit_lens: Tensor,
    seeds: Tensor | None = None,
) -> AlignedLatents:
    """Latents of waves as the frozen encoder gives them (no dropout, no gradient), and the best CTC path of their units.

    waves: (B, N); wave_lens: (B,); units: (B, U) of the CTC at the latents; unit_lens: (B,); seeds: (B,) hide parts of the features
    (SpecAugment), None hides nothing. DataError where an utterance has fewer latents than its units need.
    """
    with _evaluating(network.encoder):
        latents, latent_lens = network.encoder(waves, wave_lens, seeds)
        latents = latents.float()
        log_probs = network.unit_head(latents).float().log_softmax(-1)
    paths, _ = forced_align(log_probs, latent_lens, units, unit_lens)
    return AlignedLatents(latents, latent_lens, segments_of_paths(paths, latent_lens, units, unit_lens))


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode within; afterwards each part is in the mode that it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
