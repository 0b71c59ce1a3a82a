"""Whisper's encoder from waves of any length to latents: transformers' blocks, our windows and lengths."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stxlib.models.public_checkpoint import Architecture
from stxlib.ops.masks import length_mask
from stxlib.ops.whisper_features import HOP_SAMPLES, whisper_log_mel


class WhisperWindows(nn.Module):
    """Log-mel features, two convolutions, learned positions, Transformer blocks (Radford et al. 2022, arXiv 2212.04356, section 2.2).

    A Whisper knows windows of 30 s, with silence after the speech. An utterance longer than that is cut into windows that do not see each other.
    """

    def __init__(
        self, network: nn.Module, architecture: Architecture, is_whole: bool, fill_window: bool
    ) -> None:
        """network: transformers' encoder. is_whole: it has all of its blocks; else their norm at the end is one without weights.
        fill_window: the silence after the speech is encoded as well, up to 30 s; else the speech alone.
        """
        super().__init__()
        parts: Any = network
        config = architecture.model
        self.fill_window = fill_window
        self.num_mels = int(config["num_mel_bins"])
        self.dim = int(config["d_model"])
        self.dropout = float(config["dropout"])
        self.hop_samples = 2 * HOP_SAMPLES
        self.window_samples = int(config["max_source_positions"]) * self.hop_samples
        self.conv1, self.conv2, self.embed_positions = parts.conv1, parts.conv2, parts.embed_positions
        self.layers = parts.layers
        self.layer_norm = parts.layer_norm if is_whole else nn.LayerNorm(self.dim, elementwise_affine=False)

    def forward(self, waves: Tensor, wave_lens: Tensor) -> tuple[Tensor, Tensor]:
        """waves: (B, N), zero past wave_lens. Returns latents (B, T', D), zero past latent_lens = ceil(ceil(N / 160) / 2)."""
        B, N = waves.shape
        num_windows = max(1, -(-N // self.window_samples))
        size = self.window_samples if self.fill_window or num_windows > 1 else N
        windows = F.pad(waves, (0, num_windows * size - N)).view(B * num_windows, size)
        starts = torch.arange(num_windows, device=wave_lens.device) * size
        lens = (wave_lens[:, None] - starts).clamp(min=0, max=size)  # (B, windows)
        latent_lens = ((lens + HOP_SAMPLES - 1) // HOP_SAMPLES + 1) // 2
        is_used = ((lens > 0) | (starts == 0)).flatten()
        encoded = self.encode(windows[is_used], lens.flatten()[is_used])
        latents = encoded.new_zeros(B * num_windows, *encoded.shape[1:])
        latents = latents.masked_scatter(is_used[:, None, None], encoded)
        latents = latents.masked_fill(~length_mask(latent_lens.flatten(), latents.shape[1])[:, :, None], 0.0)
        total = latent_lens.sum(1)
        # Every window but the last of an utterance is full, so that its latents follow one another.
        longest = max(1, -(-N // self.hop_samples))
        return latents.view(B, -1, self.dim)[:, :longest], total

    def encode(self, waves: Tensor, wave_lens: Tensor) -> Tensor:
        """One window each: (B, N) -> (B, T', D), not zero past the latents of wave_lens."""
        mask = None
        if self.fill_window:
            x = whisper_log_mel(waves, self.num_mels).transpose(1, 2)  # (B, F, T)
        else:
            # Two frames after the last see some of the speech and count for its loudest bin, as in a window that is filled.
            num_frames = max(1, -(-waves.shape[1] // HOP_SAMPLES))
            filled = F.pad(waves, (0, (num_frames + 2) * HOP_SAMPLES - waves.shape[1]))
            frame_lens = (wave_lens + HOP_SAMPLES - 1) // HOP_SAMPLES
            in_speech = length_mask(frame_lens, num_frames)[:, None]  # (B, 1, T)
            x = whisper_log_mel(filled, self.num_mels)[:, :num_frames].transpose(1, 2)
            x = x.masked_fill(~in_speech, 0.0)
        x = F.gelu(self.conv1(x))
        if not self.fill_window:
            x = x.masked_fill(~in_speech, 0.0)
        x = F.gelu(self.conv2(x)).transpose(1, 2)  # (B, T', D)
        if not self.fill_window:
            # Attention to nothing is not a number: an empty wave attends to one latent, which is dropped.
            mask = length_mask(((frame_lens + 1) // 2).clamp(min=1), x.shape[1])[
                :, None, None
            ]  # (B, 1, 1, T')
        x = F.dropout(x + self.embed_positions.weight[: x.shape[1]], self.dropout, self.training)
        for layer in self.layers:
            x = layer(x, mask)
        normed: Tensor = self.layer_norm(x)
        return normed
