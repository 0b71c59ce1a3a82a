"""A network on disk: a folder that alone is enough to use it.

network.yaml        its config and sizes, and what it has learnt to write
model.safetensors   its weights, normalization of the features among them
units/              the vocabularies that its outputs are indices of
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from stxlib.atomic import make_folder, write_text, written_whole
from stxlib.config import dump_config, load_config
from stxlib.errors import DataError
from stxlib.models.networks import Network, NetworkConfig, NetworkSizes, build_network
from stxlib.models.speech_to_text import SpeechToTextConfig

_FILES = ("network.yaml", "model.safetensors")


@dataclass(frozen=True, kw_only=True)
class SavedConfig:
    """`network.yaml`."""

    sizes: NetworkSizes
    """what the vocabularies decide"""
    tasks: tuple[str, ...] = ("asr",)
    """what its decoder or its heads write; none where they were not trained"""
    ctc_task: str = "asr"
    """what its CTC output writes; empty where that was not trained"""
    words_first: bool = False
    """whether its decoder reads the words (task asr) before it writes another task"""
    latents_of: str = ""
    """of a synthesizer: fingerprint of the speech encoder whose latents it makes"""
    network: NetworkConfig = field(default_factory=SpeechToTextConfig)
    """the network"""


def save_network(folder: Path, network: Network, config: SavedConfig, *, units_dir: Path) -> None:
    """Write the network into `folder`, which may hold other files. Each file is complete or absent; the weights come last.

    units_dir: the folder that `stxlib.bin.tokenize` wrote, copied.
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
    # The network's own config: that of a public encoder holds what it is made of, so that the folder is enough to build it again.
    write_text(folder / "network.yaml", dump_config(replace(config, network=network.config)))
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with written_whole(folder / "model.safetensors") as path:
        path.write_bytes(save(weights))


def fingerprint(module: nn.Module) -> str:
    """The same for equal weights and buffers under equal names, whatever the device; 16 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def hash_saved(folder: Path) -> str:
    """Of the network saved in `folder`, config and weights: 64 hexadecimal digits. DataError for a folder that holds none."""
    check_saved(folder)
    digest = hashlib.sha256()
    for name in _FILES:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def check_saved(folder: Path) -> None:
    """Raise DataError for a folder that holds no network, before anything is done for its sake."""
    for name in _FILES:
        if not (folder / name).is_file():
            raise DataError(
                f"{folder / name}: not there; give the folder of a finished training run (stage 3 or 5) or of a synthesizer (stage 4)"
            )


def read_saved(folder: Path) -> SavedConfig:
    """What a saved network is made of. DataError for a folder that holds none."""
    check_saved(folder)
    return load_config(SavedConfig, folder / "network.yaml")


def load_network(folder: Path, device: torch.device | str = "cpu") -> tuple[Network, SavedConfig]:
    """The network that `save_network` wrote, in eval mode. DataError when a file is missing, damaged, or does not fit the others."""
    saved = read_saved(folder)
    config_path, weights_path = folder / "network.yaml", folder / "model.safetensors"
    network = build_network(saved.network, saved.sizes, saved.tasks)
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
            " where both are of one run, another version of stxlib made them: run its stage again; else copy both from the same run"
        )
    return network.to(device).eval(), saved
