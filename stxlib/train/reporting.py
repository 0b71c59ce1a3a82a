"""What a run says about its steps and evaluations: a line, and points of curves."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from stxlib.ratio import Ratio
from stxlib.train.distributed import Distributed
from stxlib.train.evaluation import Evaluation
from stxlib.train.progress import Progress, Speed, as_duration, as_text
from stxlib.train.run_dir import RunDir


def report_steps(
    run_dir: RunDir,
    progress: Progress,
    max_steps: int,
    metrics: Mapping[str, Ratio],
    lr: float,
    grad_norm: float,
    speed: Speed,
    distributed: Distributed,
) -> None:
    """Report the steps since the last report, and start the next window of `speed`.

    Curves: `train/<figure>`, `lr`, `grad_norm`, `speed` (of the batches: seconds of audio or tokens, a second), `waiting_for_data` (share of the
    time), `gpu_memory_gib`. Every rank has to call it.
    """
    values = {key: ratio.value for key, ratio in metrics.items()}
    size: float = sum(distributed.gather(speed.size))
    rate = size / max(speed.seconds, 1e-9)
    eta = as_duration(speed.seconds_left(max_steps - progress.step))
    summary = f"{as_text(values) or '(no update)'} lr {lr:.1e} grad {grad_norm:.2g} {speed.unit}/s {rate:.1f}"
    run_dir.report(summary, f"{run_dir.name} step {progress.step}/{max_steps} {summary} eta {eta}")
    points = {f"train/{key}": value for key, value in values.items()}
    points |= {"lr": lr, "grad_norm": grad_norm, "speed": rate}
    points["waiting_for_data"] = speed.waiting_seconds / max(speed.seconds, 1e-9)
    if distributed.device.type == "cuda":
        points["gpu_memory_gib"] = torch.cuda.max_memory_allocated(distributed.device) / 2**30
    run_dir.scalars(progress.step, points)
    speed.reset()


def report_evaluation(
    run_dir: RunDir, at: str, evaluation: Evaluation, progress: Progress, seconds: float
) -> None:
    """Report an evaluation that `progress` knows already. Curves: `dev/<figure>`."""
    values = evaluation.values
    first = progress.best[0]
    place = (
        "the best so far" if first.step == progress.step else f"best {first.value:.4g} at step {first.step}"
    )
    run_dir.log(f"{at} dev {as_text(values)} ({place}; {as_duration(seconds)})")
    run_dir.scalars(progress.step, {f"dev/{key}": value for key, value in values.items()})
    run_dir.pictures_and_texts(progress.step, evaluation.images, evaluation.texts)
