"""stxlib.bin.judge: real latents given back are judged as real, others are not, and what it writes can be shown."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from toy_network import save_model, speech
from toy_synthesizer import Oracle, ToySynthesizer

from stxlib.bin import judge as command
from stxlib.config import dump_config
from stxlib.data.batch import pad
from stxlib.data.label_store import utterance_seed
from stxlib.data.tables import read_table, write_table
from stxlib.errors import ConfigError, DataError
from stxlib.models.latent_alignment import AlignedLatents, align_latents
from stxlib.models.saved import fingerprint, load_network, read_saved
from stxlib.models.speech_to_text import SpeechToText
from stxlib.ops.segments import Segments
from stxlib.report import latents_png
from stxlib.text.saved import load_units

RATE = 16000
SECONDS = {"a": 0.9, "b": 1.4, "c": 0.6, "d": 1.1, "e": 0.12}  # e has too few frames for its units
TEXTS = {
    "a": "turn the light on",
    "b": "play the song again",
    "c": "the light",
    "d": "turn again",
    "e": "play the song",
}


@pytest.fixture(scope="module")
def network(model: Path) -> SpeechToText:
    found, _ = load_network(model)
    assert isinstance(found, SpeechToText)
    return found


@pytest.fixture
def data(model: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "dev"
    folder.mkdir()
    units = load_units(model / "units")
    for seed, (utt, seconds) in enumerate(SECONDS.items()):
        soundfile.write(folder / f"{utt}.wav", speech(seconds, seed), RATE)
    write_table(folder / "wav.scp", {utt: str(folder / f"{utt}.wav") for utt in SECONDS})
    write_table(folder / "text", TEXTS)
    spelt = {utt: [s for s in map(str, units.tokens.symbols) if s in text][:6] for utt, text in TEXTS.items()}
    write_table(folder / "units", {utt: " ".join(symbols) for utt, symbols in spelt.items()})
    return folder


@pytest.fixture
def real(model: Path, network: SpeechToText, data: Path) -> dict[str, AlignedLatents]:
    """Real latents of each utterance that is long enough."""
    found, vocabulary, spelling = {}, load_units(model / "units").units, read_table(data / "units")
    for utt in ("a", "b", "c", "d"):
        wave = torch.from_numpy(soundfile.read(data / f"{utt}.wav", dtype="float32")[0])
        ids = torch.tensor([vocabulary.encode(spelling[utt].split())])
        found[utt] = align_latents(network, *pad([wave]), ids, torch.tensor([ids.shape[1]]))
    return found


@pytest.fixture
def oracle(real: dict[str, AlignedLatents], network: SpeechToText) -> Oracle:
    seeds = {utterance_seed(1, 0, utt): one for utt, one in real.items()}
    return Oracle(seeds, network.num_units, network.encoder.dim)


@pytest.fixture
def toy(network: SpeechToText) -> ToySynthesizer:
    return ToySynthesizer(network.num_units, network.encoder.dim).eval()


@pytest.fixture
def made(model: Path, network: SpeechToText, tmp_path: Path) -> Path:
    """A folder that says that it is a synthesizer of the model's latents; which one, the tests say."""
    folder = tmp_path / "made"
    shutil.copytree(model, folder)
    saved = replace(read_saved(model), latents_of=fingerprint(network.encoder))
    (folder / "network.yaml").write_text(dump_config(saved))
    return folder


