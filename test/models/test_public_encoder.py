"""Public encoders against transformers itself, on tiny models with random weights that are written to a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stxlib.config import dump_config, load_config
from stxlib.errors import ConfigError
from stxlib.models.backbone import BackboneConfig
from stxlib.models.classifier import Classifier, ClassifierConfig
from stxlib.models.networks import NetworkSizes
from stxlib.models.public_encoder import PublicEncoder, PublicEncoderConfig
from stxlib.models.saved import SavedConfig, load_network, save_network
from stxlib.models.speech_to_text import SpeechToText, SpeechToTextConfig
from stxlib.nn.conformer import ConformerConfig
from stxlib.nn.transformer_decoder import DecoderConfig
from stxlib.ops.whisper_features import whisper_log_mel
from stxlib.train.init import freeze, set_train_mode

transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed (extra llm)")

WAVE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "initializer_range": 0.2,  # so that random blocks do something
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
WHISPER: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 3,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 24,
    "num_mel_bins": 20,
    "max_source_positions": 50,  # a window of 1 s
    "vocab_size": 30,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "suppress_tokens": [],
    "begin_suppress_tokens": [],
    "init_std": 0.2,
    "dropout": 0.1,
}
# As the released ones are: a model with a head over the encoder is read as well.
CHECKPOINTS = {
    "hubert": lambda: transformers.HubertModel(transformers.HubertConfig(**WAVE)),
    "hubert large": lambda: transformers.HubertForCTC(transformers.HubertConfig(**WAVE, **LARGE)),
    "wav2vec2": lambda: transformers.Wav2Vec2ForPreTraining(transformers.Wav2Vec2Config(**WAVE)),
    "wav2vec2 large": lambda: transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**WAVE, **LARGE)),
    "wavlm": lambda: transformers.WavLMModel(transformers.WavLMConfig(**WAVE)),
    "wavlm large": lambda: transformers.WavLMModel(transformers.WavLMConfig(**WAVE, **LARGE)),
    "whisper": lambda: transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**WHISPER)),
}
NORMALIZED = {"hubert", "hubert large", "wav2vec2", "wav2vec2 large", "wavlm large"}
LENS = [12000, 6543, 700, 100]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for each of CHECKPOINTS."""
    root = tmp_path_factory.mktemp("public")
    for index, (name, make) in enumerate(CHECKPOINTS.items()):
        torch.manual_seed(index)
        make().save_pretrained(root / name)
        extractor_of(name).save_pretrained(root / name)
    return root


def extractor_of(name: str) -> Any:
    if name == "whisper":
        return transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=1)
    return transformers.Wav2Vec2FeatureExtractor(do_normalize=name in NORMALIZED)


