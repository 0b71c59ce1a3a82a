"""The speech encoder: from a wave to latents, 25 a second. It is what later systems freeze and call the latent encoder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from stxlib.errors import ConfigError, DataError
from stxlib.nn.conformer import Conformer, ConformerConfig
from stxlib.nn.spec_augment import SpecAugmentConfig, spec_augment
from stxlib.nn.subsampling import Subsampling
from stxlib.ops.features import log_mel
from stxlib.ops.masks import length_mask


@dataclass(frozen=True, kw_only=True)
class SpeechEncoderConfig:
    kind: Literal["speech"] = "speech"
    """waves"""
    sample_rate: int = 16000
    """samples a second of the waves; audio at another rate is resampled when read"""
    num_mels: int = 80
    """mel bins of the features"""
    conv_channels: int = 32
    """channels of the subsampling convolutions"""
    conformer: ConformerConfig = field(default_factory=ConformerConfig)
    """the blocks under the latents"""
    spec_augment: SpecAugmentConfig = field(default_factory=SpecAugmentConfig)
    """what is hidden from the network in training"""

    def __post_init__(self) -> None:
        if self.sample_rate < 1000:
            raise ConfigError(f"encoder.sample_rate: {self.sample_rate}; use 1000 or more (16000 is usual)")
        if self.num_mels < 4:
            raise ConfigError(f"encoder.num_mels: {self.num_mels}; use 4 or more (80 is usual)")
        if self.conv_channels < 1:
            raise ConfigError(f"encoder.conv_channels: {self.conv_channels}; use 1 or more")


class SpeechEncoder(nn.Module):
    """Log-mel features, global normalization, SpecAugment, 4 times subsampling, Conformer blocks with a LayerNorm at the end."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.num_mels))
        self.register_buffer("std", torch.ones(config.num_mels))
        self.subsampling = Subsampling(config.num_mels, config.conv_channels, config.conformer.dim)
        self.conformer = Conformer(config.conformer)

    @property
    def dim(self) -> int:
        """Width of the latents."""
        return self.config.conformer.dim

    @property
    def latents_per_second(self) -> float:
        """25: features are 10 ms apart, and every fourth is kept."""
        return 25.0

    def forward(self, waves: Tensor, wave_lens: Tensor, seeds: Tensor | None) -> tuple[Tensor, Tensor]:
        """waves: (B, N) in [-1, 1]; seeds: (B,) hide parts of the features (SpecAugment), None hides nothing.

        Returns latents (B, T', D), zero past latent_lens (B,). A wave below 25 ms has no latent.
        """
        features, feature_lens = self.features(waves, wave_lens)
        features = self.normalize(features, feature_lens)
        if seeds is not None:
            features = spec_augment(features, feature_lens, seeds, self.config.spec_augment)
        x, latent_lens = self.subsampling(features, feature_lens)
        return self.conformer(x, latent_lens), latent_lens

    def features(self, waves: Tensor, wave_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel features (B, T, F) before normalization, and their lengths."""
        return log_mel(waves, wave_lens, self.config.sample_rate, self.config.num_mels)

    def normalize(self, features: Tensor, feature_lens: Tensor) -> Tensor:
        """Mean 0 and standard deviation 1 over the training set; zero past the lengths."""
        padding = ~length_mask(feature_lens, features.shape[1])
        return ((features - self.mean) / self.std).masked_fill(padding[:, :, None], 0.0)

    def set_normalization(self, mean: Tensor, std: Tensor) -> None:
        """mean, std: (F,) of the features over the training set."""
        assert mean.shape == std.shape == self.mean.shape, (mean.shape, std.shape, self.mean.shape)
        self.mean.copy_(mean)
        self.std.copy_(std)

    @torch.no_grad()
    def estimate_normalization(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Set mean and standard deviation from (waves, wave_lens); some minutes of speech are enough."""
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for waves, wave_lens in batches:
            features, feature_lens = self.features(waves.to(self.mean.device), wave_lens.to(self.mean.device))
            valid = features[length_mask(feature_lens, features.shape[1])].double()
            count += len(valid)
            total = total.to(valid) + valid.sum(0)
            squares = squares.to(valid) + valid.square().sum(0)
        if count == 0:
            raise DataError("normalization: no utterance is as long as one frame (25 ms); check the audio")
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=1e-4)
        self.set_normalization(mean, variance.sqrt())
