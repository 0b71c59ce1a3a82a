"""Speed perturbation: the resampling of stxlib.ops.features for ratios of small numbers, an order of magnitude faster.

10 s of audio at 16 kHz on one core: 2.5 ms here, 12 to 20 ms by `resample` (its convolution of one channel is not
vectorized well). A filter of q phases is one matrix product of all blocks of p samples.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

MAX_DENOMINATOR = 20
_ZERO_CROSSINGS = 16
_ROLLOFF = 0.99


def change_speed(wave: np.ndarray, speed: float) -> np.ndarray:
    """Play (N,) float32 samples `speed` times as fast, pitch and all: ceil(N / speed) samples.

    `speed` is taken as a ratio p / q of numbers up to 20 (9/10, 11/10); equal to `resample(wave, p, q)` up to rounding.
    """
    ratio = Fraction(speed).limit_denominator(MAX_DENOMINATOR)
    p, q = ratio.numerator, ratio.denominator
    if p == q:
        return wave
    width, phases = _phases(p, q)
    num_samples = -(-len(wave) * q // p)
    num_blocks = -(-num_samples // q)
    padded = torch.zeros((num_blocks - 1) * p + len(phases))
    used = min(len(wave), len(padded) - width)
    padded[width : width + used] = torch.from_numpy(wave[:used])
    blocks = padded.as_strided((num_blocks, len(phases)), (p, 1))  # (blocks, 2 width + p), overlapping
    changed: np.ndarray = (blocks @ phases).view(-1)[:num_samples].numpy()
    return changed


@lru_cache(maxsize=16)
def _phases(p: int, q: int) -> tuple[int, Tensor]:
    """Samples before a block, and the filter of each of its q outputs: (2 width + p, q), a Hann-windowed sinc."""
    cutoff = min(p, q) * _ROLLOFF
    width = math.ceil(_ZERO_CROSSINGS * p / cutoff)
    time = (np.arange(-width, width + p)[:, None] / p - np.arange(q)[None] / q) * cutoff
    time = time.clip(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = np.cos(time * np.pi / _ZERO_CROSSINGS / 2) ** 2
    return width, torch.from_numpy((np.sinc(time) * window * cutoff / p).astype(np.float32))
