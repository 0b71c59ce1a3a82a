"""Randomness as a function of where training is, so that a checkpoint needs no generator states."""

from __future__ import annotations

import hashlib

import torch


def seed_of(*parts: int | str) -> int:
    """A 63-bit number that depends on all parts; the same in every process and Python version."""
    text = " ".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def seed_torch(seed: int, step: int, shard: int) -> None:
    """Seed torch's generators for one micro-batch: dropout is a function of (seed, step, shard).

    It does not depend on the rank that holds the shard: 4 micro-batches and 2 ranks of 2 draw the same.
    """
    number = seed_of(seed, step, shard)
    # Not torch.manual_seed: while CUDA and XPU are not in use, it queues each call with its stack.
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(number)
