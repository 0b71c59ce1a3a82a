"""A language model from training to decoding: stxlib.bin.train on text, decoder.lm in stxlib.bin.decode, and what cannot be put together."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch
from toy_network import save_model, speech

from stxlib.bin.decode import main as decode
from stxlib.bin.train import main as train
from stxlib.bin.transcribe import Transcriber
from stxlib.data.tables import read_table, write_table
from stxlib.decode.joint_beam import JointBeamConfig
from stxlib.decode.recognizer import Recognizer, default_decoder
from stxlib.errors import ConfigError, DataError
from stxlib.models.causal_lm import CausalLM
from stxlib.models.networks import build_network
from stxlib.models.saved import SavedConfig, load_network, read_saved, save_network
from stxlib.text.saved import Units, load_units, save_units
from stxlib.text.target_vocabulary import TargetsConfig, TargetVocabulary
from stxlib.text.targets import Targets
from stxlib.text.tokenizer import EOS, SOS, SubwordTokenizer

SENTENCES = ["turn the light on", "play the song again", "what is the weather in tonburgh"]
TINY = """
network: {kind: causal_lm, num_layers: 1, dim: 16, num_heads: 2, ff_dim: 16}
objective: {kind: language_model}
batches: {kind: text, batch_tokens: 200}
trainer:
  max_steps: 150
  eval_every: 75
  average_best: 1
  ema_decay: 0.9
  optimizer: {lr: 1e-2}
  schedule: {kind: linear_warmup_decay, warmup_steps: 10}
