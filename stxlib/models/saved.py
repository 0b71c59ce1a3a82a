"""A network on disk: a folder that alone is enough to use it.

network.yaml        its config and sizes
model.safetensors   its weights, normalization of the features among them
units/              the vocabularies that its outputs are indices of
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from stxlib.atomic import make_folder, write_text, written_whole
from stxlib.config import dump_config, load_config
from stxlib.errors import DataError
from stxlib.models.speech_to_text import SpeechToText, SpeechToTextConfig


@dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    vocab_size: int
    """tokens that the decoder writes"""
    num_units: int
    """units of the CTC at the latents"""


@dataclass(frozen=True, kw_only=True)
class SavedConfig:
    sizes: NetworkSizes
    """what the vocabularies decide"""
    network: SpeechToTextConfig = field(default_factory=SpeechToTextConfig)
    """the network"""


def save_network(
    folder: Path, network: SpeechToText, config: SpeechToTextConfig, *, sizes: dict[str, int], units_dir: Path
) -> None:
    """Write the network into `folder`, which may hold other files. Each file is complete or absent; the weights come last.

    sizes: vocab_size and num_units; units_dir: the folder that `stxlib.bin.tokenize` wrote, copied.
    """
    make_folder(folder)
    new_units, old_units = folder / "units.new", folder / "units.old"
    for leftover in (new_units, old_units):
        shutil.rmtree(leftover, ignore_errors=True)
    if units_dir.resolve() != (folder / "units").resolve():
        shutil.copytree(units_dir, new_units)
        if (folder / "units").exists():
            (folder / "units").rename(old_units)
        new_units.rename(folder / "units")
        shutil.rmtree(old_units, ignore_errors=True)
    saved = SavedConfig(sizes=NetworkSizes(**sizes), network=config)
    write_text(folder / "network.yaml", dump_config(saved))
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with written_whole(folder / "model.safetensors") as path:
        path.write_bytes(save(weights))


def check_saved(folder: Path) -> None:
    """Raise DataError for a folder that holds no network, before anything is done for its sake."""
    for name in ("network.yaml", "model.safetensors"):
        if not (folder / name).is_file():
            raise DataError(
                f"{folder / name}: not there; give the folder of a finished training run (stage 3 or 5)"
            )


def load_network(folder: Path, device: torch.device | str = "cpu") -> SpeechToText:
    """The network that `save_network` wrote, in eval mode. DataError when a file is missing, damaged, or does not fit the others."""
    check_saved(folder)
    config_path, weights_path = folder / "network.yaml", folder / "model.safetensors"
    saved = load_config(SavedConfig, config_path)
    network = SpeechToText(saved.network, saved.sizes.vocab_size, saved.sizes.num_units)
    try:
        weights = load_file(weights_path)
        missing, unexpected = network.load_state_dict(weights, strict=False)
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{weights_path}: cannot be loaded ({reason}); train again or copy the folder again"
        ) from error
    if missing or unexpected:
        raise DataError(
            f"{weights_path}: does not fit {config_path.name}: missing {sorted(missing)}, unexpected {sorted(unexpected)};"
            " copy both from the same run"
        )
    return network.to(device).eval()
