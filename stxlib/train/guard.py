"""A step whose loss or gradient is not a number: which utterances, and the batch kept to look into."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from stxlib.atomic import written_whole
from stxlib.ratio import Ratio
from stxlib.train.checkpoint import save_tensors
from stxlib.train.distributed import Distributed


@dataclass(frozen=True)
class MicroBatch:
    """One part of a step, as the loader gave it, with what it yielded."""

    shard: int
    batch: Any
    metrics: dict[str, Ratio]
    "detached"


def keep_bad_step(
    folder: Path, step: int, parts: Sequence[MicroBatch], grad_norm: float, distributed: Distributed
) -> str:
    """Write the offending micro-batches of this rank and return a sentence that names all ranks' utterances.

    A micro-batch offends when its loss is not finite; when all losses are finite and only the gradient is not,
    every one is under suspicion. Files: `bad_batch_step<N>.shard<S>.safetensors` (tensors) and `.json`
    (utterances, values). Every rank has to call it.
    """
    losses = [float(part.metrics["loss"].sum) for part in parts]
    offending = [part for part, loss in zip(parts, losses, strict=True) if not math.isfinite(loss)]
    everyone = distributed.gather(bool(offending))
    if not any(everyone):
        offending = list(parts)
    for part in offending:
        _write(folder / f"bad_batch_step{step}.shard{part.shard}", step, part, grad_norm)
    names = distributed.gather([utt for part in offending for utt in part.batch.utts])
    utts = [utt for rank_names in names for utt in rank_names]
    what = "loss" if any(everyone) else "gradient"
    shown = ", ".join(utts[:20]) + (f" and {len(utts) - 20} more" if len(utts) > 20 else "")
    kept = f"{folder}/bad_batch_step{step}.*"
    return f"the {what} of step {step} is not finite; utterances: {shown}; kept in {kept}"


def _write(stem: Path, step: int, part: MicroBatch, grad_norm: float) -> None:
    tensors: dict[str, Tensor] = {}
    _collect(part.batch, "", tensors)
    description = {
        "step": step,
        "shard": part.shard,
        "utts": list(part.batch.utts),
        "grad_norm": str(grad_norm),
        "metrics": {
            key: {"sum": str(float(ratio.sum)), "count": float(ratio.count)}
            for key, ratio in part.metrics.items()
        },
    }
    save_tensors(stem.with_name(stem.name + ".safetensors"), tensors, description)
    with written_whole(stem.with_name(stem.name + ".json")) as temporary:
        temporary.write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _collect(value: Any, prefix: str, tensors: dict[str, Tensor]) -> None:
    """All tensors of a batch by dotted field name; a batch may hold batches."""
    if isinstance(value, dict):
        items = value
    else:
        names = [field.name for field in fields(value)] if is_dataclass(value) else list(vars(value))
        items = {name: getattr(value, name) for name in names}
    for name, item in items.items():
        if isinstance(item, Tensor):
            tensors[prefix + name] = item
        elif isinstance(item, dict) or (is_dataclass(item) and not isinstance(item, type)):
            _collect(item, f"{prefix}{name}.", tensors)
