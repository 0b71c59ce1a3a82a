"""stxlib.bin.train and stxlib.bin.average on a tiny network and corpus: what they write, and what cannot stop them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from stxlib.bin.average import main as average
from stxlib.bin.tokenize import main as tokenize
from stxlib.bin.train import main, stage_name
from stxlib.data.tables import read_table, write_table
from stxlib.decode.recognizer import Recognizer
from stxlib.errors import ConfigError, DataError

RATE = 16000
TONES = {"low": 300.0, "middle": 900.0, "high": 2700.0}
TINY = """
network:
  encoder: {conv_channels: 4, conformer: {num_layers: 1, dim: 16, num_heads: 2, ff_dim: 16}}
  backbone:
    conformer: {num_layers: 1, dim: 16, num_heads: 2, ff_dim: 16}
    decoder: {num_layers: 1, dim: 16, num_heads: 2, ff_dim: 16}
batches: {batch_seconds: 10, num_workers: 0}
trainer: {log_every: 1, eval_every: 4, save_every: 2}
device: cpu
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 12 utterances of 1 to 2 s in which a word is a tone, one of them too short for its words."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for name, num_utts in (("train", 12), ("dev", 3)):
        (folder / name).mkdir()
        texts, waves = {}, {}
        for index in range(num_utts):
            words = rng.choice(list(TONES), size=rng.integers(2, 4)).tolist()
            samples = [
                0.1 * np.sin(2 * np.pi * TONES[word] * np.arange(int(0.6 * RATE)) / RATE) for word in words
            ]
            utt, path = f"{name}{index:02}", folder / name / f"{index}.wav"
            wave = np.concatenate(samples)
            soundfile.write(path, wave[:4000] if (name, index) == ("train", 0) else wave, RATE)
            texts[utt], waves[utt] = " ".join(words), str(path)
        write_table(folder / name / "text", texts)
        write_table(folder / name / "wav.scp", waves)
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "units.yaml").write_text("tokens: {vocab_size: 20}\n")
    sets = [str(folder / name) for name in ("train", "dev")]
    texts_and_sets = ["--train", f"{sets[0]}/text", "--sets", *sets, "--out", str(folder / "units")]
    tokenize(["--config", str(folder / "units.yaml"), *texts_and_sets])
    return folder


def command(corpus: Path, out: Path, *options: str, steps: int = 8) -> list[str]:
    """Return the words behind `stxlib.bin.train`."""
    paths = ["--train", corpus / "train", "--dev", corpus / "dev", "--units", corpus / "units", "--out", out]
    return [
        "--config",
        str(corpus / "tiny.yaml"),
        *map(str, paths),
        "--trainer.max_steps",
        str(steps),
        *options,
    ]


def start(words: list[str], *, processes: int = 1) -> subprocess.Popen[str]:
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        if processes > 1
        else []
    )
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    whole = [sys.executable, *launcher, "-m", "stxlib.bin.train", *words]
    return subprocess.Popen(
        whole, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_a_run_leaves_all_that_decoding_needs(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pretrain" / "seed1"
    main(command(corpus, out))
    log = capsys.readouterr().out
    assert "pretrain command: " in log and "pretrain step 8/8 dev loss" in log
    assert "train: 1 of 12 utterances left out: fewer_frames_than_labels (train00)" in log
    assert read_table(out / "excluded") == {"train00": "fewer_frames_than_labels"}
    assert read_table(out / "excluded_dev") == {}
    moved = tmp_path / "elsewhere"
    out.rename(moved)
    recognizer = Recognizer.load(moved)
    with torch.no_grad():
        found = recognizer.recognize(torch.randn(2, RATE), torch.tensor([RATE, RATE // 2]))
        assert len(found.hypotheses["asr"]) == 2

    average(["--run", str(moved), "--num_best", "1", "--out", str(tmp_path / "best1")])
    average(["--run", str(moved), "--steps", "4", "8", "--out", str(tmp_path / "both")])
    weights = {name: load_file(tmp_path / name / "model.safetensors") for name in ("best1", "both")}
    kept = [load_file(moved / "best" / f"step000000{step}.safetensors") for step in (4, 8)]
    name = "unit_head.weight"
    mean = (kept[0][f"network.{name}"].double() + kept[1][f"network.{name}"].double()) / 2
    assert torch.equal(weights["both"][name], mean.float())
    assert any(torch.equal(weights["best1"][name], state[f"network.{name}"]) for state in kept)
    with pytest.raises(DataError, match="after step 5 were not kept; there are those after 4, 8"):
        average(["--run", str(moved), "--steps", "5", "--out", str(tmp_path / "no")])


def test_a_run_begins_with_another_and_its_frozen_part_stays(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    main(command(corpus, first, steps=2))
    main(command(corpus, second, "--init", str(first), "--freeze", "encoder.*", steps=2))
    before, after = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"backbone", "unit_head"}
    log = capsys.readouterr().out
    assert "missing 0, unexpected 0, frozen" in log and "WARNING" not in log
    symbols = first / "units/units/symbols.txt"
    symbols.write_text(symbols.read_text().replace("<unk>\n", "<unk>\n_", 1))
    main(command(corpus, tmp_path / "other", "--init", str(first), steps=1))
    assert "WARNING: the units of" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="matches none"):
        main(command(corpus, tmp_path / "third", "--init", str(first), "--init_patterns.include", "encodr.*"))


def test_a_set_without_units_says_which_stage_makes_them(corpus: Path, tmp_path: Path) -> None:
    words = command(corpus, tmp_path / "out")
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("text", "wav.scp"):
        (bare / name).write_text((corpus / "dev" / name).read_text())
    words[words.index("--dev") + 1] = str(bare)
    with pytest.raises(ConfigError, match="bare: no stream units; run stage 2"):
        main(words)


def test_the_stage_names_the_lines_of_the_log() -> None:
    assert stage_name(Path("exp/pretrain/seed1")) == "pretrain"
    assert stage_name(Path("exp/asr/seed1/train")) == "train"


@pytest.mark.slow
def test_killed_at_any_point_the_same_command_gives_the_same_bits(corpus: Path, tmp_path: Path) -> None:
    main(command(corpus, tmp_path / "straight", "--batches.num_workers", "1", steps=30))
    words = command(corpus, tmp_path / "killed", "--batches.num_workers", "1", steps=30)
    process = start(words)
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "checkpoint.backup.safetensors").exists():
        assert process.poll() is None and time.monotonic() < deadline, (
            "the run ended before it could be killed"
        )
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    # As if the machine had gone down in the middle of a write.
    newest = tmp_path / "killed" / "checkpoint.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    process = start(words)
    log, _ = process.communicate(timeout=240)
    assert process.returncode == 0, log
    assert "backup" in log and "resumes at step" in log
    assert (tmp_path / "killed" / "model.safetensors").read_bytes() == (
        tmp_path / "straight" / "model.safetensors"
    ).read_bytes()


@pytest.mark.slow
def test_two_processes_make_the_updates_of_one(corpus: Path, tmp_path: Path) -> None:
    options = ["--trainer.ema_decay", "0", "--trainer.average_best", "1"]
    dropout = [
        f"--network.{part}.dropout=0"
        for part in ("encoder.conformer", "backbone.conformer", "backbone.decoder")
    ]
    main(command(corpus, tmp_path / "one", *options, *dropout, steps=3))
    process = start(command(corpus, tmp_path / "two", *options, *dropout, steps=3), processes=2)
    log, _ = process.communicate(timeout=240)
    assert process.returncode == 0, log
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=1e-5)
