from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stxlib.errors import DataError
from stxlib.models.backbone import BackboneConfig
from stxlib.models.classifier import ClassifierConfig
from stxlib.models.networks import NetworkConfig, NetworkSizes, build_network
from stxlib.models.saved import SavedConfig, load_network, save_network
from stxlib.models.speech_encoder import SpeechEncoderConfig
from stxlib.models.speech_to_text import SpeechToText, SpeechToTextConfig
from stxlib.models.text_to_text import TextToTextConfig
from stxlib.nn.conformer import ConformerConfig
from stxlib.nn.token_embedding import TokenEmbeddingConfig
from stxlib.nn.transformer_decoder import DecoderConfig

SMALL = ConformerConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24, kernel_size=3)
CONFIG = SpeechToTextConfig(
    encoder=SpeechEncoderConfig(num_mels=20, conv_channels=4, conformer=SMALL),
    backbone=BackboneConfig(
        conformer=SMALL, decoder=DecoderConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24)
    ),
)

SAVED = SavedConfig(
    sizes=NetworkSizes(vocab_size=11, num_units=7), tasks=("slu", "asr"), ctc_task="asr", network=CONFIG
)


@pytest.fixture
def network() -> SpeechToText:
    torch.manual_seed(0)
    network = SpeechToText(CONFIG, vocab_size=11, num_units=7)
    network.encoder.set_normalization(torch.randn(20), torch.rand(20) + 1)
    return network


def save(folder: Path, network: SpeechToText, tmp_path: Path) -> None:
    units = tmp_path / "units"
    (units / "tokens").mkdir(parents=True, exist_ok=True)
    (units / "tokens" / "symbols.txt").write_text("<blank>\n", encoding="utf-8")
    save_network(folder, network, SAVED, units_dir=units)


def test_round_trip(network: SpeechToText, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "train"
    folder.mkdir(parents=True)
    (folder / "train.log").write_text("kept", encoding="utf-8")
    for _ in range(2):  # the second time over the first
        save(folder, network, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.safetensors",
        "network.yaml",
        "train.log",
        "units",
    ]
    assert (folder / "units" / "tokens" / "symbols.txt").is_file()
    loaded, saved = load_network(folder)
    assert saved == SAVED
    assert isinstance(loaded, SpeechToText)
    assert loaded.config == CONFIG and (loaded.vocab_size, loaded.num_units) == (11, 7)
    assert not loaded.training
    state = loaded.state_dict()
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    waves, lens = torch.randn(2, 8000), torch.tensor([8000, 4000])
    assert torch.equal(loaded.encode(waves, lens)[0], network.eval().encode(waves, lens)[0])


def test_what_is_wrong_is_said(network: SpeechToText, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"network.yaml: not there; give the folder of a finished training run"
    ):
        load_network(tmp_path)
    folder = tmp_path / "run"
    save(folder, network, tmp_path)
    config, weights = folder / "network.yaml", folder / "model.safetensors"
    yaml = config.read_text(encoding="utf-8")
    config.write_text(yaml.replace("vocab_size: 11", "vocab_size: 12"), encoding="utf-8")
    with pytest.raises(DataError, match=r"model.safetensors: cannot be loaded \(.*size mismatch"):
        load_network(folder)
    config.write_text(yaml.replace("num_layers: 1", "num_layers: 2", 1), encoding="utf-8")
    with pytest.raises(
        DataError,
        match=r"model.safetensors: does not fit network.yaml: missing \['encoder.conformer.blocks.1",
    ):
        load_network(folder)
    config.write_text(yaml, encoding="utf-8")
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(DataError, match="model.safetensors: cannot be loaded"):
        load_network(folder)
    weights.unlink()
    with pytest.raises(DataError, match="model.safetensors: not there"):
        load_network(folder)


def test_a_loaded_network_can_be_saved_over_itself(network: SpeechToText, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    save(folder, network, tmp_path)
    save_network(folder, network, SAVED, units_dir=folder / "units")
    assert (folder / "units" / "tokens" / "symbols.txt").is_file()


def test_every_kind_of_network_is_saved_and_loaded(tmp_path: Path) -> None:
    configs: list[NetworkConfig] = [
        TextToTextConfig(embedding=TokenEmbeddingConfig(dim=8), backbone=CONFIG.backbone),
        ClassifierConfig(encoder=CONFIG.encoder, conformer=SMALL, hidden_dim=8),
        ClassifierConfig(encoder=TokenEmbeddingConfig(dim=8), conformer=SMALL, hidden_dim=8),
    ]
    (tmp_path / "units").mkdir()
    for index, config in enumerate(configs):
        sizes = NetworkSizes(
            vocab_size=11, num_units=7, num_classes=(5, 3) if config.kind == "classifier" else ()
        )
        saved = SavedConfig(sizes=sizes, tasks=("intent", "sentiment"), ctc_task="", network=config)
        network = build_network(config, sizes, saved.tasks)
        save_network(tmp_path / str(index), network, saved, units_dir=tmp_path / "units")
        loaded, found = load_network(tmp_path / str(index))
        assert found == saved and type(loaded) is type(network)
        assert all(
            torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in network.state_dict().items()
        )
