"""Training: one loop, in which every event is an `if`, in order."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import nn

from stxlib.errors import ConfigError, StxError
from stxlib.train import best
from stxlib.train.checkpoint import save_checkpoint
from stxlib.train.distributed import Distributed, gradients_kept_local
from stxlib.train.ema import Ema
from stxlib.train.evaluation import DevBatches, Evaluation, Inspect, evaluate
from stxlib.train.guard import MicroBatch, keep_bad_step
from stxlib.train.init import set_train_mode
from stxlib.train.memory import out_of_memory_explained, preflight
from stxlib.train.optimizer import (
    AdamWConfig,
    build_optimizer,
    gradients,
    norm_of,
    set_learning_rate,
    trainable,
)
from stxlib.train.precision import agreed, autocast_of, resolved
from stxlib.train.progress import Progress, Speed, as_duration
from stxlib.train.provenance import first_lines
from stxlib.train.reporting import report_evaluation, report_steps
from stxlib.train.resume import go_on
from stxlib.train.run_dir import RunDir
from stxlib.train.schedule import Constant, Cosine, LinearWarmupDecay, Noam
from stxlib.train.seeding import seed_torch
from stxlib.train.state import collect
from stxlib.train.termination import Terminated, Termination
from stxlib.train.totals import Totals, as_vector, detached

# Sums of losses have larger gradients than means, so the loss scale of fp16 begins lower than torch's 2^16. An
# overflow is routine, it halves the scale; but when that has gone this far, it is not the scale that is wrong.
FIRST_FP16_SCALE, SMALLEST_FP16_SCALE = 2.0**10, 2.0**-14


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How an objective is minimized."""

    max_steps: int = 2000
    "optimizer steps of the whole run"
    accumulation: int = 1
    "parts into which each rank's share of a batch is split to save memory; the update stays the same"
    max_grad_norm: float = 5.0
    "the gradient of the mean loss is scaled down to this norm; 0: not clipped"
    optimizer: AdamWConfig = field(default_factory=AdamWConfig)
    "what turns gradients into updates"
    schedule: LinearWarmupDecay | Cosine | Noam | Constant = field(default_factory=LinearWarmupDecay)
    "learning rate as a function of the step"
    ema_decay: float = 0.99
    "decay of the average of the weights that is evaluated and saved; warmed up; 0: no average"
    autocast: Literal["auto", "none", "bf16", "fp16"] = "none"
    "precision of the forward pass; none: float32; auto: bf16 where the device has arithmetic for it; fp16 scales the loss"
    eval_every: int = 500
    "steps between evaluations; the last step is always evaluated"
    save_every: int = 500
    "steps between checkpoints; each evaluation and SIGTERM save too"
    keep_best: int = 5
    "evaluated weights to keep"
    average_best: int = 3
    "of these, how many are averaged into the final network; 1: the best one"
    best_metric: str = "loss"
    "figure of the development set that ranks them"
    best_mode: Literal["min", "max"] = "min"
    "whether the lowest or the highest is best"
    patience: int = 0
    "stop after so many evaluations in a row without a new best; 0: never"
    max_bad_steps: int = 0
    "steps whose loss or gradient is not finite are skipped up to this number in a run; one more ends it"
    log_every: int = 50
    "steps between lines of the log and points of the curves"
    resume: bool = True
    "go on from the folder's checkpoint if it has one; false: start afresh, checkpoints there are removed"
    find_unused: bool = False
    "with several processes: look for parameters without a gradient at each step (slower), if there are any"
    detect_anomaly: bool = False
    "let autograd name the operation that made a nan (several times slower)"

    def __post_init__(self) -> None:
        for name in ("max_steps", "accumulation", "eval_every", "save_every", "log_every", "keep_best"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)}; expected 1 or more")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"ema_decay: {self.ema_decay}; expected 0 <= ema_decay < 1")
        if not 1 <= self.average_best <= self.keep_best:
            raise ConfigError(
                f"average_best: {self.average_best}; expected 1 to keep_best ({self.keep_best})"
            )


class Batches(Protocol):
    """Training data. The batch at a step is a function of the step, and split into a shard per micro-batch.

    A batch of a shard has `.utts`, `.size` (how much it is, in its `.size_unit`) and `.to(device)`.
    """

    @property
    def num_batches(self) -> int:
        """Steps per epoch."""
        ...

    def iterate(self, start_step: int, stop_step: int, shards: Sequence[int]) -> Iterator[Any]:
        """For each step in turn, the batches of these shards in this order."""
        ...


@runtime_checkable
class KnowsWorstBatch(Protocol):
    """Training data that can tell which of its batches needs the most memory."""

    def worst_batch(self, shard: int) -> Any:
        """The shard of the largest batch of an epoch."""
        ...


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    step: int
    reason: Literal["max_steps", "patience"]
    best: tuple[best.Scored, ...]
    "evaluations whose weights are in `<run>/best`, best first"
    metrics: dict[str, float] = field(default_factory=dict)
    "of the last evaluation in this process; empty when the run had ended before"


