"""Changes to a wave before a network sees it: its speed, and noise added to it. Each is a function of (wave, seed).

Cost on one core for 10 s at 16 kHz: speed 1.5 ms, generated noise 5 ms, noise from FLAC files the reading of the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from stxlib.data.audio import resample_wave
from stxlib.data.data_dir import DataDir
from stxlib.errors import ConfigError

_MAX_DENOMINATOR = 20


@dataclass(frozen=True, kw_only=True)
class NoNoiseConfig:
    """No noise is added."""

    kind: Literal["none"] = "none"


@dataclass(frozen=True, kw_only=True)
class GeneratedNoiseConfig:
    """Gaussian noise whose power falls with frequency f as 1/f^colour."""

    kind: Literal["generated"] = "generated"
    probability: float = 0.5
    """share of utterances that get noise, 0 to 1"""
    min_snr: float = 5.0
    """least signal-to-noise ratio, dB"""
    max_snr: float = 30.0
    """greatest signal-to-noise ratio, dB; drawn evenly between the two"""
    min_colour: float = 0.0
    """least exponent of 1/f^colour: 0 is white, 1 pink, 2 brown noise"""
    max_colour: float = 2.0
    """greatest exponent; drawn evenly between the two"""

    def __post_init__(self) -> None:
        _check_noise(self.probability, self.min_snr, self.max_snr)
        if not 0 <= self.min_colour <= self.max_colour:
            seen = f"min_colour {self.min_colour:g}, max_colour {self.max_colour:g}"
            raise ConfigError(f"augment.noise: {seen}; 0 <= min_colour <= max_colour is needed")


@dataclass(frozen=True, kw_only=True)
class NoiseDirConfig:
    """Noise drawn from the recordings of a data directory."""

    kind: Literal["data_dir"] = "data_dir"
    path: Path
    """data directory of noise recordings"""
    probability: float = 0.5
    """share of utterances that get noise, 0 to 1"""
    min_snr: float = 5.0
    """least signal-to-noise ratio, dB"""
    max_snr: float = 30.0
    """greatest signal-to-noise ratio, dB; drawn evenly between the two"""

    def __post_init__(self) -> None:
        _check_noise(self.probability, self.min_snr, self.max_snr)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What is done to training waves. SpecAugment belongs to the network's front end."""

    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    """speeds to choose from, each as likely as it is listed; ratios of small numbers are cheap; 1.0 alone is off"""
    noise: NoNoiseConfig | GeneratedNoiseConfig | NoiseDirConfig = field(default_factory=NoNoiseConfig)
    """additive noise"""

    def __post_init__(self) -> None:
        if not self.speeds or not all(0.5 <= speed <= 2 for speed in self.speeds):
            raise ConfigError(
                f"augment.speeds: {list(self.speeds)}; give one or more numbers between 0.5 and 2"
            )
        for speed in self.speeds:
            ratio = Fraction(speed).limit_denominator(_MAX_DENOMINATOR)
            if abs(float(ratio) - speed) > 1e-6:
                seen = f"augment.speeds: {speed:g} is no ratio of numbers up to {_MAX_DENOMINATOR}"
                raise ConfigError(f"{seen}; take {float(ratio):.4g} ({ratio}), which is cheap to resample to")

    @property
    def min_speed(self) -> float:
        """The slowest speed: it makes utterances longest."""
        return min(self.speeds)

    @property
    def max_speed(self) -> float:
        """The fastest speed: it leaves the fewest frames."""
        return max(self.speeds)


