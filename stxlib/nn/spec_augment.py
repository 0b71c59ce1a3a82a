"""SpecAugment: bands of frequency and stretches of time are hidden from the network in training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stxlib.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SpecAugmentConfig:
    num_freq_masks: int = 2
    """masks over mel bins per utterance"""
    max_freq_bins: int = 18
    """widest mask over mel bins; its width is drawn from 0 to this"""
    num_time_masks: int = 2
    """masks over time per utterance"""
    max_time_frames: int = 18
    """longest mask over time, in 10 ms frames; its length is drawn from 0 to this"""
    max_time_part: float = 0.2
    """longest mask over time as a part of the utterance (0 to 1)"""

    def __post_init__(self) -> None:
        for name in ("num_freq_masks", "max_freq_bins", "num_time_masks", "max_time_frames"):
            if getattr(self, name) < 0:
                raise ConfigError(f"spec_augment.{name}: {getattr(self, name)}; use 0 or more")
        if not 0 <= self.max_time_part <= 1:
            raise ConfigError(f"spec_augment.max_time_part: {self.max_time_part} is not between 0 and 1")


def spec_augment(features: Tensor, feature_lens: Tensor, seeds: Tensor, config: SpecAugmentConfig) -> Tensor:
    """Set random rectangles to 0, the mean of normalized features (Park et al. 2019, arXiv 1904.08779, without time warping).

    features: (B, T, F); feature_lens, seeds: (B,). What is hidden from an utterance depends on its seed, its length and the config,
    not on the batch. Lengths do not change.
    """
    num_masks = config.num_freq_masks + config.num_time_masks
    if num_masks == 0:
        return features
    generator = torch.Generator()
    draws = torch.stack(
        [torch.rand(2, num_masks, generator=generator.manual_seed(seed)) for seed in seeds.tolist()]
    ).to(features.device, non_blocking=True)  # (B, 2, masks)
    bins = torch.full_like(feature_lens, features.shape[2])
    max_frames = (feature_lens * config.max_time_part).long().clamp(max=config.max_time_frames)
    hidden_bins = _stretches(
        draws[..., : config.num_freq_masks], bins.clamp(max=config.max_freq_bins), bins, features.shape[2]
    )
    hidden_frames = _stretches(
        draws[..., config.num_freq_masks :], max_frames, feature_lens, features.shape[1]
    )
    return features.masked_fill(hidden_frames[:, :, None] | hidden_bins[:, None, :], 0.0)


def _stretches(draws: Tensor, max_width: Tensor, size: Tensor, num_positions: int) -> Tensor:
    """(B, 2, masks) numbers in [0, 1) -> (B, num_positions) bool: widths in 0..max_width (B,), ends within size (B,)."""
    widths = (draws[:, 0] * (max_width + 1)[:, None]).long()  # (B, masks)
    starts = (draws[:, 1] * (size[:, None] - widths + 1)).long()
    positions = torch.arange(num_positions, device=draws.device)[:, None]
    return ((positions >= starts[:, None]) & (positions < (starts + widths)[:, None])).any(2)
