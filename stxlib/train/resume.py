"""Going on where an earlier start of the same run was."""

from __future__ import annotations

import torch
from torch import nn

from stxlib.errors import ConfigError
from stxlib.train.checkpoint import BACKUP, load_checkpoint, set_damaged_aside
from stxlib.train.distributed import Distributed
from stxlib.train.ema import Ema
from stxlib.train.precision import Precision
from stxlib.train.progress import Progress
from stxlib.train.run_dir import RunDir
from stxlib.train.settings import check_unchanged
from stxlib.train.state import restore


def go_on(
    objective: nn.Module,
    ema: Ema,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    run_dir: RunDir,
    distributed: Distributed,
    precision: Precision,
) -> Progress:
    """Restore everything from the folder's checkpoint, if there is one, and say so; returns where the run is.

    Raises ConfigError when settings have changed that matter, or ranks do not see the same checkpoint.
    """
    progress, name = Progress(), run_dir.name
    checkpoint = load_checkpoint(run_dir.path, run_dir.log)
    run_dir.purge_curves(after=-1)  # a start that was killed before its first checkpoint has left points
    if checkpoint is not None:
        metadata = checkpoint.metadata
        where = str(checkpoint.path)
        for change in check_unchanged(where, metadata["settings"], run_dir.settings, run_dir.harmless):
            run_dir.log(f"{name} setting changed: {change}")
        if metadata["world_size"] != distributed.world_size:
            run_dir.log(
                f"{name} processes: {metadata['world_size']} -> {distributed.world_size}: the same updates, "
                "but sums are rounded in another order"
            )
        if (before := metadata.get("precision", precision)) != precision:
            run_dir.log(f"{name} precision: {before} -> {precision}, as these devices have it")
        restore(objective, ema, optimizer, checkpoint.tensors)
        progress = Progress.from_json(metadata["progress"])
        ema.num_updates = progress.num_updates
        scaler.load_state_dict(metadata["scaler"])
        run_dir.purge_curves(after=progress.step)
    if len(set(distributed.gather(progress.step))) > 1:
        raise ConfigError(f"{run_dir.path}: ranks see different checkpoints; all must see the same folder")
    if checkpoint is not None and checkpoint.path.name == BACKUP and distributed.is_main:
        set_damaged_aside(run_dir.path)
    return progress
