"""Learning rate schedules: pure functions of the step, so that resuming needs no state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from stxlib.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LinearWarmupDecay:
    """Up to the peak in a line, then down to `final_ratio` of it in a line."""

    kind: Literal["linear_warmup_decay"] = "linear_warmup_decay"
    warmup_steps: int = 200
    "steps until the learning rate reaches its peak"
    final_ratio: float = 0.03
    "share of the peak that is left at the last step"

    def __post_init__(self) -> None:
        _check(self.warmup_steps, self.final_ratio)

    def factor(self, step: int, max_steps: int) -> float:
        """Share of the peak at a step (0-based)."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        return 1 + (self.final_ratio - 1) * _progress(step, self.warmup_steps, max_steps)


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """Up to the peak in a line, then down to `final_ratio` of it in half a cosine."""

    kind: Literal["cosine"] = "cosine"
    warmup_steps: int = 200
    "steps until the learning rate reaches its peak"
    final_ratio: float = 0.0
    "share of the peak that is left at the last step"

    def __post_init__(self) -> None:
        _check(self.warmup_steps, self.final_ratio)

    def factor(self, step: int, max_steps: int) -> float:
        """Share of the peak at a step (0-based)."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        half_wave = (1 + math.cos(math.pi * _progress(step, self.warmup_steps, max_steps))) / 2
        return self.final_ratio + (1 - self.final_ratio) * half_wave


@dataclass(frozen=True, kw_only=True)
class Noam:
    """Up to the peak in a line, then down with the inverse square root of the step.

    Source: Vaswani et al. 2017, section 5.3, scaled so that the peak is 1 at the end of the warm-up.
    """

    kind: Literal["noam"] = "noam"
    warmup_steps: int = 1000
    "steps until the learning rate reaches its peak, at least 1"

    def __post_init__(self) -> None:
        if self.warmup_steps < 1:
            raise ConfigError(f"warmup_steps: {self.warmup_steps}; noam needs at least 1")

    def factor(self, step: int, max_steps: int) -> float:
        """Share of the peak at a step (0-based); the number of steps does not matter."""
        return min((step + 1) / self.warmup_steps, math.sqrt(self.warmup_steps / (step + 1)))


@dataclass(frozen=True, kw_only=True)
class Constant:
    """Up to the peak in a line, then the peak."""

    kind: Literal["constant"] = "constant"
    warmup_steps: int = 0
    "steps until the learning rate reaches its peak"

    def __post_init__(self) -> None:
        _check(self.warmup_steps, 0.0)

    def factor(self, step: int, max_steps: int) -> float:
        """Share of the peak at a step (0-based); the number of steps does not matter."""
        return min(1.0, (step + 1) / max(1, self.warmup_steps))


Schedule = LinearWarmupDecay | Cosine | Noam | Constant


def _progress(step: int, warmup_steps: int, max_steps: int) -> float:
    """0 at the end of the warm-up, 1 at the last step."""
    return min(1.0, max(0.0, (step - warmup_steps + 1) / max(1, max_steps - warmup_steps)))


def _check(warmup_steps: int, final_ratio: float) -> None:
    if warmup_steps < 0:
        raise ConfigError(f"warmup_steps: {warmup_steps}; expected 0 or more")
    if not 0 <= final_ratio <= 1:
        raise ConfigError(f"final_ratio: {final_ratio}; expected a share between 0 and 1")
