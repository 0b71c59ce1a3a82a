"""Rotary positions: queries and keys turned by an angle that grows with their position."""

from __future__ import annotations

import torch
from torch import Tensor


def rotations(num_positions: int, head_dim: int, device: torch.device) -> Tensor:
    """exp(i * angle) of each position and pair of dimensions: (T, 1, d / 2) complex (Su et al. 2021, arXiv 2104.09864, eq. 15)."""
    rates = 10000.0 ** (-torch.arange(0, head_dim, 2, device=device, dtype=torch.float32) / head_dim)
    angles = torch.arange(num_positions, device=device, dtype=torch.float32)[:, None] * rates
    return torch.polar(torch.ones_like(angles), angles)[:, None]


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Turn neighbouring pairs of dimensions of (..., T, H, d): products of two such depend on the distance of their positions only.

    As complex numbers, computed in float32: one pass over the data in place of six.
    """
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * rotation).flatten(-2).to(x.dtype)
