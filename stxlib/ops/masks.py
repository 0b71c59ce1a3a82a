"""Which positions of a padded batch are real."""

from __future__ import annotations

import torch
from torch import Tensor


def length_mask(lens: Tensor, max_len: int) -> Tensor:
    """True where a position is real: (B,) lengths -> (B, max_len) bool."""
    return torch.arange(max_len, device=lens.device) < lens[:, None]
