"""Random numbers of each utterance of a batch: a function of its own seed, so not of the batch that it is in."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def uniform(seeds: Tensor, counts: Tensor, stream: int) -> Tensor:
    """(B, longest) float32 in [0, 1), 0 past counts (B,).

    seeds: (B,) int64. stream: numbers of other streams are independent of these. The first numbers of an utterance do not depend on
    how many are drawn. Always computed on the CPU, so they are the same on every device.
    """
    rows = [
        torch.from_numpy(_generator(seed, stream).random(count, np.float32))
        for seed, count in zip(seeds.tolist(), counts.tolist(), strict=True)
    ]
    return _stack(rows).to(seeds.device)


def normal(seeds: Tensor, lens: Tensor, dim: int, stream: int) -> Tensor:
    """(B, longest, dim) float32 of the standard normal distribution, 0 past lens (B,). As `uniform` in all else."""
    rows = [
        torch.from_numpy(_generator(seed, stream).standard_normal((count, dim), np.float32))
        for seed, count in zip(seeds.tolist(), lens.tolist(), strict=True)
    ]
    drawn = _stack(rows) if rows else torch.zeros(0, 0, dim)
    return drawn.to(seeds.device)


def _generator(seed: int, stream: int) -> np.random.Generator:
    # torch.Generator keeps 32 bits of a seed on the CPU, and has no streams; a key of Philox is both numbers as they are.
    key = np.array([seed & (2**64 - 1), stream], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def _stack(rows: list[Tensor]) -> Tensor:
    if not rows:
        return torch.zeros(0, 0)
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
