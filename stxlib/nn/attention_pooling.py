"""Self-attention pooling: a weighted mean over time, the weights from the frames themselves (Safari et al. 2020, arXiv 2008.01077)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stxlib.ops.masks import length_mask


class AttentionPooling(nn.Module):
    """w = softmax over valid frames of a linear map of each frame, in float32; the result is the sum of w_t x_t."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Linear(dim, 1, bias=False)  # softmax takes a bias off again

    def forward(self, x: Tensor, x_lens: Tensor) -> Tensor:
        """x: (B, T, D). Returns (B, D); zero for a row without frames."""
        x = x.masked_fill(~length_mask(x_lens, x.shape[1])[:, :, None], 0.0)
        return (self.weights(x, x_lens)[:, :, None] * x).sum(1).to(x.dtype)

    def weights(self, x: Tensor, x_lens: Tensor) -> Tensor:
        """(B, T) float32: what each frame counts; zero past the lengths."""
        padding = ~length_mask(x_lens, x.shape[1])
        scores = self.score(x)[:, :, 0].float().masked_fill(padding, torch.finfo(torch.float32).min)
        return scores.softmax(1).masked_fill(padding, 0.0)