@pytest.fixture(params=CHECKPOINTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def encoder_of(checkpoints: Path, name: str, **options: Any) -> PublicEncoder:
    return PublicEncoder(PublicEncoderConfig(model=str(checkpoints / name), **options)).eval()


def batch() -> tuple[Tensor, Tensor]:
    """Waves with garbage in the padding."""
    torch.manual_seed(5)
    waves = 0.1 * torch.randn(len(LENS), max(LENS)) + 0.05
    lens = torch.tensor(LENS)
    return waves.masked_fill(torch.arange(max(LENS)) >= lens[:, None], float("nan")), lens


def reference(checkpoints: Path, name: str, wave: Tensor) -> list[Tensor]:
    """What transformers makes of one wave (N,): the hidden states (T, D) below the blocks, between them and after the last."""
    model = transformers.AutoModel.from_pretrained(checkpoints / name).eval()
    x = extractor_of(name)(wave.numpy(), sampling_rate=16000, return_tensors="pt")
    encode = model.encoder if name == "whisper" else model
    found = encode(x["input_features" if name == "whisper" else "input_values"], output_hidden_states=True)
    return [state[0] for state in (*found.hidden_states[:-1], found.last_hidden_state)]


@torch.no_grad()
def test_latents_are_those_of_transformers(checkpoints: Path, name: str) -> None:
    waves, _ = batch()
    wave = waves[0]
    states = reference(checkpoints, name, wave)
    num_latents = 38 if name == "whisper" else 37
    for layer, index in ((-1, 3), (3, 3), (2, 2), (-3, 1)):
        encoder = encoder_of(checkpoints, name, layer=layer)
        latents, lens = encoder(wave[None], torch.tensor([len(wave)]), None)
        assert (encoder.dim, encoder.latents_per_second, encoder.config.sample_rate) == (16, 50.0, 16000)
        assert lens.tolist() == [num_latents] and latents.shape == (1, num_latents, 16)
        expected = states[index][:num_latents]
        if index < 3 and ("large" in name or name == "whisper"):
            expected = F.layer_norm(expected, (16,))
        torch.testing.assert_close(latents[0], expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("fill_window", [True, False])
@torch.no_grad()
def test_padding_and_batching(checkpoints: Path, name: str, fill_window: bool) -> None:
    encoder = encoder_of(checkpoints, name, fill_window=fill_window, num_time_masks=2)
    waves, lens = batch()
    seeds = torch.arange(4) + 3
    latents, latent_lens = encoder(waves, lens, seeds)
    assert latent_lens.tolist() == ([38, 21, 3, 1] if name == "whisper" else [37, 20, 1, 0])
    for row, length in enumerate(LENS):
        alone, alone_lens = encoder(waves[row : row + 1, :length], lens[row : row + 1], seeds[row : row + 1])
        count = int(latent_lens[row])
        assert alone_lens.tolist() == [count]
        torch.testing.assert_close(alone[0, :count], latents[row, :count], rtol=0, atol=2e-5)
        assert bool((latents[row, count:] == 0).all())
    assert bool(latents.isfinite().all())


def test_gradients_ignore_padding(checkpoints: Path, name: str) -> None:
    encoder = encoder_of(checkpoints, name, fill_window=False)
    waves, lens = batch()

    def gradients(waves: Tensor) -> dict[str, Tensor]:
        encoder.zero_grad()
        encoder(waves, lens, None)[0].square().sum().backward()
        return {name: p.grad for name, p in encoder.named_parameters() if p.grad is not None}

    found, clean = gradients(waves), gradients(waves.nan_to_num(0.0))
    trained = {name for name, p in encoder.named_parameters() if p.requires_grad}
    assert found.keys() == trained
    for key, gradient in found.items():
        torch.testing.assert_close(
            gradient, clean[key], rtol=1e-3, atol=1e-3 * float(gradient.abs().max()) + 1e-6
        )


@torch.no_grad()
def test_what_is_hidden_is_the_seeds_matter(checkpoints: Path) -> None:
    encoder = encoder_of(checkpoints, "hubert", num_time_masks=1, max_mask_seconds=0.1)
    waves, lens = batch()

    def latents(seeds: Tensor | None) -> Tensor:
        found: Tensor = encoder(waves[:1], lens[:1], seeds)[0]
        return found

    clean, one, other = latents(None), latents(torch.tensor([1])), latents(torch.tensor([2]))
    assert torch.equal(one, latents(torch.tensor([1])))
    assert not torch.equal(one, clean) and not torch.equal(one, other)


@torch.no_grad()
def test_long_utterances_of_whisper_are_cut_into_windows(checkpoints: Path) -> None:
    encoder = encoder_of(checkpoints, "whisper")
    wave = 0.1 * torch.randn(1, 40000)
    waves = torch.cat([wave, wave.roll(99)])
    latents, lens = encoder(waves, torch.tensor([40000, 9000]), None)
    assert lens.tolist() == [125, 29] and latents.shape == (2, 125, 16)
    for start, stop in ((0, 16000), (16000, 32000), (32000, 40000)):
        part, _ = encoder(wave[:, start:stop], torch.tensor([stop - start]), None)
        torch.testing.assert_close(latents[:1, start // 320 : stop // 320], part, rtol=0, atol=2e-5)
    assert bool((latents[1, 29:] == 0).all())
    # Alone, the speech is encoded without the silence after it: near, and not the same.
    short = encoder_of(checkpoints, "whisper", fill_window=False)
    alone, alone_lens = short(waves[1:, :9000], torch.tensor([9000]), None)
    assert alone_lens.tolist() == [29] and not torch.allclose(alone[0], latents[1, :29], atol=1e-3)


def test_log_mel_of_whisper() -> None:
    extractor = transformers.WhisperFeatureExtractor(feature_size=80)
    torch.manual_seed(0)
    waves = torch.randn(2, 30 * 16000) * torch.tensor([[0.3], [0.001]])
    waves[0, 50000:] = 0
    expected = extractor(list(waves.numpy()), sampling_rate=16000, return_tensors="pt").input_features
    torch.testing.assert_close(whisper_log_mel(waves, 80).transpose(1, 2), expected, rtol=0, atol=1e-4)


SMALL = ConformerConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24, kernel_size=3)
BACKBONE = BackboneConfig(
    conformer=SMALL, decoder=DecoderConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24)
)


@torch.no_grad()
def test_a_saved_network_needs_no_public_folder(
    checkpoints: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SpeechToTextConfig(
        encoder=PublicEncoderConfig(model=str(checkpoints / name), layer=2), backbone=BACKBONE
    )
    network = SpeechToText(config, vocab_size=11, num_units=7).eval()
    (tmp_path / "units").mkdir()
    saved = SavedConfig(sizes=NetworkSizes(vocab_size=11, num_units=7), network=config)
    save_network(tmp_path / "run", network, saved, units_dir=tmp_path / "units")

    def no_folder(*_: object, **__: object) -> None:
        raise AssertionError("a public checkpoint is read")

    monkeypatch.setattr("stxlib.models.public_encoder.read_architecture", no_folder)
    monkeypatch.setattr("stxlib.models.public_encoder.load_public", no_folder)
    loaded, found = load_network(tmp_path / "run")
    assert isinstance(loaded, SpeechToText) and loaded.sample_rate == 16000
    assert found.network == loaded.config == network.config != config
    waves, lens = batch()
    assert torch.equal(loaded.encode(waves, lens)[0], network.encode(waves, lens)[0])
    # Saved again, it is the same to the byte.
    save_network(tmp_path / "again", loaded, found, units_dir=tmp_path / "units")
    for file in ("network.yaml", "model.safetensors"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_frozen_it_is_in_eval_mode_and_the_rest_learns(checkpoints: Path, name: str) -> None:
    config = SpeechToTextConfig(encoder=PublicEncoderConfig(model=str(checkpoints / name)), backbone=BACKBONE)
    network = SpeechToText(config, vocab_size=11, num_units=7)
    freeze(network, ["encoder.*"])
    set_train_mode(network)
    assert not network.encoder.training and network.backbone.training
    waves, lens = batch()
    latents, latent_lens = network.encoder(waves, lens, torch.arange(4))
    assert not latents.requires_grad
    network.backbone.encode(latents, latent_lens)[0].sum().backward()
    assert network.backbone.linear.weight.grad is not None


def test_trained_it_learns_with_its_own_dropout(checkpoints: Path, name: str) -> None:
    encoder = encoder_of(checkpoints, name).train()
    waves, lens = batch()

    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        found: Tensor = encoder(waves, lens, None)[0]
        return found

    one = run(1)
    assert torch.equal(one, run(1)) and not torch.equal(one, run(2))
    one.square().sum().backward()
    assert all(p.grad is not None for p in encoder.parameters() if p.requires_grad)


def test_a_classifier_takes_one(checkpoints: Path) -> None:
    config = ClassifierConfig(
        encoder=PublicEncoderConfig(model=str(checkpoints / "wavlm")), conformer=SMALL, hidden_dim=8
    )
    network = Classifier(config, 11, {"intent": 5}).eval()
    waves, lens = batch()
    frames, frame_lens = network.encode(waves, lens, torch.arange(4))
    assert network.sample_rate == 16000
    assert network.logits("intent", frames, frame_lens).shape == (4, 5)


def test_config_round_trip(checkpoints: Path, tmp_path: Path) -> None:
    config = SpeechToTextConfig(encoder=encoder_of(checkpoints, "whisper", layer=2).config, backbone=BACKBONE)
    (tmp_path / "network.yaml").write_text(dump_config(config), encoding="utf-8")
    assert load_config(SpeechToTextConfig, tmp_path / "network.yaml") == config


def message(model: str | Path, **options: Any) -> str:
    with pytest.raises(ConfigError) as error:
        PublicEncoder(PublicEncoderConfig(model=str(model), **options))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_wrong_is_said(checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert message(tmp_path / "none").startswith(f"model: {tmp_path}/none: cannot be read (")
    assert "give a folder with config.json, preprocessor_config.json" in message(tmp_path)
    assert message("") == "model: empty; give the folder or the name of a public speech model"
    hubert = checkpoints / "hubert"
    assert message(hubert, layer=0) == "layer: 0; use 1 for the lowest block, -1 for the last"
    for layer in (4, -4):
        assert message(hubert, layer=layer) == (
            f"layer: {layer}, but {hubert} has 3 blocks; use 1 to 3, or -1 for the last"
        )
    assert message(hubert, num_time_masks=-1) == "num_time_masks -1, max_mask_seconds 0.2; use 0 or more"
    assert message(hubert, architecture="{}").startswith(
        "architecture: not the description of a public encoder ("
    )

    transformers.BertConfig(num_hidden_layers=1).save_pretrained(tmp_path / "bert")
    assert message(tmp_path / "bert") == (
        f"model: {tmp_path}/bert: a bert model; a public encoder is one of hubert, wav2vec2, wavlm, whisper"
    )
    other = tmp_path / "other"
    config = transformers.HubertConfig(**WAVE)
    config.save_pretrained(other)
    assert "cannot be read" in message(other)  # how its waves are prepared is not known
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=8000).save_pretrained(other)
    assert message(other) == f"model: {other}: made for 8000 Hz; give one for 16000 Hz"
    extractor_of("hubert").save_pretrained(other)
    assert "cannot be read" in message(other)  # there are no weights
    config.num_hidden_layers = 2
    transformers.HubertModel(config).save_pretrained(other)
    config.num_hidden_layers = 3
    config.save_pretrained(other)
    assert "its weights lack 16 tensors of a hubert encoder (first: encoder.layers.2." in message(other)
    config.conv_pos_batch_norm = True
    transformers.HubertModel(config).save_pretrained(other)
    assert message(other).startswith("model: its positions pass a BatchNorm (conv_pos_batch_norm)")
    (other / "model.safetensors").write_bytes(b"short")
    assert message(other).startswith(f"model: {other}: cannot be read (")

    monkeypatch.setitem(sys.modules, "transformers", None)
    assert message(hubert).startswith("kind: public encoders need transformers, which cannot be imported (")
    assert message(hubert).endswith("pip install 'stxlib[llm]'")


def test_a_name_without_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect to 'https://huggingface.co'\nto load the files.")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", offline)
    assert message("nobody/nothing") == (
        "model: nobody/nothing: cannot be read (OSError: We couldn't connect to 'https://huggingface.co' to load the files.);"
        " give a folder, or the name of a model on the hub and a connection to it"
    )
