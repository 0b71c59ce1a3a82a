"""The best checkpoints of a run by a figure of the development set, and the average of their weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from stxlib.errors import DataError
from stxlib.train.checkpoint import load_checkpoint, load_tensors, save_tensors

FOLDER = "best"


@dataclass(frozen=True)
class Scored:
    """Weights that were evaluated: after which step, and how good."""

    step: int
    value: float

    @property
    def file_name(self) -> str:
        """Inside `<run>/best`."""
        return f"step{self.step:07d}.safetensors"


def is_better(value: float, than: float, mode: Literal["min", "max"]) -> bool:
    """nan is worse than anything; equal is not better."""
    if math.isnan(value):
        return False
    return math.isnan(than) or (value < than if mode == "min" else value > than)


def ranked(entries: Sequence[Scored], mode: Literal["min", "max"]) -> list[Scored]:
    """Best first; of equals the earlier one, nan last."""
    sign = 1 if mode == "min" else -1
    return sorted(
        entries, key=lambda e: (math.isnan(e.value), 0 if math.isnan(e.value) else sign * e.value, e.step)
    )


def keep(folder: Path, entry: Scored, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write the weights of an entry to `<run>/best`."""
    save_tensors(folder / FOLDER / entry.file_name, tensors, {**metadata, **asdict(entry)})


def remove_others(folder: Path, wanted: Sequence[Scored]) -> None:
    """Delete files of `<run>/best` that no checkpoint on disk lists: neither the newest nor the backup."""
    names = {entry.file_name for entry in wanted}
    for path in (folder / FOLDER).glob("step*.safetensors*"):
        if path.name not in names:
            path.unlink(missing_ok=True)


def average(paths: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of the weights of several files, summed in float64; whole numbers are the first's.

    Raises DataError when the files do not hold tensors of the same names and shapes.
    """
    assert paths
    first = load_tensors(paths[0]).tensors
    sums = {name: tensor.double() for name, tensor in first.items() if tensor.is_floating_point()}
    for path in paths[1:]:
        tensors = load_tensors(path).tensors
        different = [
            name
            for name in sorted(set(first) | set(tensors))
            if name not in first or name not in tensors or first[name].shape != tensors[name].shape
        ]
        if different:
            raise DataError(f"{path}: {different[0]} differs from {paths[0]}: average files of one run only")
        for name in sums:
            sums[name] += tensors[name]
    return {
        name: (sums[name] / len(paths)).to(tensor.dtype) if name in sums else tensor
        for name, tensor in first.items()
    }


def final_state(
    folder: Path, *, average_best: int, prefix: str = "", steps: Sequence[int] = ()
) -> tuple[dict[str, Tensor], str]:
    """The weights that a finished run hands on: the average of its `average_best` best (moving averages each).

    steps: average the weights after these steps instead, which have to be among those kept.
    prefix: keep the tensors under this prefix only, and cut it off (`network.` of an objective).
    Returns the state dict on the CPU, and a line that says what was averaged.
    Raises DataError when the run has not evaluated yet, or has not kept a step.
    """
    checkpoint = load_checkpoint(folder, say=lambda message: None)
    entries = [Scored(**entry) for entry in checkpoint.metadata["progress"]["best"]] if checkpoint else []
    if not entries:
        raise DataError(f"{folder}: nothing was evaluated yet; train first")
    kept_steps = {entry.step: entry for entry in entries}
    if missing := [step for step in steps if step not in kept_steps]:
        kept = ", ".join(map(str, sorted(kept_steps)))
        raise DataError(
            f"{folder}: weights after step {missing[0]} were not kept; there are those after {kept}"
        )
    used = [kept_steps[step] for step in steps] or entries[:average_best]
    with torch.no_grad():
        tensors = average([folder / FOLDER / entry.file_name for entry in used])
    told = ", ".join(f"step {entry.step} ({entry.value:.5g})" for entry in used)
    state = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    assert state, f"no tensor under {prefix}"
    return state, f"average of {len(used)}: {told}" if len(used) > 1 else told
