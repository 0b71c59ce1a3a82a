"""Four times fewer frames: two strided convolutions over time and frequency."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from stxlib.ops.masks import length_mask


def subsampled_lens(feature_lens: Tensor) -> Tensor:
    """Latents of (B,) feature frames: ceil(ceil(T / 2) / 2) = ceil(T / 4)."""
    return (feature_lens + 3) // 4


class Subsampling(nn.Module):
    """(B, T, F) -> (B, ceil(T / 4), dim). Behind its end an utterance sees zeros, whatever the padding holds."""

    def __init__(self, num_bins: int, num_channels: int, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, num_channels, kernel_size=3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(num_channels, num_channels, kernel_size=3, stride=2, padding=1)
        self.linear = nn.Linear(num_channels * ((num_bins + 3) // 4), dim)

    def forward(self, x: Tensor, x_lens: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, T, F), zero past x_lens. Returns (B, T', dim), not masked, and its lengths."""
        x = F.relu(self.conv1(x[:, None]))  # (B, C, T/2, F/2)
        padding = ~length_mask((x_lens + 1) // 2, x.shape[2])
        x = x.masked_fill(padding[:, None, :, None], 0.0)
        x = F.relu(self.conv2(x))  # (B, C, T/4, F/4)
        return self.linear(x.transpose(1, 2).flatten(2)), subsampled_lens(x_lens)