device: cpu
"""


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recognizer of our own: a decoder is kept with it."""
    return save_model(tmp_path_factory.mktemp("recognizer"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of five waves, and sets of text."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "speech").mkdir()
    for index in range(5):
        soundfile.write(folder / "speech" / f"{index}.wav", speech(0.6 + 0.3 * index, index), 16000)
    waves = {f"u{index}": str(folder / "speech" / f"{index}.wav") for index in range(5)}
    write_table(folder / "speech" / "wav.scp", waves)
    for name in ("train", "dev", "more"):
        (folder / name).mkdir()
        write_table(folder / name / "text", {f"{name}{i}": text for i, text in enumerate(SENTENCES)})
    return folder


@pytest.fixture(scope="module")
def lm(recognizer: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exp")
    (folder / "train.yaml").write_text(TINY)
    paths = ["--train", data / "train", "--dev", data / "dev", "--text", data / "more"]
    paths += ["--units", recognizer / "units", "--out", folder / "lm" / "seed1"]
    train(["--config", str(folder / "train.yaml"), *map(str, paths)])
    return folder / "lm" / "seed1"


def run(model: Path, data: Path, out: Path, *options: str) -> dict[str, str]:
    decode(
        [
            "--model",
            str(model),
            "--data",
            str(data / "speech"),
            "--out",
            str(out),
            "--device",
            "cpu",
            *options,
        ]
    )
    return read_table(out / "text", allow_empty=True)


def fused(lm: Path, weight: float = 1.0) -> list[str]:
    return ["--decoder.lm", str(lm), "--decoder.lm_weight", str(weight)]


def test_it_learns_from_plain_text(lm: Path) -> None:
    network, saved = load_network(lm)
    network.requires_grad_(False)
    assert isinstance(network, CausalLM) and saved.tasks == ("asr",) and saved.ctc_task == ""
    log = (lm / "train.log").read_text()
    assert "tokens, 6 sentences" in log and "lm step 150/150 dev loss" in log
    units = load_units(lm / "units")
    probabilities = []
    for text in ("play the song again", "again song the play"):
        tokens = units.tokens.encode(text)
        log_probs = network(torch.tensor([[SOS, *tokens]]), torch.tensor([len(tokens) + 1])).log_softmax(2)[0]
        probabilities.append(sum(float(log_probs[u, t]) for u, t in enumerate([*tokens, EOS])))
    assert probabilities[0] > probabilities[1] + 5 > -math.inf


def test_decoding_with_it_and_keeping_it(recognizer: Path, data: Path, lm: Path, tmp_path: Path) -> None:
    plain = run(recognizer, data, tmp_path / "plain")
    assert "lm_sha256" not in json.loads((tmp_path / "plain" / "summary.json").read_text())
    try:
        with_lm = run(recognizer, data, tmp_path / "with", *fused(lm), "--keep_decoder", "true")
        assert with_lm != plain
        summary = json.loads((tmp_path / "with" / "summary.json").read_text())
        assert summary["decoder"]["lm"] == summary["config"]["decoder.lm"] == str(lm)
        assert summary["decoder"]["lm_weight"] == 1.0 and len(summary["lm_sha256"]) == 64
        lines = (tmp_path / "with" / "nbest").read_text().splitlines()
        for hypothesis in (h for line in lines for h in json.loads(line)["hypotheses"]):
            parts = hypothesis["parts"]
            expected = 0.7 * parts["attention"] + 0.3 * parts["ctc"] + parts["lm"]
            assert hypothesis["score"] == pytest.approx(expected, abs=1e-3)

        # The folder alone is enough, wherever it is.
        moved = tmp_path / "moved"
        shutil.copytree(recognizer, moved)
        kept = default_decoder(moved)
        assert isinstance(kept, JointBeamConfig) and kept.lm == moved / "lm" and kept.lm_weight == 1.0
        for out in ("again", "and_again"):  # the second time it is kept where it is
            again = run(moved, data, tmp_path / out, "--decoder.kind", "default", "--keep_decoder", "true")
            assert again == with_lm
        segments = Transcriber(moved).transcribe(data / "speech" / "4.wav").segments
        assert [segment.text for segment in segments] == [with_lm["u4"]]
        shutil.rmtree(moved / "lm")
        with pytest.raises(
            ConfigError, match=r"decoder.lm .*moved/lm: no such folder; give that of a trained"
        ):
            Transcriber(moved)
    finally:
        shutil.rmtree(recognizer / "lm", ignore_errors=True)
        (recognizer / "decode.yaml").unlink(missing_ok=True)


def test_what_does_not_go_together(recognizer: Path, data: Path, lm: Path, tmp_path: Path) -> None:
    def fails(message: str, *options: str, model: Path = recognizer, error: type = ConfigError) -> None:
        with pytest.raises(error, match=message):
            run(model, data, tmp_path / "out", *options)
        assert not (tmp_path / "out").exists()

    weight = ["--decoder.lm_weight", "0.4"]
    fails(r"decoder.lm_weight: 0.4, but there is no language model; give --decoder.lm", *weight)
    fails(r"with lm_weight 0 it would change nothing; give --decoder.lm_weight", "--decoder.lm", str(lm))
    fails(r"decoder.lm .*/nowhere: no such folder", *fused(tmp_path / "nowhere"))
    fails(r"decoder.lm .*: a network of kind speech_to_text; give one of kind causal_lm", *fused(recognizer))
    fails(r"a network of kind causal_lm recognizes nothing", model=lm)
    (tmp_path / "empty").mkdir()
    fails(r"empty/network.yaml: not there", *fused(tmp_path / "empty"), error=DataError)

    units = load_units(lm / "units")
    other = SubwordTokenizer.train(["others say what others said"], units.tokens.config)
    save_units(Units(other, units.units, units.config), tmp_path / "units")
    network, saved = load_network(lm)
    save_network(tmp_path / "other", network, saved, units_dir=tmp_path / "units")
    fails(
        r"has other tokens than the recognizer \(\d+ and \d+, the first other one \d+: ",
        *fused(tmp_path / "other"),
    )

    old = read_saved(recognizer)
    writes_labels = SavedConfig(sizes=old.sizes, network=old.network, tasks=("intent",))
    save_network(
        tmp_path / "labels", load_network(recognizer)[0], writes_labels, units_dir=recognizer / "units"
    )
    fails(
        r"scores words \(task asr\), and this network writes intent; leave lm out",
        *fused(lm),
        model=tmp_path / "labels",
    )


def test_a_recognizer_of_more_tasks_is_scored_on_its_words(
    recognizer: Path, lm: Path, tmp_path: Path
) -> None:
    old, units = read_saved(recognizer), load_units(recognizer / "units")
    config = TargetsConfig(tasks=("asr", "sentiment"))
    targets = Targets(TargetVocabulary.of(config, [("sentiment", "calm"), ("sentiment", "loud")]))
    grown = Units(units.tokens.extended(targets.symbols), units.units, units.config, targets)
    save_units(grown, tmp_path / "units")
    sizes = replace(old.sizes, vocab_size=grown.tokens.vocab_size)
    assert sizes.vocab_size == old.sizes.vocab_size + 5  # the mark of escaped words, and four symbols
    torch.manual_seed(3)
    saved = replace(old, sizes=sizes, tasks=("asr", "sentiment"))
    network = build_network(old.network, sizes, saved.tasks)
    save_network(tmp_path / "train", network, saved, units_dir=tmp_path / "units")

    loaded = Recognizer.load(tmp_path / "train", JointBeamConfig(lm=lm, lm_weight=0.5))
    waves = torch.from_numpy(speech(1.0, 3))[None]
    found = loaded.recognize(waves, torch.tensor([16000])).hypotheses
    words, sentiments = found["asr"][0], found["sentiment"][0]
    assert all(hypothesis.parts.keys() == {"attention", "lm", "ctc"} for hypothesis in words)
    assert all(token < old.sizes.vocab_size for hypothesis in words for token in hypothesis.tokens)
    assert all(hypothesis.parts.keys() == {"attention"} for hypothesis in sentiments)
    assert any(token >= old.sizes.vocab_size for hypothesis in sentiments for token in hypothesis.tokens)


def test_an_objective_and_a_network_that_do_not_fit(recognizer: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(
        TINY.replace("{kind: language_model}", "{kind: text_to_text, tasks: [asr]}")
    )
    paths = ["--train", data / "train", "--dev", data / "dev", "--units", recognizer / "units"]
    with pytest.raises(ConfigError, match="text_to_text cannot train network.kind causal_lm"):
        train(["--config", str(tmp_path / "wrong.yaml"), *map(str, paths), "--out", str(tmp_path / "out")])
