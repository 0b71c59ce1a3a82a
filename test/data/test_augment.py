from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stxlib.data.augment import (
    Augment,
    AugmentConfig,
    GeneratedNoiseConfig,
    NoiseDirConfig,
    add_noise,
    change_speed,
    coloured_noise,
)
from stxlib.data.data_dir import DataDir
from stxlib.errors import ConfigError

RATE = 16000


def tone(hz: float, num_samples: int = 8000) -> np.ndarray:
    return (0.2 * np.sin(2 * np.pi * hz / RATE * np.arange(num_samples))).astype(np.float32)


def snr(wave: np.ndarray, mixed: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(wave**2) / np.mean((mixed - wave) ** 2)))


@pytest.mark.parametrize("speed", [0.9, 1.1, 0.5, 1.25])
def test_speed_changes_length_and_pitch(speed: float) -> None:
    changed = change_speed(tone(500), speed)
    assert len(changed) == int(np.ceil(round(8000 / speed, 6)))
    assert changed.dtype == np.float32
    expected = tone(500 * speed, len(changed))
    np.testing.assert_allclose(changed[300:-300], expected[300:-300], atol=2e-3)


def test_speed_1_is_the_wave_itself() -> None:
    wave = tone(500)
    assert change_speed(wave, 1.0) is wave


@pytest.mark.parametrize("colour", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("num_samples", [1, 2, 4097, 8000])
def test_coloured_noise_has_unit_power_and_its_slope(colour: float, num_samples: int) -> None:
    noise = coloured_noise(num_samples, colour, np.random.default_rng(3))
    assert (noise.shape, noise.dtype) == ((num_samples,), np.float32)
    assert np.isfinite(noise).all()
    assert np.mean(noise**2) == pytest.approx(1, rel=1e-3)
    if num_samples == 8000:
        power = np.abs(np.fft.rfft(noise)) ** 2
        low, high = power[20:200].mean(), power[200:2000].mean()
        octaves = np.log2(np.mean(np.arange(200, 2000) ** -colour) / np.mean(np.arange(20, 200) ** -colour))
        assert np.log2(high / low) == pytest.approx(octaves, abs=0.6)


@pytest.mark.parametrize("level", [5.0, 20.0])
def test_noise_is_added_at_its_level(level: float) -> None:
    wave = tone(500)
    mixed = add_noise(wave, coloured_noise(len(wave), 1.0, np.random.default_rng(0)), level)
    assert snr(wave, mixed) == pytest.approx(level, abs=0.01)
    loud = add_noise(wave * 4.9, coloured_noise(len(wave), 0.0, np.random.default_rng(0)), level)
    assert np.abs(loud).max() == pytest.approx(1)


def test_silence_stays_silent() -> None:
    silence = np.zeros(100, np.float32)
    np.testing.assert_array_equal(add_noise(silence, np.ones(100, np.float32), 10), silence)


@pytest.mark.parametrize("kind", ["none", "generated", "data_dir"])
def test_augmentation_is_a_function_of_wave_and_seed(
    kind: str, make_data_dir: Callable[..., DataDir]
) -> None:
    noise = {
        "none": AugmentConfig(),
        "generated": AugmentConfig(noise=GeneratedNoiseConfig(probability=1)),
        "data_dir": AugmentConfig(
            noise=NoiseDirConfig(path=make_data_dir(sample_rate=8000).path, probability=1)
        ),
    }[kind]
    wave = tone(500)
    original = wave.copy()
    first = Augment(noise, RATE)
    results = [first(wave, seed) for seed in range(12)]
    other = Augment(noise, RATE)
    for seed in reversed(range(12)):
        np.testing.assert_array_equal(other(wave, seed), results[seed])
    np.testing.assert_array_equal(wave, original)
    assert {len(result) for result in results} == {7273, 8000, 8889}
    assert all(result.dtype == np.float32 and np.isfinite(result).all() for result in results)
    if kind != "none":
        levels = [snr(wave, result) for result in results if len(result) == 8000]
        assert levels
        assert all(5 <= level <= 30 for level in levels)


def test_probability_is_the_share_of_noisy_utterances() -> None:
    wave = tone(500, 400)
    augment = Augment(AugmentConfig(speeds=(1.0,), noise=GeneratedNoiseConfig(probability=0.25)), RATE)
    noisy = sum(augment(wave, seed) is not wave for seed in range(400))
    assert 70 <= noisy <= 130


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AugmentConfig(speeds=()), "give one or more numbers between 0.5 and 2"),
        (lambda: AugmentConfig(speeds=(3.0,)), "between 0.5 and 2"),
        (lambda: AugmentConfig(speeds=(0.937,)), r"take 0\.9375 \(15/16\)"),
        (lambda: GeneratedNoiseConfig(probability=2), "a share between 0 and 1"),
        (lambda: GeneratedNoiseConfig(min_snr=20, max_snr=10), "exchange them"),
        (lambda: GeneratedNoiseConfig(min_colour=3), "0 <= min_colour <= max_colour"),
    ],
)
def test_bad_configs(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
