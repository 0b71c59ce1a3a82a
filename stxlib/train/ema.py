"""An exponential moving average of the weights: what is evaluated and what is saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from stxlib.train.optimizer import trainable


class Ema:
    """average <- average + (1 - decay_n) (weights - average) after each update n of the weights.

    decay_n = min(decay, (1 + n) / (10 + n)) for n = 1, 2, ...: a young average soon forgets its random start.
    Frozen parameters and buffers are not averaged. decay 0: off, `applied` then shows the weights themselves.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.num_updates = 0
        self._parameters = trainable(module) if decay else {}
        self.averages: dict[str, Tensor] = {name: p.detach().clone() for name, p in self._parameters.items()}

    def update(self) -> None:
        """Move the average towards the present weights."""
        self.num_updates += 1
        if not self.decay:
            return
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        weights = [parameter.detach() for parameter in self._parameters.values()]
        torch._foreach_lerp_(list(self.averages.values()), weights, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the module holds the averages. Storage is swapped, nothing is copied or rounded."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, parameter in self._parameters.items():
            parameter.data, self.averages[name] = self.averages[name], parameter.data
