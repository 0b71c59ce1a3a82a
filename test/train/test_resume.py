"""Law: a run that was stopped anywhere, however rudely, ends with the weights of one that was not."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_training
from safetensors import safe_open
from toy_training import ToyBatches, ToyDev, process, train_toy

from stxlib.errors import ConfigError, DataError
from stxlib.train.best import final_state
from stxlib.train.checkpoint import BACKUP, DAMAGED, NEWEST

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulated": {"accumulation": 2},
    "no average": {"ema_decay": 0.0},
    "bf16": {"autocast": "bf16"},
    "fp16": {"autocast": "fp16"},
}


def weights(path: Path, out: Path) -> dict[str, torch.Tensor]:
    """The last weights, saved by rank 0, and the average of the best ones."""
    return torch.load(f"{out}.rank0", weights_only=True) | averaged(path)


def averaged(path: Path) -> dict[str, torch.Tensor]:
    return {f"final.{key}": value for key, value in final_state(path, average_best=2)[0].items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, run_processes: Any) -> Any:
    """`whole(ranks)` -> weights of an uninterrupted run of that many processes."""

    @functools.cache
    def run(ranks: int) -> dict[str, torch.Tensor]:
        path = tmp_path_factory.mktemp("whole")
        assert run_processes(process, path, path / "out", {}, ranks=ranks)[0] == [0] * ranks
        return weights(path, path / "out")

    return run


def assert_bit_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys() and len(one) >= 7
    for name in one:
        assert torch.equal(one[name], other[name]), name


class Stop(Exception):
    pass


def stop_before(step_to_stop_at: int) -> Any:
    def before(step: int) -> None:
        if step == step_to_stop_at:
            raise Stop

    return before


@pytest.mark.parametrize("way", WAYS)
def test_ten_steps_are_six_and_a_restart_and_four(tmp_path: Path, way: str) -> None:
    changes = WAYS[way]
    whole, result = train_toy(tmp_path / "whole", **changes)
    batches = ToyBatches(changes.get("accumulation", 1), stop_before(6))
    with pytest.raises(Stop):
        train_toy(tmp_path / "parts", batches=batches, **changes)
    batches.before, batches.asked = None, []
    parts, resumed = train_toy(tmp_path / "parts", batches=batches, **changes)
    assert batches.asked == [6, 7, 8, 9], (
        "the restart must ask for the steps that were not done, and for no other"
    )
    assert_bit_equal(whole.state_dict(), parts.state_dict())
    assert_bit_equal(averaged(tmp_path / "whole"), averaged(tmp_path / "parts"))
    assert resumed.best == result.best


def test_other_dropout_gives_other_weights(tmp_path: Path) -> None:
    """The comparison above is able to fail: the seed of a step matters."""
    one, _ = train_toy(tmp_path / "one")
    other, _ = train_toy(tmp_path / "other", objective=toy_training.ToyObjective(dropout=0.0))
    assert not torch.equal(one.network["top"][0].weight, other.network["top"][0].weight)


# 3: right after a save and before the next step; 4: with an evaluation between; 5: a step is lost and redone.
@pytest.mark.parametrize("kill_at", [1, 3, 4, 5])
def test_kill_9_and_the_same_command(tmp_path: Path, run_processes: Any, whole: Any, kill_at: int) -> None:
    codes, _ = run_processes(process, tmp_path / "killed", tmp_path / "b", {"kill_at": kill_at})
    assert codes == [-signal.SIGKILL]
    codes, printed = run_processes(process, tmp_path / "killed", tmp_path / "b", {})
    assert codes == [0]
    saved = {1: 0, 3: 3, 4: 4, 5: 4}[kill_at]
    assert (f"toy resumes at step {saved}/10" in printed) == (saved > 0)
    assert_bit_equal(whole(1), weights(tmp_path / "killed", tmp_path / "b"))


def test_two_ranks_killed_and_restarted(tmp_path: Path, run_processes: Any, whole: Any) -> None:
    codes, _ = run_processes(process, tmp_path / "killed", tmp_path / "b", {"kill_at": 5}, ranks=2)
    assert codes == [-signal.SIGKILL] * 2
    assert run_processes(process, tmp_path / "killed", tmp_path / "b", {}, ranks=2)[0] == [0, 0]
    assert_bit_equal(whole(2), weights(tmp_path / "killed", tmp_path / "b"))


@pytest.mark.parametrize("ranks", [1, 2])
def test_sigterm_saves_and_exits(tmp_path: Path, run_processes: Any, whole: Any, ranks: int) -> None:
    """Only the last rank gets the signal; all end after the step that they are in."""
    codes, printed = run_processes(
        process, tmp_path / "run", tmp_path / "b", {"terminate_at": 4}, ranks=ranks
    )
    assert codes == [143] * ranks
    assert "toy step 5/10: SIGTERM: the checkpoint is saved" in printed
    codes, printed = run_processes(process, tmp_path / "run", tmp_path / "b", {}, ranks=ranks)
    assert codes == [0] * ranks
    assert "toy resumes at step 5/10" in printed
    assert_bit_equal(whole(ranks), weights(tmp_path / "run", tmp_path / "b"))


def test_sigterm_in_an_evaluation_repeats_it(tmp_path: Path, run_processes: Any, whole: Any) -> None:
    changes = {"terminate_in_evaluation": True}
    codes, _ = run_processes(process, tmp_path / "run", tmp_path / "b", changes)
    assert codes == [143]
    assert not list((tmp_path / "run/best").glob("*"))
    codes, printed = run_processes(process, tmp_path / "run", tmp_path / "b", {})
    assert codes == [0]
    assert "toy step 4/10 dev" in printed
    assert_bit_equal(whole(1), weights(tmp_path / "run", tmp_path / "b"))


def test_a_loader_that_dies_of_the_same_signal(tmp_path: Path) -> None:
    """torch reports worker processes that SIGTERM ended as a RuntimeError; no step is lost by it."""

    def before(step: int) -> None:
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
            raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated.")

    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit_info:
        train_toy(tmp_path, batches=ToyBatches(1, before))
    assert exit_info.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is handler
    with safe_open(tmp_path / NEWEST, "pt") as file:
        assert json.loads(file.metadata()["json"])["progress"]["step"] == 5


@pytest.mark.parametrize("damage", ["truncated", "empty", "missing"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_backup(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, _ = train_toy(tmp_path / "whole")
    with pytest.raises(Stop):
        train_toy(tmp_path / "run", batches=ToyBatches(1, stop_before(7)))
    newest = tmp_path / "run" / NEWEST
    if damage == "missing":
        newest.unlink()
    else:
        newest.write_bytes(newest.read_bytes()[: 3000 if damage == "truncated" else 0])
    capsys.readouterr()
    objective, _ = train_toy(tmp_path / "run")
    printed = capsys.readouterr().out
    assert f"going on from {BACKUP}" in printed
    assert ("is missing" if damage == "missing" else "is damaged") in printed
    assert "toy resumes at step 4/10" in printed  # saved at 3, at 4 (evaluation) and at 6
    assert (tmp_path / "run" / DAMAGED).exists() == (damage != "missing")
    assert_bit_equal(whole.state_dict(), objective.state_dict())
    assert_bit_equal(averaged(tmp_path / "whole"), averaged(tmp_path / "run"))


def test_a_start_that_was_killed_before_its_first_checkpoint_leaves_no_points(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(Stop):
        train_toy(tmp_path, batches=ToyBatches(1, stop_before(3)), save_every=50, eval_every=50, log_every=1)
    train_toy(tmp_path, save_every=50, eval_every=50, log_every=2)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [point.step for point in events.Scalars("train/loss")] == [2, 4, 6, 8, 10]


def test_no_whole_checkpoint_is_an_error(tmp_path: Path) -> None:
    train_toy(tmp_path)
    for name in (NEWEST, BACKUP):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match="no whole checkpoint"):
        train_toy(tmp_path)


def test_a_finished_run_asks_for_no_data(tmp_path: Path) -> None:
    first, result = train_toy(tmp_path)
    batches = ToyBatches()
    again, repeated = train_toy(tmp_path, batches=batches)
    assert batches.asked == []
    assert_bit_equal(first.state_dict(), again.state_dict())
    assert repeated.best == result.best


def test_changed_settings_are_listed_key_by_key(tmp_path: Path) -> None:
    train_toy(tmp_path)
    with pytest.raises(ConfigError) as error:
        train_toy(tmp_path, max_grad_norm=1.0, note="other", ema_decay=0.9, log_every=1)
    lines = str(error.value).splitlines()
    assert lines[1:-1] == [
        "  trainer.max_grad_norm: 5.0 -> 1.0",
        "  trainer.ema_decay: 0.99 -> 0.9",
        "  note: toy -> other",
    ]
    assert "resume false" in lines[-1]


def test_harmless_changes_are_told_and_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_toy(tmp_path)
    capsys.readouterr()
    _, result = train_toy(tmp_path, max_steps=12, log_every=1)
    printed = capsys.readouterr().out
    assert "setting changed: trainer.max_steps: 10 -> 12" in printed
    assert "setting changed: trainer.log_every: 2 -> 1" in printed
    assert result.step == 12
    with pytest.raises(ConfigError, match=r"trainer\.max_steps: 12 -> 11"):
        train_toy(tmp_path, max_steps=11)


def test_resume_false_starts_afresh(tmp_path: Path) -> None:
    first, _ = train_toy(tmp_path)
    (tmp_path / "best" / "step0000099.safetensors").write_bytes(b"old")
    batches = ToyBatches()
    again, _ = train_toy(tmp_path, batches=batches, resume=False)
    assert batches.asked == list(range(10))
    assert not (tmp_path / "best" / "step0000099.safetensors").exists()
    assert_bit_equal(first.state_dict(), again.state_dict())


def test_another_network_is_an_error_that_names_tensors(tmp_path: Path) -> None:
    train_toy(tmp_path)
    objective = toy_training.ToyObjective()
    objective.network["new"] = torch.nn.Linear(1, 1)
    with pytest.raises(ConfigError, match=r"not in the checkpoint: network\.new\.bias, network\.new\.weight"):
        train_toy(tmp_path, objective=objective)


def test_an_evaluation_does_not_disturb_training(tmp_path: Path) -> None:
    often, _ = train_toy(tmp_path / "often", eval_every=1)
    seldom, _ = train_toy(tmp_path / "seldom", eval_every=100, dev=ToyDev())
    assert_bit_equal(often.state_dict(), seldom.state_dict())


def test_another_number_of_processes_is_told_and_goes_on(
    tmp_path: Path, run_processes: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {"dropout": 0.0, "terminate_at": 4}
    assert run_processes(process, tmp_path / "two", tmp_path / "w", changes, ranks=2)[0] == [143, 143]
    two, _ = train_toy(tmp_path / "two", objective=toy_training.ToyObjective())
    assert "toy processes: 2 -> 1" in capsys.readouterr().out
    one, _ = train_toy(tmp_path / "one", objective=toy_training.ToyObjective())
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], tensor, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_torchrun_ends_in_order_and_goes_on(tmp_path: Path) -> None:
    """The real launcher: SIGTERM to it, then the same command."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [
        toy_training.__file__,
        str(tmp_path),
        "pause=0.2",
        "max_steps=40",
        "save_every=40",
        "eval_every=5",
    ]
    first = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    for line in first.stdout:
        if "step 5/40 dev" in line:
            first.send_signal(signal.SIGTERM)
            break
    printed = first.stdout.read()
    assert first.wait(60) != 0
    assert "SIGTERM: the checkpoint is saved" in printed
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert "toy resumes at step" in again.stdout and "toy step 40/40: done" in again.stdout


@pytest.mark.slow
def test_kill_9_from_outside_at_any_time(tmp_path: Path) -> None:
    """A command of its own, killed twice wherever it happens to be."""

    def start(path: Path) -> subprocess.Popen[bytes]:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [
            sys.executable,
            toy_training.__file__,
            str(path),
            "pause=0.05",
            "max_steps=30",
            "save_every=1",
        ]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    assert start(tmp_path / "whole").wait(120) == 0
    for delay in (0.1, 0.4):
        child = start(tmp_path / "killed")
        before = time.time()
        while not _saved_since(tmp_path / "killed" / NEWEST, before):
            assert child.poll() is None
            time.sleep(0.01)
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert start(tmp_path / "killed").wait(120) == 0
    assert_bit_equal(
        weights(tmp_path / "whole", tmp_path / "whole/weights"),
        weights(tmp_path / "killed", tmp_path / "killed/weights"),
    )


def _saved_since(path: Path, moment: float) -> bool:
    return path.exists() and path.stat().st_mtime > moment
