"""Four times fewer frames: two strided convolutions over time and frequency."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def subsampled_lens(feature_lens: Tensor) -> Tensor:
    """Latents of (B,) feature frames: T // 4. Up to three frames at the end are left out."""
    return feature_lens // 4


class Subsampling(nn.Module):
    """(B, T, F) -> (B, T // 4, dim).

    An output of a convolution sees the frames 2t - 1, 2t and 2t + 1, and those of t < T // 2 are kept: a frame past the end of an utterance
    is never seen, so nothing has to be masked between the layers.
    """

    def __init__(self, num_bins: int, num_channels: int, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, num_channels, kernel_size=3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(num_channels, num_channels, kernel_size=3, stride=2, padding=1)
        self.linear = nn.Linear((num_bins + 3) // 4 * num_channels, dim)

    def forward(self, x: Tensor, x_lens: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, T, F), T at least 1. Returns (B, max(T // 4, 1), dim), not masked, and its lengths."""
        num_latents = max(x.shape[1] // 4, 1)
        x = F.relu(self.conv1(x[:, None]))  # (B, C, T/2, F/2)
        # oneDNN's gradients of a small strided convolution take a third of the time with the channels last.
        x = x.contiguous(memory_format=torch.channels_last)
        x = F.relu(self.conv2(x))[:, :, :num_latents]  # (B, C, T/4, F/4)
        return self.linear(x.permute(0, 2, 3, 1).flatten(2)), subsampled_lens(x_lens)
