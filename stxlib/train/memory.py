"""Running out of GPU memory: found out before the first step, and explained when it happens later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

from stxlib.errors import ConfigError


@contextmanager
def out_of_memory_explained(batch: Any, where: str) -> Iterator[None]:
    """Turn torch's out-of-memory error into one that names the batch and the remedies."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        utts = ", ".join(batch.utts[:5]) + (f" and {len(batch.utts) - 5} more" if len(batch.utts) > 5 else "")
        total = ""
        if torch.cuda.is_available():
            total = f" of {torch.cuda.get_device_properties(0).total_memory / 2**30:.1f} GiB"
        raise ConfigError(
            f"{where}: out of memory{total} with {len(batch.utts)} utterances, "
            f"{batch.size:.1f} {batch.size_unit} ({utts}); make batches smaller, "
            "or raise trainer.accumulation (same update, smaller parts)"
        ) from error


def preflight(
    objective: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Any,
    autocast: Callable[[], AbstractContextManager[Any]],
    *,
    num_copies: int,
) -> str:
    """Run forward and backward on the largest batch that will come, with room for the optimizer's moments.

    num_copies: how many times the trainable weights will be stored besides weights and gradients (moments of an
        optimizer that has not stepped yet; DDP's buckets).
    The objective is left as it was: no gradients, buffers restored. Returns a line about what was used.
    Raises ConfigError when memory does not suffice.
    """
    parameters = [p for p in objective.parameters() if p.requires_grad]
    device = parameters[0].device
    buffers = {name: buffer.clone() for name, buffer in objective.named_buffers()}
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with out_of_memory_explained(batch, "memory check before the first step"):
        moments = [torch.empty_like(p) for p in parameters for _ in range(num_copies)]
        with autocast():
            loss = objective(batch.to(device))["loss"].sum
        loss.backward()
    del moments, loss
    optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, buffer in objective.named_buffers():
            buffer.copy_(buffers[name])
    line = f"memory check: the largest batch has {len(batch.utts)} utterances, {batch.size:.1f} {batch.size_unit}"
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**30
        total = torch.cuda.get_device_properties(device).total_memory / 2**30
        line += f"; peak {peak:.2f} of {total:.1f} GiB"
    return line
