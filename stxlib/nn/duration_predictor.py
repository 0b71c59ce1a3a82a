"""How many frames each unit will take: a regression on encoded units (FastSpeech, Ren et al. 2019, arXiv 1905.09263, section 3.3)."""

from __future__ import annotations

from torch import Tensor, nn

from stxlib.nn.wavenet import DilatedConv
from stxlib.ops.masks import length_mask

KERNEL_SIZE = 3


class DurationPredictor(nn.Module):
    """Twice a convolution over neighbours, ReLU, LayerNorm and dropout; then a linear map to `num_outputs` numbers for each unit."""

    def __init__(self, dim: int, num_outputs: int, dropout: float) -> None:
        super().__init__()
        self.convs = nn.ModuleList(DilatedConv(dim, dim, KERNEL_SIZE) for _ in range(2))
        self.after = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.LayerNorm(dim), nn.Dropout(dropout)) for _ in range(2)
        )
        self.out = nn.Linear(dim, num_outputs)

    def forward(self, x: Tensor, x_lens: Tensor) -> Tensor:
        """x: (B, P, D), finite everywhere. Returns (B, P, num_outputs), zero past x_lens (B,)."""
        valid = length_mask(x_lens, x.shape[1])[:, :, None].to(x.dtype)
        for conv, after in zip(self.convs, self.after, strict=True):
            x = after(conv(x * valid))
        y: Tensor = self.out(x) * valid
        return y
