"""A training run small enough for tests: a network of 33 weights on utterances of three numbers.

Also a command: `python toy_training.py OUT [key=value ...]`, alone or under torchrun.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stxlib.ratio import Ratio
from stxlib.train.distributed import Distributed
from stxlib.train.optimizer import AdamWConfig
from stxlib.train.run_dir import RunDir
from stxlib.train.schedule import LinearWarmupDecay
from stxlib.train.trainer import Result, TrainerConfig, fit

BATCH_SIZE = 8


@dataclass(frozen=True)
class ToyBatch:
    utts: tuple[str, ...]
    points: Tensor  # (B, 3)
    labels: Tensor  # (B,)
    weights: Tensor  # (B,): how much of the count is an utterance's; so parts of a batch count unequally

    size_unit = "audio_s"

    @property
    def size(self) -> float:
        return 2.0 * len(self.utts)

    def to(self, device: torch.device | str) -> ToyBatch:
        return replace(
            self,
            points=self.points.to(device),
            labels=self.labels.to(device),
            weights=self.weights.to(device),
        )


def draw(name: str, seed: int, size: int) -> ToyBatch:
    """A batch that is a function of the seed."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, 3, generator=generator)
    labels = (points[:, 0] * points[:, 1] - points[:, 2]).tanh()
    weights = torch.randint(1, 9, (size,), generator=generator).float()
    return ToyBatch(tuple(f"{name}-{i}" for i in range(size)), points, labels, weights)


class ToyBatches:
    """Step n is `draw(n)`, cut into shards. `before(step)` is called when its first shard is asked for."""

    num_batches = 4

    def __init__(self, num_shards: int = 1, before: Callable[[int], None] | None = None) -> None:
        self.num_shards = num_shards
        self.before = before
        self.bad: dict[int, int] = {}  # step -> index in its batch of an utterance that is not a number
        self.asked: list[int] = []

    def iterate(self, start_step: int, stop_step: int, shards: Sequence[int]) -> Iterator[ToyBatch]:
        for step in range(start_step, stop_step):
            self.asked.append(step)
            if self.before is not None:
                self.before(step)
            for shard in shards:
                yield self.shard(step, shard)

    def shard(self, step: int, shard: int) -> ToyBatch:
        whole = draw(f"step{step}", 1000 + step, BATCH_SIZE)
        if step in self.bad:
            whole.points[self.bad[step]] = float("nan")
        keep = slice(shard, None, self.num_shards)
        return ToyBatch(whole.utts[keep], whole.points[keep], whole.labels[keep], whole.weights[keep])


class ToyDev:
    """Three batches of unequal size. `before()` is called when an evaluation begins."""

    def __init__(self, before: Callable[[], None] | None = None) -> None:
        self.before = before

    def iterate(self, rank: int, world_size: int) -> Iterator[ToyBatch]:
        for index, size in enumerate((5, 3, 4)):
            if index == 1 and self.before is not None:
                self.before()
            if index % world_size == rank:
                yield draw(f"dev{index}", index, size)


class ToyObjective(nn.Module):
    def __init__(self, seed: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.network = nn.ModuleDict(
            {
                "bottom": nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(dropout)),
                "top": nn.Sequential(nn.Linear(4, 2), nn.Tanh(), nn.Linear(2, 1)),
            }
        )
        self.register_buffer("scale", torch.ones(1))

    def forward(self, batch: ToyBatch) -> dict[str, Ratio]:
        hidden = self.network["bottom"](batch.points * self.scale)
        errors = (self.network["top"](hidden).squeeze(-1).float() - batch.labels) ** 2
        near = (errors.detach() < 0.1).float() * batch.weights
        count = batch.weights.sum()
        return {"loss": Ratio((errors * batch.weights).sum(), count), "near": Ratio(near.sum(), count)}


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    note: str = "toy"


def trainer_config(**changes: Any) -> TrainerConfig:
    """Ten steps, saved after each three, evaluated after each four; no dropout, no clipping in the way."""
    values: dict[str, Any] = {
        "max_steps": 10,
        "save_every": 3,
        "eval_every": 4,
        "log_every": 2,
        "optimizer": AdamWConfig(lr=0.05),
        "schedule": LinearWarmupDecay(warmup_steps=2, final_ratio=0.1),
    }
    return TrainerConfig(**(values | changes))


def train_toy(
    path: Path,
    *,
    objective: ToyObjective | None = None,
    batches: ToyBatches | None = None,
    dev: ToyDev | None = None,
    distributed: Distributed | None = None,
    note: str = "toy",
    **changes: Any,
) -> tuple[ToyObjective, Result]:
    """Train in this process; returns the objective and how it went."""
    distributed = distributed or Distributed.single()
    config = trainer_config(**changes)
    objective = objective or ToyObjective(dropout=0.2)
    batches = batches or ToyBatches(distributed.world_size * config.accumulation)
    run_dir = RunDir(path, "toy", config=ToyConfig(trainer=config, note=note), is_main=distributed.is_main)
    result = fit(
        objective,
        batches,
        dev or ToyDev(),
        config=config,
        run_dir=run_dir,
        distributed=distributed,
        seed=7,
    )
    return objective, result


def process(path: Path, out: Path, changes: dict[str, Any]) -> None:
    """The body of a process of its own: train and save the weights to `out`, on each rank.

    changes: of the trainer, and `dropout`, `kill_at` (SIGKILL before this step), `terminate_at` (SIGTERM),
    `terminate_in_evaluation`, `bad` (steps with an utterance that is not a number), `pause` (seconds per step).
    """
    torch.set_num_threads(1)
    changes = dict(changes)
    kill_at, terminate_at = changes.pop("kill_at", None), changes.pop("terminate_at", None)
    in_evaluation, bad = changes.pop("terminate_in_evaluation", False), changes.pop("bad", {})
    pause, dropout = changes.pop("pause", 0.0), changes.pop("dropout", 0.2)
    distributed = Distributed.init("cpu")

    def before(step: int) -> None:
        time.sleep(pause)
        if step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if step == terminate_at and distributed.rank == distributed.world_size - 1:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)  # torchrun and the scheduler both send it

    def before_evaluation() -> None:
        if in_evaluation:
            os.kill(os.getpid(), signal.SIGTERM)

    accumulation = changes.get("accumulation", 1)
    batches = ToyBatches(distributed.world_size * accumulation, before)
    batches.bad = bad
    objective, _ = train_toy(
        path,
        objective=ToyObjective(dropout=dropout),
        batches=batches,
        dev=ToyDev(before_evaluation),
        distributed=distributed,
        **changes,
    )
    torch.save(objective.state_dict(), f"{out}.rank{distributed.rank}")
    distributed.close()


def in_process(
    rank: int, world_size: int, port: int, out: Path, target: Callable[..., None], arguments: Any
) -> None:
    """Call the target as one rank of several, what it prints going to the file `out`."""
    with out.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if world_size > 1:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(world_size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
    target(*arguments)


if __name__ == "__main__":
    words = dict(word.split("=") for word in sys.argv[2:])
    process(
        Path(sys.argv[1]),
        Path(sys.argv[1]) / "weights",
        {k: float(v) if "." in v else int(v) for k, v in words.items()},
    )
