"""Buffers whose sizes come from data, so that a saved network has others than one just made."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn


class FittedBuffers(nn.Module):
    """A module whose buffers `fitted` take on, in load_state_dict, the sizes that they have in the state."""

    fitted: ClassVar[tuple[str, ...]]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in self.fitted:
            stored, own = state_dict.get(prefix + name), getattr(self, name)
            if stored is not None and stored.dim() == own.dim():
                setattr(self, name, torch.zeros(stored.shape, dtype=own.dtype, device=own.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)
