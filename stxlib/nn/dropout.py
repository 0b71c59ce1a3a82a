"""Dropout of what a module adds to the stream, cheap enough for a CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """x + weight * dropout(y): each element of y is set to zero with probability `dropout`, the others scaled up to keep the mean.

    On a CPU the probability is rounded to a 256th, and a random byte decides on an element: torch's own dropout draws a double for each,
    which took 12 % of a training step. The scale fits the rounded probability.
    """

    def __init__(self, dropout: float) -> None:
        super().__init__()
        assert 0 <= dropout < 1, dropout
        self.dropout = dropout
        self.num_dropped = round(256 * dropout)  # of 256 bytes

    def forward(self, x: Tensor, y: Tensor, weight: float = 1.0) -> Tensor:
        """x, y: of one shape."""
        if not self.training or self.dropout == 0:
            return torch.add(x, y, alpha=weight)
        if y.device.type != "cpu":
            return torch.add(x, F.dropout(y, self.dropout), alpha=weight)
        kept = random_bytes(y.numel()).view(y.shape) >= self.num_dropped
        return torch.add(x, y * kept, alpha=weight * 256 / (256 - self.num_dropped))


def random_bytes(count: int) -> Tensor:
    """(count,) uint8 on the CPU, from torch's generator, eight at a draw."""
    words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    return words.view(torch.uint8)[:count]
