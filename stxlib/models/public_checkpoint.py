"""Public speech models as transformers stores them: what they are made of, and their weights."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stxlib.errors import ConfigError

FAMILIES = ("hubert", "wav2vec2", "wavlm", "whisper")
# Draws from the process's generator, and weights that a step may leave out: neither is reproducible over processes.
_OFF: dict[str, Any] = {
    "layerdrop": 0.0,
    "mask_time_prob": 0.0,
    "mask_feature_prob": 0.0,
    "add_adapter": False,
}
_NOT_OF_THE_MODEL = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures")


@dataclass(frozen=True)
class Architecture:
    """All that is needed to build a public model, without its weights."""

    model: dict[str, Any]
    """its config, as transformers writes it"""
    sample_rate: int
    normalizes_waves: bool
    """whether its waves have mean 0 and deviation 1 over each utterance"""

    @property
    def family(self) -> str:
        """One of FAMILIES."""
        return str(self.model["model_type"])

    def to_json(self) -> str:
        """One line of text that `of_json` reads."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def of_json(text: str) -> Architecture:
        """Raises ConfigError for what is none."""
        try:
            found = Architecture(**json.loads(text))
            if found.family not in FAMILIES:
                raise ValueError(f"model_type {found.family}")
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"architecture: not the description of a public encoder ({error}); copy it from a saved network, or leave it out"
            ) from None
        return found


def read_architecture(model: str, revision: str) -> Architecture:
    """The architecture of a local folder or a model of the hub. ConfigError when it cannot be had, or is of no known family."""
    transformers = _transformers()
    with _said_as_config_error(model), _quiet(transformers):
        config = transformers.AutoConfig.from_pretrained(model, revision=revision)
        if config.model_type not in FAMILIES:
            raise ConfigError(
                f"model: {model}: a {config.model_type} model; a public encoder is one of {', '.join(FAMILIES)}"
            )
        extractor = transformers.AutoFeatureExtractor.from_pretrained(model, revision=revision)
    described = {name: value for name, value in config.to_dict().items() if name not in _NOT_OF_THE_MODEL}
    return Architecture(
        described, int(extractor.sampling_rate), bool(getattr(extractor, "do_normalize", False))
    )


def build_public(architecture: Architecture, num_layers: int) -> nn.Module:
    """transformers' network of an architecture with its `num_layers` lowest blocks, untrained."""
    config = _config(architecture, num_layers)
    if architecture.family == "whisper":
        encoder: nn.Module = _transformers().models.whisper.modeling_whisper.WhisperEncoder(config)
        return encoder
    network: nn.Module = _transformers().AutoModel.from_config(config)
    return network


def load_public(model: str, revision: str, architecture: Architecture, num_layers: int) -> nn.Module:
    """The same with its weights, float32. ConfigError when they cannot be had, or lack a tensor of the encoder."""
    transformers = _transformers()
    with _said_as_config_error(model), _quiet(transformers):
        network, info = transformers.AutoModel.from_pretrained(
            model,
            revision=revision,
            config=_config(architecture, num_layers),
            dtype=torch.float32,
            output_loading_info=True,
        )
    is_whisper = architecture.family == "whisper"
    lacking = sorted(name for name in info["missing_keys"] if not is_whisper or name.startswith("encoder."))
    if lacking:
        raise ConfigError(
            f"model: {model}: its weights lack {len(lacking)} tensors of a {architecture.family} encoder (first: {lacking[0]});"
            " download it again"
        )
    encoder: nn.Module = network.encoder if is_whisper else network
    return encoder


def _config(architecture: Architecture, num_layers: int) -> Any:
    layers = "encoder_layers" if architecture.family == "whisper" else "num_hidden_layers"
    values = architecture.model | {layers: num_layers} | _OFF
    if architecture.family == "whisper":
        values |= {"encoder_layerdrop": 0.0, "num_hidden_layers": num_layers}
    family = values.pop("model_type")
    return _transformers().AutoConfig.for_model(family, **values)


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except (ImportError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(
            f"kind: public encoders need transformers, which cannot be imported ({reason}); pip install 'stxlib[llm]'"
        ) from None


@contextmanager
def _said_as_config_error(model: str) -> Iterator[None]:
    """What transformers and the hub complain about, in one line."""
    try:
        yield
    except ConfigError:
        raise
    except (
        Exception
    ) as error:  # OSError, ValueError, and those of huggingface_hub and safetensors, which share no class
        reason = " ".join(str(error).split())[:200]
        advice = (
            "give a folder with config.json, preprocessor_config.json and model.safetensors"
            if Path(model).exists() or model.startswith((".", "/", "~"))
            else "give a folder, or the name of a model on the hub and a connection to it"
        )
        raise ConfigError(
            f"model: {model}: cannot be read ({type(error).__name__}: {reason}); {advice}"
        ) from None


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """No progress bar, and no report of the files and of the heads that are left out."""
    logging = transformers.utils.logging
    verbosity, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bar:
            logging.enable_progress_bar()
