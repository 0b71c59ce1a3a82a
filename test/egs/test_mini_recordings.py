"""The recordings of egs/mini: speakers, rooms and noise, and what prepare.py writes, at toy size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stxlib.data.data_dir import DataDir
from stxlib.data.tables import read_table

ROOT = Path(__file__).parents[2]
LOCAL = ROOT / "egs" / "mini" / "local"
sys.path.insert(0, str(LOCAL))

from grammar import ENTITY_TYPES  # noqa: E402
from recording import SAMPLE_RATE, coloured_noise, resample, reverberate  # noqa: E402
from speakers import make_speakers  # noqa: E402

EVALUATED = ("dev", "test", "test_rare")


def prepare(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(LOCAL / "prepare.py"), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mini") / "data"
    done = prepare("--out", str(out), "--scale", "0.02", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert "word types in all" in done.stdout
    return out


def test_speakers_are_disjoint_and_accents_partly_unseen() -> None:
    counts = {"train": 110, "dev": 24, "test": 40, "test_rare": 40}
    speakers = make_speakers(1, counts)
    assert {name: len(group) for name, group in speakers.items()} == counts and counts["train"] >= 100
    voices = [(s.accent, s.variant, s.pitch, s.rate) for group in speakers.values() for s in group]
    assert len(voices) == len(set(voices))
    variants = {name: {speaker.variant for speaker in group} for name, group in speakers.items()}
    assert variants["train"].isdisjoint(variants["dev"] | variants["test"]) and variants["dev"].isdisjoint(
        variants["test"]
    )
    accents = {name: Counter(speaker.accent for speaker in group) for name, group in speakers.items()}
    unseen = sum(count for accent, count in accents["test"].items() if accent not in accents["train"])
    assert 0.1 < unseen / counts["test"] < 0.5
    assert make_speakers(1, counts) == speakers != make_speakers(2, counts)


def test_rooms_and_noise_are_what_they_say() -> None:
    rng = np.random.default_rng(0)
    noise = coloured_noise(16000, rng)
    assert len(noise) == 16000 and np.mean(noise**2) == pytest.approx(1.0)
    click = np.zeros(16000)
    click[100] = 1.0
    echo = reverberate(click, rng)
    assert (
        echo[100] == pytest.approx(1.0) and np.abs(echo[:100]).max() < 1e-9
    )  # the direct sound stays where it is
    assert -10.5 < 10 * np.log10(np.sum(echo[101:] ** 2)) < -1.5
    tone = np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050)
    expected = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    np.testing.assert_allclose(resample(tone, 22050)[500:-500], expected[500:-500], atol=0.01)


def test_the_toy_corpus_is_complete(corpus: Path) -> None:
    assert sorted(path.name for path in corpus.glob("[!.]*")) == [
        "dev",
        "test",
        "test_rare",
        "text_only",
        "text_part",
        "train",
    ]
    labels = {"text", "intent", "semantics", "entities", "sentiment", "pattern"}
    spoken = {"wav.scp", "utt2spk", "utt2dur", "utt2num_samples", "word_times", "phone_times", "utt2accent"}
    for name in ("train", *EVALUATED):
        data = DataDir(corpus / name)
        assert data.streams >= labels | spoken and len(data.utts) >= 8
        assert all(set(data.table(stream)) == set(data.utts) for stream in labels | spoken)
    text_only = DataDir(corpus / "text_only")
    assert text_only.has("text") and not text_only.has("wav.scp") and len(text_only.utts) == 600


def test_written_labels_point_into_the_text(corpus: Path) -> None:
    num_entities = 0
    for name in ("train", "text_only"):
        tables: dict[str, dict[str, str]] = {
            stream: read_table(corpus / name / stream)
            for stream in ("text", "intent", "semantics", "entities")
        }
        for utt, text in tables["text"].items():
            semantics: dict[str, Any] = json.loads(tables["semantics"][utt])
            assert semantics["intent"] == tables["intent"][utt]
            assert all(f" {slot['filler']} " in f" {text} " for slot in semantics["slots"])
            for entity in json.loads(tables["entities"][utt]):
                assert entity["type"] in ENTITY_TYPES
                assert text[entity["start"] : entity["start"] + entity["length"]] == entity["filler"]
                num_entities += 1
    assert num_entities > 300


def test_audio_is_what_the_tables_say(corpus: Path) -> None:
    data = DataDir(corpus / "train")
    noise_levels = []
    for utt in data.utts:
        path = corpus / "train" / data.table("wav.scp")[utt]
        info = soundfile.info(path)
        assert (info.format, info.subtype, info.samplerate, info.channels) == (
            "FLAC",
            "PCM_16",
            SAMPLE_RATE,
            1,
        )
        wave, _ = soundfile.read(path)
        assert len(wave) == int(data.table("utt2num_samples")[utt])
        seconds = len(wave) / SAMPLE_RATE
        assert float(data.table("utt2dur")[utt]) == pytest.approx(seconds, abs=1e-3)
        words = json.loads(data.table("word_times")[utt])
        assert [word for word, _, _ in words] == data.table("text")[utt].split()
        for marks in (words, json.loads(data.table("phone_times")[utt])):
            assert all(0 <= start <= end <= seconds + 1e-3 for _, start, end in marks)
        first, last = words[0][1], words[-1][2]
        spoken = wave[int(first * SAMPLE_RATE) : int(last * SAMPLE_RATE)]
        before = wave[: int(first * SAMPLE_RATE)]
        noise_levels.append(10 * np.log10(np.mean(spoken**2) / np.mean(before**2)))
    assert min(noise_levels) > 4 and max(noise_levels) < 34 and max(noise_levels) - min(noise_levels) > 10


def test_another_number_of_processes_writes_the_same(corpus: Path, tmp_path: Path) -> None:
    done = prepare("--out", str(tmp_path / "data"), "--scale", "0.02", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    for stream in ("text", "semantics", "utt2spk", "utt2num_samples", "phone_times", "wav.scp"):
        for name in ("train", "test_rare"):
            assert read_table(tmp_path / "data" / name / stream) == read_table(corpus / name / stream)
    utt, path = next(iter(read_table(corpus / "test" / "wav.scp").items()))
    one, other = (soundfile.read(folder / "test" / path)[0] for folder in (corpus, tmp_path / "data"))
    np.testing.assert_allclose(one, other, atol=1e-3, err_msg=utt)


def test_a_folder_of_other_things_is_not_replaced(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = prepare("--out", str(tmp_path), "--scale", "0.02")
    assert (
        done.returncode == 2
        and "no recipe made this folder" in done.stderr
        and "Traceback" not in done.stderr
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    bad = prepare("--out", str(tmp_path / "data"), "--scale", "2")
    assert bad.returncode == 2 and "scale" in bad.stderr and not (tmp_path / "data").exists()


@pytest.mark.slow
def test_the_full_corpus_has_an_hour_and_comes_in_time(tmp_path: Path) -> None:
    out = tmp_path / "data"
    before = os.times()
    done = prepare("--out", str(out), "--jobs", "2")
    after = os.times()
    assert done.returncode == 0, done.stderr
    used = after.children_user + after.children_system - before.children_user - before.children_system
    assert used < 240  # two minutes of two cores, whatever else the machine does meanwhile
    train = DataDir(out / "train")
    assert 0.9 < sum(train.seconds.values()) / 3600 < 1.25 and len(train.speakers) >= 100
    assert sum(len(DataDir(out / name).utts) for name in EVALUATED) == 1000
