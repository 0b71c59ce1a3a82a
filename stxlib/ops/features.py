"""Audio features, and the one place where torchaudio is imported.

The log-mel front end is batched and in plain torch, so that it runs on any device and inside a network. torchaudio supplies resampling
and CTC forced alignment only; it is imported when one of them is called.
"""

from __future__ import annotations

import importlib
import math
from functools import lru_cache
from types import ModuleType

import torch
from torch import Tensor

from stxlib.errors import ConfigError
from stxlib.ops.masks import length_mask

FRAME_SECONDS = 0.025
SHIFT_SECONDS = 0.010
_PREEMPHASIS = 0.97
_LOW_HZ = 20.0
# Kaldi's samples are 16-bit integers, and its floor under the energies is the smallest float32 step at 1.
_SAMPLE_SCALE = 32768.0
_ENERGY_FLOOR = torch.finfo(torch.float32).eps


def frame_samples(sample_rate: int) -> tuple[int, int]:
    """Samples of one frame, and from one frame to the next: (400, 160) at 16 kHz."""
    return round(FRAME_SECONDS * sample_rate), round(SHIFT_SECONDS * sample_rate)


def num_frames(wave_lens: Tensor, sample_rate: int) -> Tensor:
    """Frames of waves of (B,) samples: 1 + (N - 400) // 160 at 16 kHz, and 0 below one whole frame."""
    size, shift = frame_samples(sample_rate)
    return ((wave_lens - size).div(shift, rounding_mode="floor") + 1).clamp(min=0)


@torch.no_grad()
def log_mel(waves: Tensor, wave_lens: Tensor, sample_rate: int, num_mels: int) -> tuple[Tensor, Tensor]:
    """Log-mel energies as Kaldi computes them (25 ms Povey windows each 10 ms, whole frames only, no dither).

    waves: (B, N) float32 in [-1, 1]; wave_lens: (B,) samples.
    Returns features (B, T, F) float32, zero past feature_lens (B,); T is at least 1, also where no wave fills a frame.
    """
    size, shift = frame_samples(sample_rate)
    feature_lens = num_frames(wave_lens, sample_rate)
    with torch.autocast(waves.device.type, enabled=False):
        waves = waves.float() * _SAMPLE_SCALE
        if waves.shape[1] < size:
            waves = torch.nn.functional.pad(waves, (0, size - waves.shape[1]))
        window, filters = _window_and_filters(sample_rate, num_mels, waves.device)
        fft_size = 2 * (filters.shape[0] - 1)
        # Kaldi takes the mean off a frame, then the emphasis. The emphasis of the whole wave, less that of the mean, is the same but for
        # the first sample of a frame, where the window is 0.
        emphasized = torch.nn.functional.pad(
            torch.sub(waves[:, 1:], waves[:, :-1], alpha=_PREEMPHASIS), (1, 0)
        )
        mean = waves.unfold(1, size, shift).mean(2, keepdim=True)
        frames = torch.sub(emphasized.unfold(1, size, shift), mean, alpha=1 - _PREEMPHASIS).mul_(
            window
        )  # (B, T, size)
        spectrum = torch.fft.rfft(frames, fft_size)
        power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)  # (B, T, fft_size / 2 + 1)
        features = (power @ filters).clamp_(min=_ENERGY_FLOOR).log_()  # (B, T, F)
        padding = ~length_mask(feature_lens, features.shape[1])
        return features.masked_fill_(padding[:, :, None], 0.0), feature_lens


@lru_cache(maxsize=8)
def _window_and_filters(sample_rate: int, num_mels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Povey's window (size,), and triangles on the mel scale from 20 Hz to the Nyquist frequency: (fft_size / 2 + 1, F)."""
    size, _ = frame_samples(sample_rate)
    fft_size = 2 ** math.ceil(math.log2(size))
    hann = torch.hann_window(size, periodic=False, dtype=torch.float64)

    def mel(hz: Tensor) -> Tensor:
        return 1127.0 * torch.log1p(hz / 700.0)

    edges = mel(torch.tensor([_LOW_HZ, sample_rate / 2], dtype=torch.float64))
    corners = torch.linspace(float(edges[0]), float(edges[1]), num_mels + 2, dtype=torch.float64)
    left, center, right = corners[:-2], corners[1:-1], corners[2:]
    bins = mel(torch.arange(fft_size // 2 + 1, dtype=torch.float64) * (sample_rate / fft_size))[:, None]
    filters = torch.minimum((bins - left) / (center - left), (right - bins) / (right - center)).clamp(min=0)
    filters[-1] = 0  # Kaldi leaves the bin at the Nyquist frequency out
    return hann.pow(0.85).float().to(device), filters.float().to(device)


def resample(wave: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """The same sound at another rate, by a windowed sinc with 16 zero crossings.

    wave: (..., N) float32. Returns (..., ceil(N * to_rate / from_rate)).
    Only the ratio of the rates counts: 9 -> 10 slows speech down to .9 of its speed.
    """
    if from_rate == to_rate:
        return wave
    resampled: Tensor = _torchaudio().functional.resample(wave, from_rate, to_rate, lowpass_filter_width=16)
    return resampled


def ctc_viterbi(log_probs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The most probable CTC path of one utterance, on the CPU. `stxlib.ops.align` is the batched door to it.

    log_probs: (T, V); targets: (U,) without blanks (0). Returns the label of each frame (T,), and its log-probability (T,).
    """
    path, scores = _torchaudio().functional.forced_align(
        log_probs[None].contiguous(), targets[None].to(torch.int64)
    )
    return path[0].to(torch.int64), scores[0]


@lru_cache(maxsize=1)
def _torchaudio() -> ModuleType:
    try:
        return importlib.import_module("torchaudio")
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(
            f"torchaudio: does not load beside torch {torch.__version__} ({reason});"
            " install the torchaudio of the same release as torch (tools/setup.sh pins both)"
        ) from error
