"""What a person sees of a run: the head of the log, its lines, its curves."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from toy_training import ToyBatch, ToyBatches, ToyConfig, ToyDev, ToyObjective, train_toy, trainer_config

from stxlib.config import load_config
from stxlib.train.distributed import Distributed
from stxlib.train.init import freeze
from stxlib.train.provenance import as_count, describe_parameters, describe_settings, first_lines
from stxlib.train.run_dir import RunDir
from stxlib.train.settings import check_unchanged
from stxlib.train.trainer import fit


def inspect(objective: nn.Module, batch: ToyBatch) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    assert not objective.training and batch.utts[0] == "dev0-0"
    return {"alignment": torch.rand(4, 6)}, {"hypotheses": "REF a <b>\nHYP *c*"}


def curves(path: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(path / "tensorboard"))
    accumulator.Reload()
    return accumulator


def test_curves_pictures_and_texts(tmp_path: Path) -> None:
    config = trainer_config()
    run_dir = RunDir(tmp_path, "pretrain", config=ToyConfig(trainer=config))
    fit(
        ToyObjective(),
        ToyBatches(),
        ToyDev(),
        config=config,
        run_dir=run_dir,
        distributed=Distributed.single(),
        seed=1,
        inspect=inspect,
        facts=["train: 8 utterances"],
    )
    seen = curves(tmp_path)
    scalars = {tag: [event.step for event in seen.Scalars(tag)] for tag in seen.Tags()["scalars"]}
    every_two = [2, 4, 6, 8, 10]
    assert scalars == {
        "train/loss": every_two,
        "train/near": every_two,
        "lr": every_two,
        "grad_norm": every_two,
        "speed": every_two,
        "waiting_for_data": every_two,
        "dev/loss": [4, 8, 10],
        "dev/near": [4, 8, 10],
    }
    assert seen.Tags()["images"] == ["alignment"]
    assert len(seen.Tags()["tensors"]) == 1
    assert load_config(ToyConfig, tmp_path / "config.yaml") == ToyConfig(trainer=config)
    log = (tmp_path / "train.log").read_text()
    assert "pretrain train: 8 utterances" in log
    line = next(line for line in log.splitlines() if "pretrain step 4/10 loss" in line)
    assert re.search(r"step 4/10 loss \S+ near \S+ lr 3\.9e-02 grad \S+ audio_s/s \S+ eta \d+s$", line)


def test_curves_are_cut_where_a_run_goes_on(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(step: int) -> None:
        if step == 8:
            raise Stop

    with pytest.raises(Stop):
        train_toy(tmp_path, batches=ToyBatches(1, stop), eval_every=100, save_every=5, log_every=1)
    train_toy(tmp_path, eval_every=100, save_every=5, log_every=1)
    assert [event.step for event in curves(tmp_path).Scalars("train/loss")] == list(range(1, 11))


def test_first_lines_tell_where_everything_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = ToyObjective()
    freeze(objective, ["network.bottom.0.bias"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "stxlib.bin.train", "--note", "a b"])
    settings = {"trainer.max_steps": 10, "trainer.resume": True, "sets": ["a", "b"], "note": "a b"}
    sources = {"note": "command line", "trainer.max_steps": "conf/train.yaml:3", "sets": "default"}
    lines = first_lines(objective, settings, sources, Distributed.single(), "bf16", ["dev: 1 h"])
    assert lines[0] == "command: python -m stxlib.bin.train --note 'a b'"
    assert lines[1].startswith("code: stxlib 0.1.0, commit ")
    assert (
        lines[2].startswith("device: CPU ")
        and "1 process of" in lines[2]
        and " threads, bf16; torch" in lines[2]
    )
    assert lines[3:] == [
        "config: trainer.max_steps = 10  (conf/train.yaml:3)",
        "config: note = a b  (command line)",
        "config: by default: trainer.resume=true sets=[a, b]",
        "parameters: network.bottom: 12 trainable, 4 frozen",
        "parameters: network.top: 13 trainable",
        "parameters: all: 25 trainable, 4 frozen",
        "dev: 1 h",
    ]


def test_long_defaults_are_wrapped_and_nothing_is_cut() -> None:
    settings = {f"key{i}": "x" * 30 for i in range(10)} | {"long": "y" * 200}
    lines = describe_settings(settings, {})
    assert " ".join(line.strip() for line in lines).split()[3:] == [f"{k}={v}" for k, v in settings.items()]


def test_parameters_of_a_module_with_weights_of_its_own() -> None:
    module = nn.Linear(2, 3)
    assert describe_parameters(module) == ["parameters: (own): 9 trainable", "parameters: all: 9 trainable"]


def test_counts() -> None:
    assert [as_count(n) for n in (7, 38_200, 4_031_000, 7_250_000_000)] == ["7", "38.2 k", "4.03 M", "7.25 G"]


def test_a_pipe_gets_plain_lines_and_a_terminal_a_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train_toy(tmp_path / "pipe")
    assert "toy step 2/10 loss" in capsys.readouterr().out

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    train_toy(tmp_path / "terminal")
    assert "10/10" in err.getvalue() and "toy:" in err.getvalue()
    assert "toy step 2/10 loss" not in out.getvalue(), "the bar shows it"
    assert "toy step 4/10 dev loss" in out.getvalue()
    assert "toy step 2/10 loss" in (tmp_path / "terminal/train.log").read_text()


def test_other_ranks_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = RunDir(tmp_path, "toy", config=ToyConfig(), is_main=False)
    run_dir.log("x")
    run_dir.write_config()
    run_dir.scalars(1, {"a": 1.0})
    run_dir.open_bar(0, 5)
    run_dir.close()
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().out == ""


def test_harmless_patterns_of_a_command() -> None:
    saved, now = {"out": "a", "lr": 1.0}, {"out": "b", "lr": 1.0}
    assert check_unchanged("x", saved, now, ["out"]) == ["out: a -> b"]
    with pytest.raises(Exception, match=r"out: a -> b"):
        check_unchanged("x", saved, now)
    with pytest.raises(Exception, match=r"new: \(absent\) -> 3"):
        check_unchanged("x", saved, saved | {"new": 3})
