"""Schedules are functions of the step; decay is for matrices."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from toy_training import ToyObjective

from stxlib.errors import ConfigError
from stxlib.train.optimizer import AdamWConfig, build_optimizer
from stxlib.train.progress import Speed, as_duration
from stxlib.train.schedule import Constant, Cosine, LinearWarmupDecay, Noam, Schedule
from stxlib.train.seeding import seed_of


@pytest.mark.parametrize("schedule", [LinearWarmupDecay(), Cosine(), Noam(), Constant(warmup_steps=200)])
def test_shape(schedule: Schedule) -> None:
    factors = [schedule.factor(step, 1000) for step in range(1000)]
    assert factors[0] == pytest.approx(1 / schedule.warmup_steps)
    peak = schedule.warmup_steps - 1
    assert max(factors) == pytest.approx(1) and factors[min(peak, 999)] == pytest.approx(max(factors))
    assert all(a < b for a, b in zip(factors[:199], factors[1:200], strict=True)), "the warm-up rises"
    if not isinstance(schedule, (Constant, Noam)):
        assert all(a > b for a, b in zip(factors[199:-1], factors[200:], strict=True)), "then it falls"
        assert factors[-1] == pytest.approx(schedule.final_ratio, abs=1e-9)


def test_values() -> None:
    assert LinearWarmupDecay(warmup_steps=2, final_ratio=0.0).factor(5, 10) == pytest.approx(0.5)
    assert Cosine(warmup_steps=0, final_ratio=0.2).factor(4, 10) == pytest.approx(0.6)
    assert Noam(warmup_steps=100).factor(399, 10) == pytest.approx(0.5)
    assert Constant().factor(0, 10) == 1
    assert LinearWarmupDecay(warmup_steps=5).factor(7, 3) >= 0, "a warm-up longer than the run"


@pytest.mark.parametrize(
    "make", [lambda: Noam(warmup_steps=0), lambda: Cosine(final_ratio=2), lambda: AdamWConfig(lr=0)]
)
def test_impossible_values(make: object) -> None:
    with pytest.raises(ConfigError):
        make()  # type: ignore[operator]


def test_only_matrices_decay() -> None:
    module = nn.Sequential(nn.Conv1d(2, 2, 3), nn.LayerNorm(2), nn.Embedding(3, 2))
    optimizer = build_optimizer(module, AdamWConfig(weight_decay=0.1))
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {name: decays[id(p)] for name, p in module.named_parameters()} == {
        "0.weight": 0.1,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "2.weight": 0.1,
    }


def test_the_fused_optimizer_equals_the_plain_one() -> None:
    objectives = [ToyObjective(), ToyObjective()]
    config = AdamWConfig(lr=0.1)
    fused = build_optimizer(objectives[0], config)
    assert fused.defaults["fused"] is True
    plain = torch.optim.AdamW(
        objectives[1].parameters(), lr=0.1, betas=(0.9, 0.98), weight_decay=0.0, foreach=False
    )
    for group in plain.param_groups + fused.param_groups:
        group["weight_decay"] = 0.01
    for step in range(5):
        for objective, optimizer in zip(objectives, (fused, plain), strict=True):
            torch.manual_seed(step)
            for parameter in objective.parameters():
                parameter.grad = torch.randn_like(parameter)
            optimizer.step()
    for one, other in zip(objectives[0].parameters(), objectives[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_seeds_are_the_same_everywhere() -> None:
    """The number is written down: another Python or machine must give it, too."""
    assert seed_of(1, 2, 3) == 1540937338477698060
    assert len({seed_of(1, step, shard) for step in range(50) for shard in range(4)}) == 200
    assert all(0 <= seed_of(i) < 2**63 for i in range(100))


def test_durations() -> None:
    shown = [as_duration(x) for x in (0.4, 59.4, 192, 18420, 187200)]
    assert shown == ["0s", "59s", "3m12s", "5h07m", "2d04h"]


def test_time_left_follows_the_speed() -> None:
    speed = Speed()
    speed.add(seconds=2, waiting_seconds=0, size=1, unit="audio_s")
    assert speed.seconds_left(10) == pytest.approx(20)
    speed.reset()
    for _ in range(4):
        speed.add(seconds=1, waiting_seconds=0, size=1, unit="audio_s")
    assert speed.seconds_left(10) == pytest.approx(17)
