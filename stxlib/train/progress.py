"""Where a run is, and how fast it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from stxlib.train.best import Scored, is_better, ranked


@dataclass
class Progress:
    """What a checkpoint says beside the tensors. Everything else is a function of the step."""

    step: int = 0
    "optimizer steps done, skipped ones included"
    evaluated_at: int = 0
    "steps that were done at the last evaluation"
    best: list[Scored] = field(default_factory=list)
    "evaluations whose weights are kept, best first"
    stale: int = 0
    "evaluations since the best one"
    bad_steps: int = 0
    "steps skipped because loss or gradient was not finite"
    num_updates: int = 0
    "steps that changed the weights; warms up the average"
    seconds: float = 0.0
    "of training, evaluation left out, over all starts of the run"

    def as_json(self) -> dict[str, Any]:
        """For the metadata of a checkpoint."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Progress:
        """The reverse of `as_json`."""
        return Progress(**{**values, "best": [Scored(**entry) for entry in values["best"]]})

    def add_evaluation(self, value: float, *, mode: Literal["min", "max"], num_kept: int) -> Scored | None:
        """Enter the figure of the present weights. Returns the entry when it belongs to the `num_kept` best."""
        entry = Scored(self.step, value)
        self.stale = 0 if not self.best or is_better(value, self.best[0].value, mode) else self.stale + 1
        others = [kept for kept in self.best if kept.step != self.step]
        self.best = ranked([*others, entry], mode)[:num_kept]
        self.evaluated_at = self.step
        return entry if entry in self.best else None


class Speed:
    """Time and data since the last report."""

    def __init__(self) -> None:
        self._step_seconds = 0.0
        self.unit = ""
        """of the size of a batch"""
        self.reset()

    def reset(self) -> None:
        """Start the next window."""
        self.num_steps = 0
        self.seconds = self.waiting_seconds = self.size = 0.0

    def add(self, *, seconds: float, waiting_seconds: float, size: float, unit: str) -> None:
        """Count one step; of its time, how much passed waiting for data; and the size of its batches on this rank."""
        self.num_steps += 1
        self.seconds += seconds
        self.waiting_seconds += waiting_seconds
        self.size += size
        self.unit = unit

    def seconds_left(self, num_steps: int) -> float:
        """An estimate for so many more steps: a mean of the windows in which old ones fade."""
        now = self.seconds / max(1, self.num_steps)
        self._step_seconds = now if not self._step_seconds else 0.7 * self._step_seconds + 0.3 * now
        return self._step_seconds * num_steps


def as_text(values: Mapping[str, float]) -> str:
    """`loss 1.832 ctc 2.1`: four digits of each figure."""
    return " ".join(f"{key} {value:.4g}" for key, value in values.items())


def as_duration(seconds: float) -> str:
    """`42s`, `3m12s`, `5h07m`, `2d04h`."""
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{minutes}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{days}d{hours % 24:02d}h"
