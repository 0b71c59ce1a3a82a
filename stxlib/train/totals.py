"""Sums and counts of many batches, kept on the device until someone reads them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from stxlib.ratio import Ratio, add_ratios
from stxlib.train.distributed import Distributed


def detached(metrics: Mapping[str, Ratio]) -> dict[str, Ratio]:
    """The same ratios without their graphs, still on the device."""
    return {
        key: Ratio(*(x.detach() if isinstance(x, Tensor) else x for x in (ratio.sum, ratio.count)))
        for key, ratio in metrics.items()
    }


def as_vector(metrics: Mapping[str, Ratio], device: torch.device) -> Tensor:
    """(2 * number of ratios,) float64 on the device: sum, count, sum, count ...; waits for nothing."""
    numbers = [number for ratio in metrics.values() for number in (ratio.sum, ratio.count)]
    tensors = [x.detach() for x in numbers if isinstance(x, Tensor)]
    if len(tensors) == len(numbers) and len({(x.dtype, x.device) for x in tensors}) == 1:
        return torch.stack(tensors).to(device, torch.float64)
    return torch.stack(
        [
            x.detach().to(device, torch.float64, non_blocking=True).reshape(())
            if isinstance(x, Tensor)
            else torch.full((), x, dtype=torch.float64, device=device)
            for x in numbers
        ]
    )


class Totals:
    """Adds up dictionaries of ratios. Batches may report different keys (a step with text, one without)."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._vectors: dict[tuple[str, ...], Tensor] = {}

    def add(self, metrics: Mapping[str, Ratio]) -> None:
        """Add one batch."""
        if not metrics:
            return
        keys, vector = tuple(metrics), as_vector(metrics, self._device)
        if keys in self._vectors:
            self._vectors[keys] += vector
        else:
            self._vectors[keys] = vector

    def take(self, distributed: Distributed) -> dict[str, Ratio]:
        """The totals over all ranks as floats, and start again at zero. Every rank has to call it."""
        own: dict[str, Ratio] = {}
        for keys, vector in self._vectors.items():
            sums, counts = vector.tolist()[::2], vector.tolist()[1::2]
            own = add_ratios(own, {key: Ratio(s, c) for key, s, c in zip(keys, sums, counts, strict=True)})
        self._vectors = {}
        everyone: dict[str, Ratio] = {}
        for part in distributed.gather(own):
            everyone = add_ratios(everyone, part)
        return everyone
