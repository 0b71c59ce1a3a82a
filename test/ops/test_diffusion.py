"""The schedule of a diffusion, and DDIM with a denoiser that knows the answer."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from stxlib.ops.diffusion import (
    NUM_TIMES,
    add_noise,
    ddim,
    parts,
    sampling_times,
    signal_levels,
    velocity_of,
)


def test_levels_are_those_of_ddpm() -> None:
    levels = signal_levels()
    assert len(levels) == NUM_TIMES + 1 and levels[0] == 1 and bool((levels[1:] < levels[:-1]).all())
    expected = 1.0
    for step in range(NUM_TIMES):
        expected *= 1 - (1e-4 + (0.02 - 1e-4) * step / (NUM_TIMES - 1))
        assert float(levels[step + 1]) == pytest.approx(expected, rel=1e-9)
    assert expected == pytest.approx(4.04e-5, rel=1e-2)


def test_noising_and_velocity_by_definition() -> None:
    torch.manual_seed(0)
    sample, noise = torch.randn(2, 3, 5, 4)
    times = torch.tensor([0, 700, 1000])
    noised, velocity = add_noise(sample, noise, times), velocity_of(sample, noise, times)
    assert torch.equal(noised[0], sample[0]) and torch.equal(velocity[0], noise[0])
    level = float(signal_levels()[700])
    torch.testing.assert_close(
        noised[1], math.sqrt(level) * sample[1] + math.sqrt(1 - level) * noise[1], rtol=0, atol=1e-6
    )
    # A rotation: both follow from noised and velocity at any time.
    signal, rest = parts(times)
    torch.testing.assert_close(signal * noised - rest * velocity, sample, rtol=0, atol=1e-6)
    torch.testing.assert_close(rest * noised + signal * velocity, noise, rtol=0, atol=1e-6)


def test_sampling_times_go_from_noise_to_signal() -> None:
    for num_steps in range(1, NUM_TIMES + 1):
        times = sampling_times(num_steps)
        assert (times[0], times[-1], len(times)) == (NUM_TIMES, 0, num_steps + 1)
        assert all(now > then for now, then in zip(times[:-1], times[1:], strict=True))


@pytest.mark.parametrize("num_steps", [1, 2, 7, 50, 1000])
def test_a_denoiser_that_knows_the_sample_gives_it(num_steps: int) -> None:
    torch.manual_seed(0)
    sample, noise = torch.randn(2, 3, 6, 4)
    num_calls = 0

    def oracle(noised: Tensor, times: Tensor) -> Tensor:
        nonlocal num_calls
        num_calls += 1
        signal, rest = parts(times)
        return velocity_of(sample, (noised - signal * sample) / rest, times)

    torch.testing.assert_close(ddim(noise, oracle, num_steps), sample, rtol=0, atol=2e-6)
    assert num_calls == num_steps


def test_samples_of_a_normal_distribution_have_its_deviation() -> None:
    # Of data N(0, 2^2) the best denoiser is known; many steps then turn N(0, 1) into it.
    torch.manual_seed(0)

    def best(noised: Tensor, times: Tensor) -> Tensor:
        signal, rest = parts(times)
        variance = 4 * signal**2 + rest**2
        return velocity_of(4 * signal / variance * noised, rest / variance * noised, times)

    noise = torch.randn(1, 200, 50)
    found = ddim(noise, best, 200)
    torch.testing.assert_close(found, 2 * noise, rtol=0.02, atol=1e-3)
