"""HuBERT, wav2vec 2.0 and WavLM from waves to latents, independent of the batch: transformers' modules, our lengths."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stxlib.errors import ConfigError
from stxlib.models.public_checkpoint import Architecture
from stxlib.ops.masks import length_mask


class WaveTransformer(nn.Module):
    """Convolutions of the wave, and a Transformer encoder on them (Baevski et al. 2020, arXiv 2006.11477, section 2).

    transformers pads a batch with zeros and lets the GroupNorm of the first convolution see them; here every utterance is normalized
    over its own frames, as it is alone.
    """

    def __init__(self, network: nn.Module, architecture: Architecture, is_whole: bool) -> None:
        """network: transformers' model. is_whole: it has all of its blocks; else their norm at the end is one without weights."""
        super().__init__()
        parts: Any = network
        config = architecture.model
        if config.get("conv_pos_batch_norm", False):
            raise ConfigError(
                "model: its positions pass a BatchNorm (conv_pos_batch_norm), which sees the padding;"
                " give a model without"
            )
        self.feature_extractor = parts.feature_extractor
        self.feature_projection = parts.feature_projection
        self.encoder = parts.encoder
        self.dim = int(config["hidden_size"])
        self.strides = tuple(zip(config["conv_kernel"], config["conv_stride"], strict=True))
        self.hop_samples = math.prod(config["conv_stride"])
        if config["do_stable_layer_norm"] and not is_whole:
            self.encoder.layer_norm = nn.LayerNorm(self.dim, elementwise_affine=False)

    def forward(self, waves: Tensor, wave_lens: Tensor) -> tuple[Tensor, Tensor]:
        """waves: (B, N), zero past wave_lens. Returns latents (B, T', D), zero past latent_lens = (N - 400) // 320 + 1 (usually)."""
        x, lens = self.convolve(waves, wave_lens)
        padding = ~length_mask(lens, x.shape[1])[:, :, None]
        x = self.feature_projection(x.masked_fill(padding, 0.0))
        x = (x[0] if isinstance(x, tuple) else x).masked_fill(padding, 0.0)
        # Attention to nothing is not a number: an utterance without a frame attends to one, which is dropped.
        x = self.encoder(x, attention_mask=length_mask(lens.clamp(min=1), x.shape[1])).last_hidden_state
        return x.masked_fill(padding, 0.0), lens

    def convolve(self, waves: Tensor, wave_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T', C), not zero past their lengths. No convolution pads, so that no valid frame sees a later one."""
        shortest = 1
        for kernel, stride in reversed(self.strides):
            shortest = (shortest - 1) * stride + kernel
        x = F.pad(waves, (0, max(0, shortest - waves.shape[1])))[:, None]  # (B, 1, N)
        lens = wave_lens
        for layer, (kernel, stride) in zip(self.feature_extractor.conv_layers, self.strides, strict=True):
            lens = ((lens - kernel).div(stride, rounding_mode="floor") + 1).clamp(min=0)
            if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
                x = layer.activation(norm_over_time(layer.conv(x), lens, layer.layer_norm))
            else:
                x = layer(x)
        return x.transpose(1, 2), lens


def norm_over_time(x: Tensor, lens: Tensor, norm: nn.GroupNorm) -> Tensor:
    """`norm` with one channel a group, each utterance over its own frames: x (B, C, T), lens (B,)."""
    assert norm.num_groups == norm.num_channels == x.shape[1], (norm, x.shape)
    with torch.autocast(x.device.type, enabled=False):
        x = x.float()
        valid = length_mask(lens, x.shape[2])[:, None]  # (B, 1, T)
        count = lens.clamp(min=1)[:, None, None]
        mean = x.masked_fill(~valid, 0.0).sum(2, keepdim=True) / count
        centered = (x - mean).masked_fill(~valid, 0.0)
        deviation = (centered.square().sum(2, keepdim=True) / count + norm.eps).sqrt()
        return centered / deviation * norm.weight[:, None] + norm.bias[:, None]
