"""The log-mel features of Whisper (Radford et al. 2022, arXiv 2212.04356, section 2.2), batched and on any device."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

SAMPLE_RATE = 16000
HOP_SAMPLES = 160
_FFT_SIZE = 400
_FLOOR = 1e-10
# What is quieter than the loudest bin by more decades than this is raised to there.
_DECADES = 8.0
# The mel scale of Slaney's Auditory Toolbox: 3 mels in 200 Hz up to 1 kHz, and 27 for each factor of 6.4 above.
_MELS_PER_HZ, _EDGE_HZ, _MELS_PER_LOG = 3 / 200, 1000.0, 27 / math.log(6.4)


@torch.no_grad()
def whisper_log_mel(waves: Tensor, num_mels: int) -> Tensor:
    """Log-mel features (B, N // 160, F), 10 ms apart, each utterance's loudest bin 2 above its floor.

    waves: (B, N) float32 in [-1, 1] at 16 kHz, N a multiple of 160 above 200. The first and the last frame see the wave mirrored at its
    ends. Whisper's own preparation fills the wave up with zeros to 30 s before.
    """
    assert waves.shape[1] % HOP_SAMPLES == 0 and waves.shape[1] > _FFT_SIZE // 2, waves.shape
    with torch.autocast(waves.device.type, enabled=False):
        window, filters = _window_and_filters(num_mels, waves.device)
        spectrum = torch.stft(
            waves.float(), _FFT_SIZE, HOP_SAMPLES, window=window, return_complex=True
        )  # (B, 201, N / 160 + 1)
        power = spectrum[:, :, :-1].abs().square()
        log_mel = (filters @ power).clamp(min=_FLOOR).log10()  # (B, F, N / 160)
        loudest = log_mel.amax((1, 2), keepdim=True)
        return ((torch.maximum(log_mel, loudest - _DECADES) + 4.0) / 4.0).transpose(1, 2)


@lru_cache(maxsize=8)
def _window_and_filters(num_mels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Hann's window (400,), and triangles of equal area on the mel scale from 0 to 8 kHz: (F, 201)."""
    top = _mel(SAMPLE_RATE / 2)
    corners = torch.tensor(
        [_hz(top * index / (num_mels + 1)) for index in range(num_mels + 2)], dtype=torch.float64
    )
    left, center, right = (part[:, None] for part in (corners[:-2], corners[1:-1], corners[2:]))
    bins = torch.linspace(0, SAMPLE_RATE / 2, _FFT_SIZE // 2 + 1, dtype=torch.float64)
    triangles = torch.minimum((bins - left) / (center - left), (right - bins) / (right - center))
    filters = triangles.clamp(min=0) * 2 / (right - left)
    return torch.hann_window(_FFT_SIZE, device=device), filters.float().to(device)


def _mel(hz: float) -> float:
    if hz < _EDGE_HZ:
        return hz * _MELS_PER_HZ
    return _EDGE_HZ * _MELS_PER_HZ + math.log(hz / _EDGE_HZ) * _MELS_PER_LOG


def _hz(mel: float) -> float:
    edge = _EDGE_HZ * _MELS_PER_HZ
    return mel / _MELS_PER_HZ if mel < edge else _EDGE_HZ * math.exp((mel - edge) / _MELS_PER_LOG)
