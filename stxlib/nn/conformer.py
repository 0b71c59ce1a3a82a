"""The Conformer (Gulati et al. 2020, arXiv 2005.08100), made so that padding never reaches a valid frame.

Departures from the paper: rotary positions instead of relative ones, LayerNorm instead of BatchNorm in the convolution module (a batch
and one utterance alone then give the same), dropout on what a module adds to the stream only (inside the feed-forward modules it costs
more than it brings on a CPU), and no biases in linear layers (a LayerNorm with a bias precedes each).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from stxlib.errors import ConfigError
from stxlib.nn.attention import RotaryAttention, attention_mask
from stxlib.nn.depthwise_conv import DepthwiseConv
from stxlib.nn.dropout import Residual
from stxlib.nn.rotary import rotations
from stxlib.ops.masks import length_mask


@dataclass(frozen=True, kw_only=True)
class ConformerConfig:
    num_layers: int = 4
    """blocks"""
    dim: int = 144
    """width of the frames"""
    num_heads: int = 4
    """attention heads; divides dim into heads of even width"""
    ff_dim: int = 432
    """width inside the feed-forward modules"""
    kernel_size: int = 15
    """frames that the convolution sees; odd"""
    dropout: float = 0.1
    """dropout of what each module adds (0 or more, below 1)"""

    def __post_init__(self) -> None:
        check_sizes("conformer", self.num_layers, self.dim, self.num_heads, self.ff_dim, self.dropout)
        if self.dim % (2 * self.num_heads):
            raise ConfigError(
                f"conformer.dim: {self.dim} is not a multiple of 2 * num_heads = {2 * self.num_heads}; change one"
            )
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ConfigError(
                f"conformer.kernel_size: {self.kernel_size} is not odd; use an odd number above 0"
            )


def check_sizes(name: str, num_layers: int, dim: int, num_heads: int, ff_dim: int, dropout: float) -> None:
    """Raise ConfigError for sizes of which no stack of blocks can be made; `name` is that of the config."""
    sizes = {"num_layers": num_layers, "dim": dim, "num_heads": num_heads, "ff_dim": ff_dim}
    for key, size in sizes.items():
        if size < 1:
            raise ConfigError(f"{name}.{key}: {size}; use 1 or more")
    if not 0 <= dropout < 1:
        raise ConfigError(f"{name}.dropout: {dropout}; use 0 or more, and less than 1")


class FeedForward(nn.Module):
    """LayerNorm, widen, SiLU, narrow: (B, T, D) -> (B, T, D)."""

    def __init__(self, dim: int, ff_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, ff_dim, bias=False)
        self.down = nn.Linear(ff_dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.up(self.norm(x))))


class ConvModule(nn.Module):
    """LayerNorm, gated linear unit, depthwise convolution over valid frames, LayerNorm, SiLU, linear."""

    def __init__(self, dim: int, kernel_size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.gate = nn.Linear(dim, 2 * dim, bias=False)
        self.conv = DepthwiseConv(dim, kernel_size)
        self.conv_norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """x: (B, T, D); valid: (B, T, 1), 1 where there is a frame, else 0."""
        x = F.glu(self.gate(self.norm(x))) * valid
        return self.out(F.silu(self.conv_norm(self.conv(x))))


class ConformerBlock(nn.Module):
    """Half a feed-forward step, attention, convolution, half a feed-forward step, LayerNorm."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.ff1 = FeedForward(config.dim, config.ff_dim)
        self.attention_norm = nn.LayerNorm(config.dim)
        self.attention = RotaryAttention(config.dim, config.num_heads)
        self.conv = ConvModule(config.dim, config.kernel_size)
        self.ff2 = FeedForward(config.dim, config.ff_dim)
        self.norm = nn.LayerNorm(config.dim)
        self.add = Residual(config.dropout)

    def forward(self, x: Tensor, rotation: Tensor, mask: Tensor, valid: Tensor) -> Tensor:
        x = self.add(x, self.ff1(x), 0.5)
        x = self.add(x, self.attention(self.attention_norm(x), rotation, mask))
        x = self.add(x, self.conv(x, valid))
        x = self.add(x, self.ff2(x), 0.5)
        return self.norm(x)


class Conformer(nn.Module):
    """A stack of Conformer blocks; the last one ends in a LayerNorm."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        self.head_dim = config.dim // config.num_heads
        self.blocks = nn.ModuleList(ConformerBlock(config) for _ in range(config.num_layers))

    def forward(self, x: Tensor, x_lens: Tensor) -> Tensor:
        """x: (B, T, D), finite everywhere. Returns (B, T, D), zero past x_lens (B,)."""
        rotation = rotations(x.shape[1], self.head_dim, x.device)
        mask = attention_mask(x_lens, x.shape[1])
        valid = length_mask(x_lens, x.shape[1])[:, :, None].to(x.dtype)
        for block in self.blocks:
            x = block(x, rotation, mask, valid)
        return x * valid
