"""stxlib.bin.decode on a small untrained network: every file it writes, and what goes wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from torch import Tensor
from toy_network import save_model, speech

from stxlib.bin.decode import main
from stxlib.data.tables import read_table, write_table
from stxlib.decode.ctc_greedy import CtcGreedyConfig
from stxlib.decode.joint_beam import JointBeamConfig
from stxlib.decode.recognizer import Recognizer, default_decoder
from stxlib.errors import ConfigError, DataError
from stxlib.models.speech_to_text import SpeechToText
from stxlib.text.target_vocabulary import TargetsConfig, TargetVocabulary

RATE = 16000
LENGTHS = {"a": 1.3, "b": 0.5, "c": 2.1, "d": 0.01, "e": 0.9, "f": 1.0, "g": 0.6}  # d is shorter than a frame
UNREADABLE = ("h", "i")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for seed, (utt, seconds) in enumerate(LENGTHS.items()):
        soundfile.write(folder / f"{utt}.wav", speech(seconds, seed), RATE)
    (folder / "i.wav").write_bytes(b"this is no audio")
    write_table(folder / "wav.scp", {utt: str(folder / f"{utt}.wav") for utt in (*LENGTHS, *UNREADABLE)})
    return folder


@pytest.fixture
def decode(model: Path, data: Path, tmp_path: Path) -> Callable[..., Path]:
    def run(*options: str, out: str = "out") -> Path:
        main(
            [
                "--model",
                str(model),
                "--data",
                str(data),
                "--out",
                str(tmp_path / out),
                "--device",
                "cpu",
                *options,
            ]
        )
        return tmp_path / out

    return run


def read_nbest(out: Path) -> dict[str, list[dict[str, Any]]]:
    lines = [json.loads(line) for line in (out / "nbest").read_text().splitlines()]
    return {line["utt"]: line["hypotheses"] for line in lines}


def test_every_file_is_written_and_agrees_with_the_recognizer(
    decode: Callable[..., Path], model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = decode()
    text = read_table(out / "text", allow_empty=True)
    score, times, nbest = read_table(out / "score"), read_table(out / "times"), read_nbest(out)
    assert list(text) == list(score) == list(times) == list(nbest) == sorted((*LENGTHS, *UNREADABLE))
    recognizer = Recognizer.load(model)
    for utt, seconds in LENGTHS.items():
        wave = torch.from_numpy(soundfile.read(data / f"{utt}.wav", dtype="float32")[0])
        (expected,) = recognizer.recognize(wave[None], torch.tensor([len(wave)])).hypotheses["asr"]
        assert text[utt] == recognizer.target("asr", expected[0]) == nbest[utt][0]["text"]
        assert [tuple(hypothesis["tokens"]) for hypothesis in nbest[utt]] == [e.tokens for e in expected]
        assert float(score[utt]) == pytest.approx(expected[0].score, abs=2e-3)
        assert nbest[utt][0]["parts"] == pytest.approx(expected[0].parts, abs=2e-3)
        audio, of_model, of_decoder = map(float, times[utt].split())
        assert audio == pytest.approx(seconds, abs=1e-3) and of_model >= 0 and of_decoder >= 0
    assert len({text[utt] for utt in LENGTHS}) >= 5, f"the texts tell nothing: {text}"
    for utt in UNREADABLE:
        assert text[utt] == "" and nbest[utt] == [] and score[utt] == "-inf"
    assert text["d"] == "" and nbest["d"][0]["tokens"] == []

    summary = json.loads((out / "summary.json").read_text())
    assert summary["num_utts"] == len(text) and summary["num_unreadable"] == 2
    assert set(summary["unreadable"]) == set(UNREADABLE) and "no such file" in summary["unreadable"]["h"]
    assert summary["audio_seconds"] == pytest.approx(sum(LENGTHS.values()), abs=1e-3)
    assert summary["rtf_decoder"] == pytest.approx(summary["decoder_seconds"] / summary["audio_seconds"])
    assert 0 < summary["rtf_decoder"] < summary["rtf_end_to_end"]
    assert (
        len(summary["model_sha256"]) == 64
        and summary["decoder"]["kind"] == "joint_beam"
        and summary["git_commit"]
    )
    assert not [path for path in out.iterdir() if path.name.endswith((".tmp", ".new"))]
    assert "2 unreadable" in capsys.readouterr().out


def test_batches_do_not_matter(decode: Callable[..., Path]) -> None:
    one, many = decode("--batch_seconds", "0.1", out="one"), decode(out="many")
    assert (one / "text").read_bytes() == (many / "text").read_bytes()
    scores, others = read_table(one / "score"), read_table(many / "score")
    assert {utt: float(value) for utt, value in scores.items()} == pytest.approx(
        {utt: float(value) for utt, value in others.items()}, abs=2e-3
    )


@pytest.mark.slow
def test_the_number_of_processes_does_not_matter(decode: Callable[..., Path]) -> None:
    alone = decode("--batch_seconds", "2", out="alone")
    together = decode("--batch_seconds", "2", "--num_jobs", "3", out="together")
    for name in ("text", "score", "nbest"):
        assert (alone / name).read_bytes() == (together / name).read_bytes()
    summary = json.loads((together / "summary.json").read_text())
    assert summary["num_jobs"] == 3 and summary["num_unreadable"] == 2


def test_greedy_from_a_yaml_is_kept_for_transcribing(
    decode: Callable[..., Path], model: Path, tmp_path: Path
) -> None:
    (tmp_path / "decode.greedy.yaml").write_text("decoder:\n  kind: ctc_greedy\nkeep_decoder: true\n")
    try:
        out = decode("--config", str(tmp_path / "decode.greedy.yaml"))
        assert default_decoder(model) == CtcGreedyConfig()
        again = decode("--decoder.kind", "default", out="again")
        assert (out / "text").read_bytes() == (again / "text").read_bytes()
        assert json.loads((again / "summary.json").read_text())["decoder"] == {"kind": "ctc_greedy"}
        assert all(len(hypotheses) == 1 for utt, hypotheses in read_nbest(out).items() if utt in LENGTHS)
    finally:
        (model / "decode.yaml").unlink()
    assert default_decoder(model) == JointBeamConfig()


def forget_memory(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network run out of memory for more than `limit` waves at once."""
    encode = SpeechToText.encode

    def limited(self: SpeechToText, waves: Tensor, wave_lens: Tensor) -> tuple[Tensor, Tensor]:
        if len(waves) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(self, waves, wave_lens)

    monkeypatch.setattr(SpeechToText, "encode", limited)


