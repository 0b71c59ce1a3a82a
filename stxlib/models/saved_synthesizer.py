"""A synthesizer on disk."""

from __future__ import annotations

from pathlib import Path

import torch

from stxlib.errors import ConfigError
from stxlib.models.saved import load_network
from stxlib.models.synthesizer import Synthesizer


def load_synthesizer(folder: Path, device: torch.device | str = "cpu") -> Synthesizer:
    """The latent synthesizer that was saved in `folder`, in eval mode. ConfigError for a network of another kind."""
    network, saved = load_network(folder, device)
    if not isinstance(network, Synthesizer):
        raise ConfigError(
            f"{folder}: holds a network of kind {saved.network.kind}, which makes no latents; give the folder of stage 4 (synthesis)"
        )
    return network
