"""A checkpoint on disk: flat tensors and JSON in one safetensors file, with the one before it as backup."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stxlib.atomic import sync, written_whole
from stxlib.errors import DataError

NEWEST = "checkpoint.safetensors"
BACKUP = "checkpoint.backup.safetensors"
DAMAGED = "checkpoint.damaged.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What one file holds: tensors by name, and everything else as JSON values."""

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]
    path: Path


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a safetensors file whole: temporary name, fsync, rename. Tied tensors are stored twice."""
    stored: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        storage = own.untyped_storage().data_ptr()
        stored[name] = own.clone() if storage in seen else own  # safetensors refuses shared memory
        seen.add(storage)
    with written_whole(path) as temporary:
        save_file(stored, temporary, metadata={"json": json.dumps(metadata)})


def load_tensors(path: Path) -> Checkpoint:
    """Read a file of `save_tensors`. Raises DataError when it is missing, truncated or something else."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {})["json"])
            names = list(file.keys())
            return Checkpoint({name: file.get_tensor(name) for name in names}, metadata, path)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not a whole checkpoint: {error}; restore it or remove it") from error


def save_checkpoint(folder: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write the newest checkpoint; the one that was newest becomes the backup.

    Killed at any point, one whole file is left: the old one is renamed only when the new one is on the disk.
    """
    coming = folder / "checkpoint.coming.safetensors"
    save_tensors(coming, tensors, metadata)
    if (folder / NEWEST).exists():
        os.replace(folder / NEWEST, folder / BACKUP)
    os.replace(coming, folder / NEWEST)
    sync(folder)


def load_checkpoint(folder: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest whole checkpoint of a run, None for a new run.

    say: is told when the newest is damaged and the backup stands in for it.
    Raises DataError when there are checkpoints, and none is whole.
    """
    present = [path for path in (folder / NEWEST, folder / BACKUP) if path.exists()]
    damage: list[str] = []
    for path in present:
        try:
            checkpoint = load_tensors(path)
        except DataError as error:
            damage.append(str(error.__cause__))
            continue
        if path.name == BACKUP:
            why = f"is damaged ({damage[0]})" if damage else "is missing"
            say(f"{folder / NEWEST} {why}: going on from {BACKUP}")
        return checkpoint
    if present:
        raise DataError(
            f"{folder}: no whole checkpoint: {'; '.join(damage)}; "
            "start afresh with resume false (what was learnt is lost)"
        )
    return None


def set_damaged_aside(folder: Path) -> None:
    """After going on from the backup: rename the damaged newest file, lest the next save make it the backup."""
    if (folder / NEWEST).exists():
        os.replace(folder / NEWEST, folder / DAMAGED)
        sync(folder)