def test_ctc_of_entities_is_read_without_the_words_before_it(
    decode: Callable[..., Path], tmp_path: Path
) -> None:
    """words_first is a matter of the attention decoder: the CTC output has learnt entities, and no words by themselves."""
    vocabulary = TargetVocabulary.of(TargetsConfig(tasks=("asr", "ner")), [("entity", "GPE")])
    tagger = save_model(
        tmp_path / "tagger", vocabulary=vocabulary, tasks=("asr", "ner"), ctc_task="ner", words_first=True
    )
    (tmp_path / "greedy.yaml").write_text("decoder: {kind: ctc_greedy}\n")
    out = decode("--model", str(tagger), "--config", str(tmp_path / "greedy.yaml"), out="greedy")
    found = read_table(out / "entities", allow_empty=True)
    assert found.keys() == read_table(out / "text", allow_empty=True).keys() == {*LENGTHS, *UNREADABLE}
    assert Recognizer.load(tagger, CtcGreedyConfig()).tasks == ("ner",)
    out = decode("--model", str(tagger), "--decoder.beam_size", "2", out="joint")
    assert (out / "entities").is_file() and Recognizer.load(tagger).tasks == ("asr", "ner")


def test_a_batch_that_does_not_fit_into_memory_is_halved(
    decode: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = decode(out="whole")
    forget_memory(2, monkeypatch)
    halved = decode(out="halved")
    assert (whole / "text").read_bytes() == (halved / "text").read_bytes()
    assert "not enough memory for 7 utterances at once: going on with 4" in capsys.readouterr().out
    forget_memory(0, monkeypatch)
    with pytest.raises(DataError, match=r"utterance 'c' \(2\.1 s\): memory does not suffice"):
        decode(out="none")
    assert not (halved.parent / "none" / "summary.json").exists()


def test_a_second_run_that_fails_leaves_no_finished_folder(
    decode: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = decode()
    assert (out / "summary.json").exists()
    forget_memory(0, monkeypatch)
    with pytest.raises(DataError):
        decode()
    assert not (out / "summary.json").exists() and (out / "text").exists()


def test_a_network_that_is_not_finite_is_named(
    decode: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = SpeechToText.encode

    def broken(self: SpeechToText, waves: Tensor, wave_lens: Tensor) -> tuple[Tensor, Tensor]:
        encoded, lens = encode(self, waves, wave_lens)
        encoded[1, 0, 0] = math.nan
        return encoded, lens

    monkeypatch.setattr(SpeechToText, "encode", broken)
    with pytest.raises(DataError, match="utterances a: the network's output is not finite"):
        decode()


def test_mistakes_have_messages(decode: Callable[..., Path], model: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a data directory"):
        main(["--model", str(model), "--data", str(data), "--out", str(data)])
    with pytest.raises(ConfigError, match="num_jobs: 0"):
        decode("--num_jobs", "0")
    with pytest.raises(ConfigError, match="ctc_weight: 1"):
        decode("--decoder.ctc_weight", "1")
    write_table(tmp_path / "text_only" / "text", {"a": "hello"})
    with pytest.raises(DataError, match=r"has no wav\.scp"):
        decode("--data", str(tmp_path / "text_only"))
    with pytest.raises(DataError, match=r"network\.yaml: not there"):
        decode("--model", str(tmp_path), out="early")
    assert not (tmp_path / "early").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file: cannot be written"):
        decode(out="file")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="torch sees no GPU"):
            decode("--device", "cuda")


def test_nothing_can_be_read(decode: Callable[..., Path], tmp_path: Path) -> None:
    write_table(tmp_path / "lost" / "wav.scp", {"a": str(tmp_path / "a.wav")})
    out = decode("--data", str(tmp_path / "lost"))
    assert read_table(out / "text", allow_empty=True) == {"a": ""}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["num_unreadable"] == 1 and summary["rtf_decoder"] is None
