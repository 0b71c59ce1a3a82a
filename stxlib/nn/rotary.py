"""Rotary positions: queries and keys turned by an angle that grows with their position."""

from __future__ import annotations

import torch
from torch import Tensor


def rotary_angles(num_positions: int, head_dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines, (num_positions, head_dim / 2) each (Su et al. 2021, arXiv 2104.09864, eq. 15)."""
    rates = 10000.0 ** (-torch.arange(0, head_dim, 2, device=device, dtype=torch.float32) / head_dim)
    angles = torch.arange(num_positions, device=device, dtype=torch.float32)[:, None] * rates
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn (..., T, H, d) by the angles of their T: products of two such depend on the distance of their positions only.

    Dimension i is paired with i + d/2 (any fixed pairing will do).
    """
    cos, sin = cos[:, None].to(x.dtype), sin[:, None].to(x.dtype)  # (T, 1, d/2)
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