class Augment:
    """Speed perturbation, then noise: `augment(wave, seed)`.

    The result depends on the wave and the seed alone, so on no process, order or earlier call.
    """

    def __init__(self, config: AugmentConfig, sample_rate: int, *, allow_pipes: bool = False) -> None:
        self.config = config
        self.sample_rate = sample_rate
        self.allow_pipes = allow_pipes

    def __call__(self, wave: np.ndarray, seed: int) -> np.ndarray:
        """wave: (N,) float32. seed: non-negative, 63 bits. Returns (N / speed,) float32; the input is left as it is."""
        random = np.random.Generator(np.random.Philox(key=seed))
        speeds = self.config.speeds
        wave = change_speed(wave, speeds[int(random.integers(len(speeds)))])
        noise_config = self.config.noise
        if isinstance(noise_config, NoNoiseConfig) or random.random() >= noise_config.probability:
            return wave
        snr = random.uniform(noise_config.min_snr, noise_config.max_snr)
        if isinstance(noise_config, GeneratedNoiseConfig):
            colour = random.uniform(noise_config.min_colour, noise_config.max_colour)
            noise = coloured_noise(len(wave), colour, random)
        else:
            noise = self._recorded_noise(len(wave), random)
        return add_noise(wave, noise, snr)

    @cached_property
    def noise_dir(self) -> DataDir:
        """The data directory that noise is drawn from."""
        assert isinstance(self.config.noise, NoiseDirConfig)
        return DataDir(self.config.noise.path)

    def _recorded_noise(self, num_samples: int, random: np.random.Generator) -> np.ndarray:
        utts = self.noise_dir.utts
        noise = self.noise_dir.load_wave(
            utts[int(random.integers(len(utts)))], self.sample_rate, self.allow_pipes
        )
        # A random cut of the endless repetition of the recording.
        start = int(random.integers(len(noise)))
        return np.take(noise, np.arange(start, start + num_samples), mode="wrap")


def change_speed(wave: np.ndarray, speed: float) -> np.ndarray:
    """Play (N,) float32 samples `speed` times as fast, pitch and all, by resampling: ceil(N / speed) samples.

    The factor is taken as a ratio of small numbers (9/10, 11/10), for which the polyphase filter has few phases.
    """
    ratio = Fraction(speed).limit_denominator(_MAX_DENOMINATOR)
    return resample_wave(wave, ratio.numerator, ratio.denominator)


def coloured_noise(num_samples: int, colour: float, random: np.random.Generator) -> np.ndarray:
    """(N,) float32 Gaussian noise of unit power whose spectrum falls as 1/f^colour."""
    length = _fast_length(num_samples)
    # Drawn in the frequency domain, where white noise is white noise as well: one transform instead of two.
    parts = random.standard_normal(2 * (length // 2 + 1), dtype=np.float32)
    spectrum = parts.view(np.complex64)
    frequencies = np.arange(len(spectrum), dtype=np.float32)
    frequencies[0] = 1
    spectrum *= frequencies ** np.float32(-colour / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, length)[:num_samples].astype(np.float32)
    power = float(np.mean(noise**2))
    return noise / np.float32(max(power, 1e-20) ** 0.5)


def _fast_length(least: int) -> int:
    """The smallest even number from `least` on whose prime factors are 2, 3 and 5: an FFT of it is fast."""
    length = max(least + least % 2, 2)
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2


def add_noise(wave: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Add (N,) noise to (N,) samples at `snr` dB over the whole utterance; scaled down where the sum would clip.

    A silent wave stays silent: there is no signal for a ratio.
    """
    signal_power = float(np.mean(wave**2))
    noise_power = float(np.mean(noise**2))
    if signal_power == 0 or noise_power == 0:
        return wave
    mixed = wave + noise * np.float32((signal_power / noise_power / 10 ** (snr / 10)) ** 0.5)
    peak = float(np.abs(mixed).max())
    return mixed / np.float32(peak) if peak > 1 else mixed


def _check_noise(probability: float, min_snr: float, max_snr: float) -> None:
    if not 0 <= probability <= 1:
        raise ConfigError(f"augment.noise.probability: {probability:g}; give a share between 0 and 1")
    if min_snr > max_snr:
        raise ConfigError(f"augment.noise: min_snr {min_snr:g} is above max_snr {max_snr:g}; exchange them")
