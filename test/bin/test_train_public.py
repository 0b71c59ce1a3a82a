"""stxlib.bin.train with a public encoder, and what is left when the public model is gone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from stxlib.bin.average import main as average
from stxlib.bin.tokenize import main as tokenize
from stxlib.bin.train import main
from stxlib.data.tables import write_table
from stxlib.decode.recognizer import Recognizer

transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed (extra llm)")

RATE = 16000
YAML = """
network:
  encoder: {{kind: public, model: {model}, layer: 2, num_time_masks: 1}}
  backbone:
    conformer: {{num_layers: 1, dim: 16, num_heads: 2, ff_dim: 16}}
    decoder: {{num_layers: 1, dim: 16, num_heads: 2, ff_dim: 16}}
batches: {{batch_seconds: 4, num_workers: 0}}
trainer: {{max_steps: 4, log_every: 1, eval_every: 2, save_every: 2}}
device: cpu
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six utterances of noise, their units, and a tiny HuBERT."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for name, num_utts in (("train", 4), ("dev", 2)):
        (folder / name).mkdir()
        utts = [f"{name}{index}" for index in range(num_utts)]
        for index, utt in enumerate(utts):
            soundfile.write(folder / name / f"{utt}.wav", 0.1 * rng.standard_normal(RATE + 999 * index), RATE)
        write_table(folder / name / "text", dict.fromkeys(utts, "low high"))
        write_table(folder / name / "wav.scp", {utt: str(folder / name / f"{utt}.wav") for utt in utts})
    (folder / "units.yaml").write_text("tokens: {vocab_size: 14}\n")
    sets = [str(folder / name) for name in ("train", "dev")]
    texts_and_sets = ["--train", f"{sets[0]}/text", "--sets", *sets, "--out", str(folder / "units")]
    tokenize(["--config", str(folder / "units.yaml"), *texts_and_sets])
    config = transformers.HubertConfig(
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    torch.manual_seed(0)
    transformers.HubertModel(config).save_pretrained(folder / "hubert")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder / "hubert")
    return folder


def test_frozen_and_then_trained_and_then_without_the_public_model(corpus: Path, tmp_path: Path) -> None:
    public = tmp_path / "hubert"
    shutil.copytree(corpus / "hubert", public)
    (tmp_path / "train.yaml").write_text(YAML.format(model=public))
    words = ["--config", str(tmp_path / "train.yaml"), "--units", str(corpus / "units")]
    words += ["--train", str(corpus / "train"), "--dev", str(corpus / "dev")]
    frozen, trained = tmp_path / "frozen", tmp_path / "trained"
    main([*words, "--out", str(frozen), "--freeze", "encoder.*"])
    main([*words, "--out", str(trained), "--init", str(frozen)])

    released = load_file(public / "model.safetensors")
    states = [load_file(folder / "model.safetensors") for folder in (frozen, trained)]
    name = "encoder.layers.0.attention.q_proj.weight"
    assert torch.equal(states[0][f"encoder.network.{name}"], released[name])
    assert not torch.equal(states[1][f"encoder.network.{name}"], released[name])
    assert states[0].keys() == states[1].keys()
    assert not any(".layers.2." in key for key in states[0] if key.startswith("encoder."))

    # A model that is named is read: of a higher block, what was released, where the network that is begun with has none.
    deeper = tmp_path / "deeper"
    more = ["--network.encoder.layer", "3", "--freeze", "encoder.*", "--trainer.max_steps", "1"]
    main([*words, "--out", str(deeper), "--init", str(frozen), *more])
    name = "encoder.layers.2.attention.q_proj.weight"
    assert torch.equal(load_file(deeper / "model.safetensors")[f"encoder.network.{name}"], released[name])

    # Where none is named, the architecture of the network that is begun with is enough.
    shutil.rmtree(public)
    bare = ["--config", str(tmp_path / "bare.yaml"), *words[2:], "--trainer.max_steps", "1"]
    (tmp_path / "bare.yaml").write_text("\n".join(YAML.format(model=public).splitlines()[-3:]))
    main([*bare, "--out", str(tmp_path / "bare"), "--init", str(trained)])
    assert load_file(tmp_path / "bare" / "model.safetensors").keys() == states[1].keys()

    average(["--run", str(trained), "--num_best", "1", "--out", str(tmp_path / "best")])
    shutil.rmtree(trained)
    recognizer = Recognizer.load(tmp_path / "best")
    with torch.no_grad():
        found = recognizer.recognize(torch.randn(2, RATE), torch.tensor([RATE, RATE // 2]))
    assert len(found.hypotheses["asr"]) == 2
