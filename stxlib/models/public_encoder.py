"""A public speech model (HuBERT, wav2vec 2.0, WavLM, Whisper) in the place of our speech encoder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from stxlib.errors import ConfigError
from stxlib.models.public_checkpoint import Architecture, build_public, load_public, read_architecture
from stxlib.models.wave_transformer import WaveTransformer
from stxlib.models.whisper_encoder import WhisperWindows
from stxlib.nn.spec_augment import SpecAugmentConfig, spec_augment
from stxlib.ops.masks import length_mask

_SAMPLE_RATE = 16000


@dataclass(frozen=True, kw_only=True)
class PublicEncoderConfig:
    kind: Literal["public"] = "public"
    """a public model, read by transformers"""
    model: str
    """its folder, or its name on the Hugging Face hub; in a saved network: where it came from"""
    revision: str = "main"
    """branch, tag or commit on the hub; a commit never changes"""
    layer: int = -1
    """the block whose output is the latents: 1 is the lowest, -1 the last"""
    fill_window: bool = True
    """Whisper only: encode every utterance with silence up to 30 s, as in its own training; false: the speech alone, which is faster"""
    num_time_masks: int = 0
    """stretches of the wave hidden per utterance in training"""
    max_mask_seconds: float = 0.2
    """longest stretch hidden; its length is drawn from 0 to this, and to a fifth of the utterance at most"""
    architecture: str = ""
    """what the model is made of, in JSON; filled in by a saved network, and then neither model nor its weights are read"""

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError("model: empty; give the folder or the name of a public speech model")
        if self.layer == 0:
            raise ConfigError("layer: 0; use 1 for the lowest block, -1 for the last")
        if self.num_time_masks < 0 or self.max_mask_seconds < 0:
            raise ConfigError(
                f"num_time_masks {self.num_time_masks}, max_mask_seconds {self.max_mask_seconds}; use 0 or more"
            )

    @property
    def sample_rate(self) -> int:
        """Samples a second of the waves it takes; audio at another rate is resampled when read."""
        return _SAMPLE_RATE


class PublicEncoder(nn.Module):
    """The lowest blocks of a public model, up to the one whose output is the latents.

    The last block's output passes the norm that the model has there. Where the latents come from a lower block of a model that
    normalizes before its blocks (the large ones, and Whisper), a LayerNorm without weights takes that norm's place: such outputs have
    a few dimensions that are hundreds of times larger than the others.
    """

    def __init__(self, config: PublicEncoderConfig) -> None:
        """Reads the folder or the hub, unless the config has the architecture: then the weights are drawn, and to be loaded.

        `self.config` is the config with its architecture. ConfigError when the model cannot be read or used.
        """
        super().__init__()
        is_saved = bool(config.architecture)
        architecture = (
            Architecture.of_json(config.architecture)
            if is_saved
            else read_architecture(config.model, config.revision)
        )
        if architecture.sample_rate != _SAMPLE_RATE:
            raise ConfigError(
                f"model: {config.model}: made for {architecture.sample_rate} Hz; give one for {_SAMPLE_RATE} Hz"
            )
        self.config = replace(config, architecture=architecture.to_json())
        self.normalizes_waves = architecture.normalizes_waves
        is_whisper = architecture.family == "whisper"
        total = int(architecture.model["encoder_layers" if is_whisper else "num_hidden_layers"])
        if not 1 <= abs(config.layer) <= total:
            raise ConfigError(
                f"layer: {config.layer}, but {config.model} has {total} blocks; use 1 to {total}, or -1 for the last"
            )
        num_layers = config.layer if config.layer > 0 else total + 1 + config.layer
        network = (
            build_public(architecture, num_layers)
            if is_saved
            else load_public(config.model, config.revision, architecture, num_layers)
        )
        self.network = (
            WhisperWindows(network, architecture, num_layers == total, config.fill_window)
            if is_whisper
            else WaveTransformer(network, architecture, num_layers == total)
        )

    @property
    def dim(self) -> int:
        """Width of the latents."""
        return self.network.dim

    @property
    def latents_per_second(self) -> float:
        """50, of all the public ones that are known."""
        return _SAMPLE_RATE / self.network.hop_samples

    def forward(self, waves: Tensor, wave_lens: Tensor, seeds: Tensor | None) -> tuple[Tensor, Tensor]:
        """waves: (B, N) in [-1, 1]; seeds: (B,) hide stretches of the waves, None hides nothing.

        Returns latents (B, T', D), zero past latent_lens (B,).
        """
        waves = waves.float().masked_fill(~length_mask(wave_lens, waves.shape[1]), 0.0)
        if self.normalizes_waves:
            waves = normalize_waves(waves, wave_lens)
        if seeds is not None and self.config.num_time_masks:
            hidden = SpecAugmentConfig(
                num_freq_masks=0,
                num_time_masks=self.config.num_time_masks,
                max_time_frames=round(self.config.max_mask_seconds * _SAMPLE_RATE),
            )
            waves = spec_augment(waves[:, :, None], wave_lens, seeds, hidden)[:, :, 0]
        latents: tuple[Tensor, Tensor] = self.network(waves, wave_lens)
        return latents


@torch.no_grad()
def normalize_waves(waves: Tensor, wave_lens: Tensor) -> Tensor:
    """Mean 0 and deviation 1 of each utterance over its own samples: (B, N), zero past wave_lens before and after."""
    padding = ~length_mask(wave_lens, waves.shape[1])
    count = wave_lens.clamp(min=1)[:, None]
    centered = (waves - waves.sum(1, keepdim=True) / count).masked_fill(padding, 0.0)
    variance = centered.square().sum(1, keepdim=True) / count
    return centered / (variance + 1e-7).sqrt()  # 1e-7: transformers' feature extractors have it
