"""Denoising diffusion: how much noise there is at each time, noising, and DDIM sampling.

A sample z_0 and noise eps make z_t = sqrt(a_t) z_0 + sqrt(1 - a_t) eps (Ho et al. 2020, DDPM, arXiv 2006.11239, eq. 4, where a_t is called
alpha-bar). A denoiser gives the velocity v = sqrt(a_t) eps - sqrt(1 - a_t) z_0 (Salimans and Ho 2022, arXiv 2202.00512, appendix D): a rotation of
(z_0, eps), so that both follow from z_t and v without dividing by a small number. From the noise alone, z_0 at the last time would be the
difference of two numbers 160 times as large, and sampling in few steps would begin with that error.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

NUM_TIMES = 1000

Denoise = Callable[[Tensor, Tensor], Tensor]
"(z_t (B, T, D), times (B,) int64) -> velocity (B, T, D)"


def signal_levels(device: torch.device | str = "cpu") -> Tensor:
    """a_t for t = 0 (nothing but signal, 1) to NUM_TIMES (4e-5): (NUM_TIMES + 1,) float64; beta from 1e-4 to 0.02 as in DDPM."""
    betas = torch.linspace(1e-4, 0.02, NUM_TIMES, dtype=torch.float64)
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - betas).cumprod(0)]).to(device)


def parts(times: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(a_t) and sqrt(1 - a_t) of times (B,) int64: two of (B, 1, 1) float32."""
    level = signal_levels(times.device)[times][:, None, None]
    return level.sqrt().float(), (1 - level).sqrt().float()


def add_noise(sample: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """z_t of sample (B, T, D) and noise (B, T, D) at times (B,)."""
    signal, rest = parts(times)
    return signal * sample + rest * noise


def velocity_of(sample: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """What the denoiser is to give for `add_noise` of the same."""
    signal, rest = parts(times)
    return signal * noise - rest * sample


def sampling_times(num_steps: int) -> list[int]:
    """The num_steps + 1 times at which DDIM stops: from NUM_TIMES to 0, as even as whole numbers are."""
    assert 1 <= num_steps <= NUM_TIMES, num_steps
    return [round(NUM_TIMES * (1 - step / num_steps)) for step in range(num_steps + 1)]


def ddim(noise: Tensor, denoise: Denoise, num_steps: int) -> Tensor:
    """From noise (B, T, D) to a sample, without further randomness (Song et al. 2021, DDIM, arXiv 2010.02502, eq. 12 with eta = 0)."""
    z = noise
    times = sampling_times(num_steps)
    for now, then in zip(times[:-1], times[1:], strict=True):
        at = torch.full((len(z),), now, device=z.device)
        velocity = denoise(z, at)
        signal, rest = parts(at)
        sample = signal * z - rest * velocity
        noise = rest * z + signal * velocity
        z = add_noise(sample, noise, torch.full_like(at, then))
    return z
