"""A synthesizer on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from stxlib.errors import ConfigError
from stxlib.models.saved import load_network
from stxlib.models.synthesizer import Synthesizer
from stxlib.ops.segments import Segments


@runtime_checkable
class TakesSegments(Protocol):
    """A synthesizer whose durations may come from elsewhere, such as from speech."""

    def sample_segments(self, segments: Segments, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """As `Synthesizer.sample`, of units whose durations are given."""
        ...


def load_synthesizer(folder: Path, device: torch.device | str = "cpu") -> Synthesizer:
    """The latent synthesizer that was saved in `folder`, in eval mode. ConfigError for a network of another kind."""
    network, saved = load_network(folder, device)
    if not isinstance(network, Synthesizer):
        raise ConfigError(
            f"{folder}: holds a network of kind {saved.network.kind}, which makes no latents; give the folder of stage 4 (synthesis)"
        )
    return network
