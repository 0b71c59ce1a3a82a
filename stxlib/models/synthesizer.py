"""What makes latents out of units: the interface that all latent synthesizers share."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from stxlib.ops.segments import Segments


@runtime_checkable
class Synthesizer(Protocol):
    """From units to latents such as a frozen speech encoder gives (Latent Synthesis, arXiv 2310.05374).

    What is made of an utterance depends on its units and its seed alone, not on the batch that it is in.
    """

    num_units: int
    """units of the CTC at the latents, blank included"""
    dim: int
    """width of the latents"""
    latent_mean: Tensor
    """(D,) of real latents over the training set"""
    latent_std: Tensor
    """(D,) of real latents over the training set"""

    @property
    def frames_per_unit(self) -> float:
        """Latents for each unit, mean over the training set: what a batch of text will be long."""
        ...

    def sample(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, T, D), zero past latent_lens, and latent_lens (B,).

        units: (B, U) int64 without BOUNDARY; unit_lens: (B,); seeds: (B,) int64.
        """
        ...

    def durations(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> Segments:
        """What `sample` makes latents of: the units, some perhaps taken for others, and their durations."""
        ...
