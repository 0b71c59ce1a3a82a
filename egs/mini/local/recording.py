"""One utterance as it would have been recorded: eSpeak's speech in a room, with noise, as a FLAC file of 16 kHz."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from speakers import Speaker

from stxlib.text.espeak import synthesize

SAMPLE_RATE = 16000
REVERBERATED_SHARE = 0.5
DECAY_SECONDS = (0.08, 0.45)  # time in which the room's sound falls by 60 dB
SIGNAL_TO_NOISE = (5.0, 30.0)  # dB


@dataclass(frozen=True)
class Order:
    """What is to be said, by whom, and into which file; `seed` decides about engine, room and noise."""

    utt: str
    text: str
    speaker: Speaker
    seed: int
    path: Path


@dataclass(frozen=True)
class Recording:
    utt: str
    num_samples: int
    word_times: str
    phone_times: str


def record(order: Order) -> Recording:
    """Speak, place in a room, add noise, write; the times are those of the written file."""
    speaker = order.speaker
    speech = synthesize(
        order.text,
        voice=speaker.voice,
        seed=order.seed,
        rate=speaker.rate,
        pitch=speaker.pitch,
        pitch_range=speaker.pitch_range,
    )
    rng = np.random.Generator(np.random.Philox(order.seed))
    wave = resample(speech.samples.astype(np.float64), speech.sample_rate)
    before, after = (int(seconds * SAMPLE_RATE) for seconds in rng.uniform(0.08, 0.25, size=2))
    power = float(np.mean(wave**2))
    wave = np.concatenate([np.zeros(before), wave, np.zeros(after)])
    if rng.random() < REVERBERATED_SHARE:
        wave = reverberate(wave, rng)
    wave += coloured_noise(len(wave), rng) * np.sqrt(power / 10 ** (rng.uniform(*SIGNAL_TO_NOISE) / 10))
    wave *= rng.uniform(0.3, 0.9) / np.abs(wave).max()
    soundfile.write(order.path, np.round(wave * 32767).astype(np.int16), SAMPLE_RATE, format="FLAC")
    shift = before / SAMPLE_RATE
    return Recording(order.utt, len(wave), _times(speech.words, shift), _times(speech.phones, shift))


def resample(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """Bring eSpeak's 22.05 kHz to 16 kHz by cutting the spectrum off: exact for the short, silent-ended waves of this corpus."""
    spoken = len(wave)
    period = sample_rate // math.gcd(sample_rate, SAMPLE_RATE)  # 441 samples become 320
    wave = np.pad(wave, (0, _fast_size(len(wave) // period + 1) * period - len(wave)))
    num_samples = len(wave) * SAMPLE_RATE // sample_rate
    spectrum = np.fft.rfft(wave)[: num_samples // 2 + 1]
    resampled = np.fft.irfft(spectrum, num_samples) * (num_samples / len(wave))
    return np.asarray(resampled[: spoken * SAMPLE_RATE // sample_rate])


def reverberate(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add the tail of a room to the direct sound, which stays where it is."""
    decay = rng.uniform(*DECAY_SECONDS)
    times = np.arange(int(decay * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(times)) * 10 ** (-3 * times / decay)
    tail[: int(0.002 * SAMPLE_RATE)] = 0  # the first reflection comes from half a metre away
    tail *= 10 ** (-rng.uniform(2, 10) / 20) / np.sqrt(np.sum(tail**2))  # direct sound 2-10 dB above the tail
    tail[0] = 1.0
    size = _fast_size(len(wave) + len(tail))
    return np.asarray(np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(tail, size), size)[: len(wave)])


def coloured_noise(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of power one whose spectrum falls as 1 / f^slope, from white (0) to brown (2)."""
    size = _fast_size(num_samples)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    spectrum *= np.maximum(frequencies, 60.0) ** (-rng.uniform(0, 2) / 2)
    noise = np.fft.irfft(spectrum, size)[:num_samples]
    return np.asarray(noise / np.sqrt(np.mean(noise**2)))


def _fast_size(size: int) -> int:
    """Return a length of at least `size` that is a power of two times at most 16: a prime length costs many times as much."""
    step = 1 << max(size.bit_length() - 4, 0)
    return -(-size // step) * step


def _times(marks: list[tuple[str, float, float]], shift: float) -> str:
    return json.dumps(
        [[name, round(start + shift, 4), round(end + shift, 4)] for name, start, end in marks],
        ensure_ascii=False,
    )