def fit(
    objective: nn.Module,
    train: Batches,
    dev: DevBatches,
    *,
    config: TrainerConfig,
    run_dir: RunDir,
    distributed: Distributed,
    seed: int,
    inspect: Inspect | None = None,
    facts: Sequence[str] = (),
) -> Result:
    """Minimize `objective(batch)["loss"]`; the network to keep is then `best.final_state(run_dir.path, ...)`.

    objective: batch -> figures, among them `loss`: a sum with its graph, and a count. Freezing is done already.
        Its randomness may come from torch's generators only, which are seeded by (seed, step, shard).
    inspect: makes pictures and texts of the first batch of the development set at each evaluation.
    facts: lines about the data for the head of the log.

    The update of a step is the gradient of (sum of losses) / (sum of counts) over all micro-batches and ranks, so
    any split of a batch gives the same update. Killed at any point, the same call goes on at the exact step, and
    on a CPU ends with bit-equal weights.
    Raises ConfigError for settings that changed since the checkpoint or memory that does not suffice, StxError
    when the loss diverges, Terminated (exit status 143) after SIGTERM, when the checkpoint is written.
    """
    device, say = distributed.device, run_dir.log
    objective.to(device)
    parameters = list(trainable(objective).values())
    optimizer = build_optimizer(objective, config.optimizer)
    ema = Ema(objective, config.ema_decay)
    precision = agreed(distributed.gather(resolved(config.autocast, device)))
    autocast = autocast_of(precision, device)
    scaler = torch.amp.GradScaler(device.type, FIRST_FP16_SCALE, enabled=precision == "fp16")
    if distributed.is_main:
        for line in first_lines(objective, run_dir.settings, run_dir.sources, distributed, precision, facts):
            say(f"{run_dir.name} {line}")

    if config.resume:
        progress = go_on(objective, ema, optimizer, scaler, run_dir, distributed, precision)
    else:
        run_dir.clear()
        progress = Progress()
    if progress.step:
        say(f"{run_dir.name} resumes at step {progress.step}/{config.max_steps}")
    run_dir.write_config()

    kept_before, saved_at = list(progress.best), progress.step

    def save() -> None:
        nonlocal kept_before, saved_at
        if distributed.is_main:
            metadata = {
                "progress": progress.as_json(),
                "scaler": scaler.state_dict(),
                "settings": run_dir.settings,
                "world_size": distributed.world_size,
                "precision": precision,
            }
            save_checkpoint(run_dir.path, collect(objective, ema, optimizer), metadata)
            run_dir.flush()
            # The backup still lists what was best at the save before this one.
            best.remove_others(run_dir.path, [*progress.best, *kept_before])
        kept_before, saved_at = list(progress.best), progress.step

    set_train_mode(objective)
    # Memory that does not suffice shall show now, and not in the middle of the night.
    if device.type == "cuda" and isinstance(train, KnowsWorstBatch) and progress.step < config.max_steps:
        copies = (0 if optimizer.state else 2) + (distributed.world_size > 1)
        worst = train.worst_batch(distributed.rank)
        say(f"{run_dir.name} {preflight(objective, optimizer, worst, autocast, num_copies=copies)}")

    model = distributed.wrap(objective, find_unused=config.find_unused)
    # Shard r + m W of a step's batch is micro-batch m of rank r of W.
    num_shards = distributed.world_size * config.accumulation
    shards = range(distributed.rank, num_shards, distributed.world_size)
    stream: Iterator[Any] | None = None
    totals, speed = Totals(device), Speed()
    evaluation: Evaluation | None = None
    terminating = False

    with ExitStack() as stack:
        termination = stack.enter_context(Termination())
        stack.enter_context(torch.autograd.set_detect_anomaly(config.detect_anomaly))
        stack.callback(run_dir.close)
        run_dir.open_bar(progress.step, config.max_steps)
        while True:
            step = progress.step
            at = f"{run_dir.name} step {step}/{config.max_steps}"

            # Once in a while, and at the end: evaluate the averaged weights; keep them if among the best.
            is_due = step >= config.max_steps or (step > 0 and step % config.eval_every == 0)
            has_evaluated = False
            if is_due and progress.evaluated_at != step and not terminating:
                began = time.perf_counter()
                with ema.applied():
                    evaluation = evaluate(
                        objective,
                        dev,
                        distributed,
                        autocast=autocast,
                        termination=termination,
                        inspect=inspect,
                    )
                    if evaluation is not None:
                        value = evaluation.value_of(config.best_metric)
                        entry = progress.add_evaluation(
                            value, mode=config.best_mode, num_kept=config.keep_best
                        )
                        if entry is not None and distributed.is_main:
                            best.keep(
                                run_dir.path, entry, objective.state_dict(), {"metric": config.best_metric}
                            )
                        report_evaluation(run_dir, at, evaluation, progress, time.perf_counter() - began)
                set_train_mode(objective)
                has_evaluated, terminating = evaluation is not None, evaluation is None

            # Save after each evaluation, from time to time, and when asked to end.
            if has_evaluated or (saved_at != step and (terminating or step % config.save_every == 0)):
                save()

            # End because of SIGTERM, at the last step, or when nothing gets better.
            if terminating:
                say(f"{at}: SIGTERM: the checkpoint is saved, the same command goes on from here")
                raise Terminated
            if step >= config.max_steps or (config.patience and progress.stale >= config.patience):
                break

            # One step: forward and backward of all micro-batches; gradients of sums add up.
            began, waited, size, unit = time.perf_counter(), 0.0, 0.0, ""
            parts: list[MicroBatch] = []
            if stream is None:
                stream = iter(train.iterate(step, config.max_steps, shards))
            for shard in shards:
                asked = time.perf_counter()
                try:
                    batch = next(stream)
                except RuntimeError:
                    # A signal to the whole process group ends the loader's processes, too; torch reports it so.
                    if not termination.requested:
                        raise
                    break
                waited += time.perf_counter() - asked
                size += batch.size
                unit = batch.size_unit
                seed_torch(seed, step, shard)
                is_last = shard == shards[-1]
                with out_of_memory_explained(batch, at), gradients_kept_local(model, local=not is_last):
                    with autocast():
                        metrics = model(batch.to(device))
                    scaler.scale(metrics["loss"].sum).backward()
                parts.append(MicroBatch(shard, batch, detached(metrics)))
            if len(parts) < len(shards):
                terminating = True
                continue

            # Sum of losses and their count over all ranks, and whether one of them was asked to end.
            sums = torch.stack([as_vector({"loss": part.metrics["loss"]}, device) for part in parts]).sum(0)
            asked_to_end = torch.full((1,), float(termination.requested), dtype=torch.float64, device=device)
            sums = distributed.sum_(torch.cat([sums, asked_to_end]))
            scaler.unscale_(optimizer)
            grads = gradients(parameters)
            norm = norm_of(grads).to(device, torch.float64)
            # The one place of a step that waits for the device. Ranks read equal numbers and so decide alike.
            loss_sum, loss_count, num_asked, norm_of_sums = torch.cat([sums, norm[None]]).tolist()
            # DDP has divided the sum of gradients by the number of ranks.
            per_count = distributed.world_size / max(loss_count, 1.0)
            grad_norm = norm_of_sums * per_count
            lr = config.optimizer.lr * config.schedule.factor(step, config.max_steps)

            # Skip what is not finite; else update. An overflow of fp16 is no fault: the scale is halved below.
            is_finite = math.isfinite(loss_sum) and math.isfinite(norm_of_sums)
            is_overflow = scaler.is_enabled() and math.isfinite(loss_sum) and not is_finite
            if is_overflow and scaler.get_scale() > SMALLEST_FP16_SCALE:
                say(f"{at}: an overflow of fp16: no update, the loss scale {scaler.get_scale():g} is halved")
            elif not is_finite:
                progress.bad_steps += 1
                told = keep_bad_step(run_dir.path, step, parts, grad_norm, distributed)
                if progress.bad_steps > config.max_bad_steps:
                    raise StxError(
                        f"{at}: {told}; look at these utterances, lower trainer.optimizer.lr, "
                        f"or allow trainer.max_bad_steps (now {config.max_bad_steps})"
                    )
                say(f"{at}: skipped ({progress.bad_steps} of {config.max_bad_steps} allowed): {told}")
            else:
                clip = min(1.0, config.max_grad_norm / max(grad_norm, 1e-12)) if config.max_grad_norm else 1.0
                torch._foreach_mul_(grads, per_count * clip)
                set_learning_rate(optimizer, lr)
                optimizer.step()
                progress.num_updates += 1
                ema.update()
                for part in parts:
                    totals.add(part.metrics)
            if scaler.is_enabled():
                scaler.update()
            optimizer.zero_grad(set_to_none=True)

            progress.step += 1
            terminating = num_asked > 0
            seconds = time.perf_counter() - began
            progress.seconds += seconds
            speed.add(seconds=seconds, waiting_seconds=waited, size=size, unit=unit)
            run_dir.advance_bar()

            # Say where we are.
            if progress.step % config.log_every == 0 or progress.step == config.max_steps:
                report_steps(
                    run_dir,
                    progress,
                    config.max_steps,
                    totals.take(distributed),
                    lr,
                    grad_norm,
                    speed,
                    distributed,
                )

        reason: Literal["max_steps", "patience"] = "max_steps" if step >= config.max_steps else "patience"
        first = progress.best[0]
        say(
            f"{at}: done ({reason}) after {as_duration(progress.seconds)} of training; "
            f"best {config.best_metric} {first.value:.4g} at step {first.step}"
        )
    values = evaluation.values if evaluation is not None else {}
    return Result(progress.step, reason, tuple(progress.best), values)
