"""A small `exp` folder as a recipe leaves it: trained, decoded and scored, with names that try to be markup."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
import yaml

from stxlib.bin.score import main as score
from stxlib.data.tables import write_table
from stxlib.score.metric import Counts, Inputs, Scored, percent
from stxlib.score.score_json import score_entry, write_scores

EVIL = "<script>alert('x')</script>&amp;|`"


def make_data(folder: Path, *, size: int = 24) -> None:
    """A set of `size` utterances by six speakers, with a second of audio each; one id and some words are markup."""
    utts = [f"s{i % 6}-u{i:02}" for i in range(size - 1)] + ["s5-<img/src=x>"]
    texts = {utt: f"the word{i} of {EVIL}" for i, utt in enumerate(utts)}
    write_table(folder / "text", texts)
    write_table(folder / "utt2spk", {utt: utt[:2] for utt in utts})
    write_table(folder / "spk2accent", {f"s{i}": ["us", "<b>gb</b>"][i % 2] for i in range(6)})
    (folder / "wav").mkdir()
    with wave.open(str(folder / "wav" / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((3000 * np.sin(np.arange(16_000) / 9)).astype("<i2").tobytes())
    write_table(folder / "wav.scp", {utt: str((folder / "wav" / "a.wav").resolve()) for utt in utts})


def make_run(exp: Path, data: Path, row: str, seed: int, *, wrong: int) -> Path:
    """exp/<row>/seed<seed>/train with decode_joint_<set> of both sets, `wrong` utterances wrong in each."""
    from safetensors.numpy import save_file

    train = exp / row / f"seed{seed}" / "train"
    train.mkdir(parents=True)
    settings = {"seed": seed, "out": str(train), "trainer": {"max_steps": 50}}
    (train / "config.yaml").write_text(yaml.safe_dump(settings))
    head = {
        "command": f"/usr/bin/python3 -m stxlib.bin.train --seed {seed} --init exp/pretrain/seed{seed}",
        "code": "stxlib 0.1.0, commit abc",
    }
    (train / "train.log").write_text(
        "".join(f"2026-01-01 10:00:00 train {key}: {value}\n" for key, value in head.items())
    )
    metadata = {"json": json.dumps({"progress": {"step": 50, "seconds": 75.0}})}
    save_file({"x": np.zeros(1)}, train / "checkpoint.safetensors", metadata=metadata)
    for name in ("test", "test_rare"):
        out = train / f"decode_joint_{name}"
        out.mkdir()
        lines = (data / name / "text").read_text().splitlines()
        lines = [line.replace("word", "wort") if i < wrong else line for i, line in enumerate(lines)]
        (out / "text").write_text("\n".join(lines) + "\n")
        summary = {"rtf_decoder": 0.012, "rtf_end_to_end": 0.034, "wall_seconds": 9.5, "num_unreadable": 0}
        (out / "summary.json").write_text(json.dumps(summary))
        ref, train_text = str(data / name), str(data / "train_text")
        arguments = ["--ref", ref, "--hyp", str(out), "--out", str(out), "--train_text", train_text]
        score([*arguments, "--metric", "wer", "cer", "--draws", "100"])
    return train


@pytest.fixture(scope="session")
def exp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`<folder>/exp` beside `<folder>/data`: asr with two seeds, lasyn.random with one, a pretraining."""
    folder = tmp_path_factory.mktemp("recipe")
    data = folder / "data"
    for name in ("test", "test_rare"):
        make_data(data / name)
    write_table(data / "train_text", {"t1": "the of word1 word2"})
    for row, seed, wrong in (("asr", 1, 6), ("asr", 2, 12), ("lasyn.random", 1, 3)):
        make_run(folder / "exp", data, row, seed, wrong=wrong)
    (folder / "exp" / "pretrain" / "seed1" / "tensorboard").mkdir(parents=True)
    return folder / "exp"


INTENTS = ("alarm_set", "alarm_query", EVIL)


def make_intents(data: Path, decode: Path, wrong: range) -> None:
    """Score the intents of a set into `decode` as a metric of understanding does: `wrong` utterances are taken for the next intent."""
    utts = [line.split(" ")[0] for line in (data / "text").read_text().splitlines()]
    references = [INTENTS[i % len(INTENTS)] for i in range(len(utts))]
    predictions = [
        INTENTS[(INTENTS.index(right) + (i in wrong)) % len(INTENTS)] for i, right in enumerate(references)
    ]
    pairs = list(zip(references, predictions, strict=True))
    correct = np.array([float(one == other) for one, other in pairs])

    def figures(counts: Counts) -> dict[str, np.ndarray]:
        rate = percent(counts["correct"], counts["utterances"])
        return dict.fromkeys(("intent_accuracy", "intent_macro_f1", "action_accuracy"), rate)

    tallies = {
        label: {
            "tp": pairs.count((label, label)),
            "fp": sum(one != label == other for one, other in pairs),
            "fn": sum(one == label != other for one, other in pairs),
        }
        for label in INTENTS
    }
    rows = [[pairs.count((one, other)) for other in INTENTS] for one in INTENTS]
    scored = Scored(
        metric="ic",
        headline="intent_accuracy",
        lower_is_better=False,
        utts=tuple(utts),
        counts={
            "utterances": np.ones(len(utts)),
            "correct": correct,
            "correct:alarm_set": correct * [one == "alarm_set" for one in references],
        },
        figures=figures,
        main_figures=("intent_accuracy", "intent_macro_f1"),
        details={"per_label": tallies, "confusion": {"labels": INTENTS, "rows": rows}},
    )
    decode.mkdir(parents=True, exist_ok=True)
    write_scores(decode, {"ic": score_entry(scored, Inputs(ref=data, hyp=decode), draws=100, seed=1)})
    lines = [
        {"utt": utt, "reference": one, "prediction": other, "correct": one == other}
        for utt, (one, other) in zip(utts, pairs, strict=True)
    ]
    (decode / "utterances.ic.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture(scope="session")
def understanding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`<folder>/exp` beside `<folder>/data`: asr.multi with words and intents and two seeds, and nlu, which has no audio and no words."""
    folder = tmp_path_factory.mktemp("understanding")
    for name in ("test", "test_rare"):
        make_data(folder / "data" / name)
    write_table(folder / "data" / "train_text", {"t1": "the of word1 word2"})
    for seed in (1, 2):
        train = make_run(folder / "exp", folder / "data", "asr.multi", seed, wrong=4)
        for name in ("test", "test_rare"):
            make_intents(folder / "data" / name, train / f"decode_joint_{name}", range(6 * seed))
    for name in ("test", "test_rare"):
        decode = folder / "exp" / "nlu" / "seed1" / "train" / f"decode_beam_{name}"
        make_intents(folder / "data" / name, decode, range(4, 8))
        (decode / "summary.json").write_text(json.dumps({"wall_seconds": 1.5}))
    return folder / "exp"