@pytest.fixture
def judge(
    model: Path, made: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    def run(synthesizer: torch.nn.Module, *options: str) -> dict[str, Any]:
        monkeypatch.setattr(command, "load_synthesizer", lambda *_: synthesizer)
        paths = ["--model", str(model), "--synthesizer", str(made), "--data", str(data)]
        command.main([*paths, "--out", str(tmp_path / "judged"), "--device", "cpu", *options])
        found: dict[str, Any] = json.loads((tmp_path / "judged" / "judged.json").read_text())
        return found

    return run


def test_real_latents_are_judged_as_real(oracle: Oracle, judge: Callable[..., dict[str, Any]]) -> None:
    judged = judge(oracle, "--batch_seconds", "2")
    assert judged["utterances"] == 4 and judged["left_out"] == {"fewer_frames_than_labels": 1}
    assert judged["latents"]["real"] == judged["latents"]["synthesized"]
    assert judged["errors"].keys() == {"words", "tokens", "units"}
    for sides in judged["errors"].values():
        assert sides["real"] == sides["synthesized"] and sides["real"]["reference"] > 0
        wrong = sum(sides["real"][kind] for kind in ("substituted", "deleted", "inserted"))
        assert sides["real"]["error_rate"] == pytest.approx(100 * wrong / sides["real"]["reference"])
    assert all(unit["real"] == unit["synthesized"] for unit in judged["unit_errors"].values())
    statistics = judged["statistics"]["synthesized"]
    assert statistics["mean_distance"] == pytest.approx(0, abs=1e-3)
    assert statistics["frechet"] == pytest.approx(0, abs=1e-3)
    assert statistics["norm"] == pytest.approx(judged["statistics"]["real_norm"], rel=1e-4)
    assert judged["statistics"]["halves_of_real"]["frechet"] > 0.01
    for row in judged["durations"]["synthesized_against_ctc"].values():
        assert row["mean_absolute_difference"] == 0 and row["pairs"] >= 4
    assert judged["durations"]["synthesized_against_true"] is None
    # It takes no durations.
    assert judged["statistics"]["explained"] is None and "real_durations" not in judged["errors"]["units"]


def test_other_latents_are_judged_as_others(
    toy: ToySynthesizer, judge: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    judged = judge(toy)
    assert judged["statistics"]["synthesized"]["frechet"] > 0.1
    rows = judged["durations"]["synthesized_against_ctc"]
    assert rows["label"]["mean"] == 40 and rows["label"]["deviation"] == 0  # one frame of 40 ms
    assert rows["unit"]["mean"] == pytest.approx(40 + rows["blank"]["mean"])
    assert rows["unit"]["mean_absolute_difference"] > 0
    assert judged["statistics"]["explained"] < 0  # noise explains less than nothing
    said = capsys.readouterr().out
    for words in (
        "with real durations",
        "unit errors, %",
        "Fréchet distance / variance",
        "unit, to the next one",
        "4 utterances of",
    ):
        assert words in said
    assert "1 of 5 utterances left out: fewer_frames_than_labels (e)" in said
    assert judge(toy) == judged  # the same figures again
    assert judge(toy, "--seed", "2") != judged


def test_latents_with_the_durations_of_speech(
    toy: ToySynthesizer,
    real: dict[str, AlignedLatents],
    judge: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Real latents when the durations are those of the speech: all that is wrong in the others is a matter of durations."""
    by_length = {int(one.latent_lens): one for one in real.values()}
    assert len(by_length) == len(real)

    def sample_segments(segments: Segments, seeds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = [by_length[length] for length in segments.frame_lens.tolist()]
        latents = torch.nn.utils.rnn.pad_sequence([one.latents[0] for one in found], batch_first=True)
        return latents, segments.frame_lens

    monkeypatch.setattr(toy, "sample", ToySynthesizer(toy.num_units, toy.dim).sample)
    monkeypatch.setattr(toy, "sample_segments", sample_segments)
    judged = judge(toy)
    assert judged["statistics"]["explained"] == pytest.approx(1, abs=1e-5)
    for sides in judged["errors"].values():
        assert sides["real_durations"] == sides["real"] != sides["synthesized"]


def test_true_durations(
    toy: ToySynthesizer, data: Path, real: dict[str, AlignedLatents], judge: Callable[..., dict[str, Any]]
) -> None:
    """Phones that begin where the CTC path has them."""
    spelling, times = read_table(data / "units"), {"e": "[]"}
    for utt, one in real.items():
        ends = (one.segments.label_frames + one.segments.blank_frames).cumsum(1)[0].tolist()
        starts = [0.04 * end for end in ends[:-1]]
        names = spelling[utt].split()
        times[utt] = json.dumps([[n, s, s + 0.04] for n, s in zip(names, starts, strict=True)])
    write_table(data / "phone_times", times)
    found = judge(toy)["durations"]
    for row in ("unit", "first_silence"):
        assert found["ctc_against_true"][row]["mean_absolute_difference"] == pytest.approx(0, abs=1e-6)
        one, two = (found[f"synthesized_against_{side}"][row] for side in ("true", "ctc"))
        assert one == pytest.approx(two)
    assert "label" not in found["ctc_against_true"]
    (data / "phone_times").write_text((data / "phone_times").read_text().replace("d [[", "d [["[:-1]))
    with pytest.raises(DataError, match=r"phone_times:4: utterance 'd': not \[\[phone, start, end\]"):
        judge(toy)


def test_files(toy: ToySynthesizer, judge: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    judged, out = judge(toy), tmp_path / "judged"
    assert judged["picture"] == {
        "utt": "a",
        "text": TEXTS["a"],
    }  # 0.9 s: the median of 0.6, 0.9, 1.1, 1.4 is not below it
    png = (out / "latents.png").read_bytes()
    pixels = latents_png.read_png(png)
    assert pixels.ndim == 3 and pixels.shape[2] == 3 and len(np.unique(pixels)) > 50
    from tensorboard.backend.event_processing.event_accumulator import IMAGES, TENSORS, EventAccumulator

    events = EventAccumulator(str(out / "tensorboard"), size_guidance={IMAGES: 1, TENSORS: 1})
    events.Reload()
    assert events.Tags()["images"] == ["latents"] and events.Tags()["tensors"] == ["figures/text_summary"]
    assert (events.Images("latents")[0].height, events.Images("latents")[0].width) == pixels.shape[:2]
    judge(toy)
    assert (out / "latents.png").read_bytes() == png
    assert len(list((out / "tensorboard").iterdir())) == 1


def test_without_matplotlib(
    toy: ToySynthesizer,
    judge: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "has_drawing", lambda: False)
    assert judge(toy)["utterances"] == 4
    assert "matplotlib is not installed" in capsys.readouterr().out
    assert not (tmp_path / "judged" / "latents.png").exists()


def test_what_does_not_fit(
    model: Path,
    data: Path,
    toy: ToySynthesizer,
    judge: Callable[..., dict[str, Any]],
    tmp_path: Path,
    network: SpeechToText,
) -> None:
    with pytest.raises(
        ConfigError, match="makes latents of 5 numbers, and those of .* have 16; make it with"
    ):
        judge(ToySynthesizer(network.num_units, 5))
    with pytest.raises(ConfigError, match="batch_seconds: 0; give a number above 0"):
        judge(toy, "--batch_seconds", "0")
    other = save_model(tmp_path / "other")
    with pytest.raises(
        ConfigError, match="was made for another speech encoder than that of .*; make it with"
    ):
        judge(toy, "--synthesizer", str(other))
    for option, folder in (("--model", model), ("--data", data)):
        with pytest.raises(ConfigError, match=f"--out .* is {option} as well, and would be written over"):
            judge(toy, "--out", str(folder))
    symbols = (other / "units" / "units" / "symbols.txt").read_text()
    (other / "units" / "units" / "symbols.txt").write_text(symbols + "zz\n")
    with pytest.raises(
        ConfigError, match="--synthesizer .*other.*: has other units than .*; make it with this speech"
    ):
        judge(toy, "--synthesizer", str(other))
    write_table(data / "units", dict.fromkeys(TEXTS, "zz"))
    with pytest.raises(DataError, match="units: no unit is one that the network knows; run stage 2"):
        judge(toy)
    (data / "units").unlink()
    with pytest.raises(ConfigError, match="no stream units; run stage 2"):
        judge(toy)
    (data / "wav.scp").unlink()
    with pytest.raises(
        DataError, match="has no wav.scp, so there are no real latents; give a set with speech"
    ):
        judge(toy)
