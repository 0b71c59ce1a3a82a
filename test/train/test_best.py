"""Which weights are kept, their average, and when a run stops because nothing gets better."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from toy_training import ToyBatch, ToyDev, ToyObjective, train_toy

from stxlib.errors import ConfigError, DataError
from stxlib.ratio import Ratio
from stxlib.train.best import Scored, average, final_state, is_better, ranked
from stxlib.train.checkpoint import load_tensors, save_tensors
from stxlib.train.progress import Progress
from stxlib.train.trainer import TrainerConfig

NAN = float("nan")


class Scripted(ToyObjective):
    """Reports the next of the given figures at each evaluation, and remembers the weights it was given."""

    def __init__(self, *figures: float) -> None:
        super().__init__()
        self.figures: Iterator[float] = iter(figures)
        self.evaluated: list[torch.Tensor] = []

    def forward(self, batch: ToyBatch) -> dict[str, Ratio]:
        metrics = super().forward(batch)
        if not self.training and batch.utts[0].startswith("dev0"):
            self.evaluated.append(self.network["top"][0].weight.detach().clone())
            return metrics | {"figure": Ratio(next(self.figures), 1)}
        return metrics


def kept(path: Path) -> list[int]:
    return sorted(int(file.stem.removeprefix("step")) for file in (path / "best").glob("*.safetensors"))


@pytest.mark.parametrize(("mode", "expected"), [("min", [4, 3]), ("max", [2, 5])])
def test_the_best_are_kept_and_averaged(tmp_path: Path, mode: str, expected: list[int]) -> None:
    objective = Scripted(3, 9, 2, 1, 8)
    changes = {"max_steps": 5, "eval_every": 1, "best_metric": "figure", "best_mode": mode}
    _, result = train_toy(tmp_path, objective=objective, keep_best=2, average_best=2, **changes)
    assert [entry.step for entry in result.best] == expected
    state, told = final_state(tmp_path, average_best=2)
    weights = [objective.evaluated[step - 1] for step in expected]
    assert torch.equal(state["network.top.0.weight"], ((weights[0].double() + weights[1]) / 2).float())
    assert told.startswith(f"average of 2: step {expected[0]} (")
    single, told = final_state(tmp_path, average_best=1, prefix="network.")
    assert torch.equal(single["top.0.weight"], weights[0])
    assert told.startswith(f"step {expected[0]} (")


def test_files_go_only_when_the_backup_needs_them_no_more(tmp_path: Path) -> None:
    """Newest and backup checkpoint must find every file that they list; nothing else is left over."""
    for max_steps in range(1, 7):
        figures = [6.0 - max_steps] if max_steps < 4 else [7.0 + max_steps]
        train_toy(
            tmp_path,
            objective=Scripted(*figures),
            max_steps=max_steps,
            eval_every=1,
            keep_best=2,
            average_best=1,
            best_metric="figure",
        )
        listed: set[int] = set()
        for path in tmp_path.glob("checkpoint*.safetensors"):
            with safe_open(path, "pt") as file:
                progress = json.loads(file.metadata()["json"])["progress"]
            listed |= {entry["step"] for entry in progress["best"]}
        assert kept(tmp_path) == sorted(listed)
    assert kept(tmp_path) == [2, 3]


def test_what_is_evaluated_and_kept_is_the_moving_average(tmp_path: Path) -> None:
    """Against the definition: decay n is min(decay, (1 + n) / (10 + n))."""
    objective = Scripted(*range(9, 0, -1))
    seen: list[torch.Tensor] = [objective.network["top"][0].weight.detach().clone()]

    class Watching(ToyDev):
        pass

    weights_after: list[torch.Tensor] = []

    def before(step: int) -> None:
        if step:
            weights_after.append(objective.network["top"][0].weight.detach().clone())

    from toy_training import ToyBatches

    train_toy(
        tmp_path,
        objective=objective,
        batches=ToyBatches(1, before),
        dev=Watching(),
        max_steps=6,
        eval_every=1,
        ema_decay=0.3,
    )
    weights_after.append(objective.network["top"][0].weight.detach().clone())
    expected = seen[0]
    assert len(weights_after) == len(objective.evaluated) == 6
    for n, (weight, evaluated) in enumerate(zip(weights_after, objective.evaluated, strict=True), start=1):
        decay = min(0.3, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * weight
        torch.testing.assert_close(evaluated, expected, rtol=0, atol=1e-6)
        assert not torch.equal(evaluated, weight)
    assert torch.equal(
        final_state(tmp_path, average_best=1)[0]["network.top.0.weight"], objective.evaluated[-1]
    )


def test_without_an_average_the_weights_themselves_are_kept(tmp_path: Path) -> None:
    objective, _ = train_toy(tmp_path, ema_decay=0.0, eval_every=100)
    state, _ = final_state(tmp_path, average_best=1)
    assert all(torch.equal(state[name], tensor) for name, tensor in objective.state_dict().items())


def test_patience_stops_and_stays_stopped(tmp_path: Path) -> None:
    changes = {"eval_every": 1, "best_metric": "figure", "patience": 2, "max_steps": 9}
    objective = Scripted(5, 4, 6, 4, 3)
    _, result = train_toy(tmp_path, objective=objective, **changes)
    assert (result.step, result.reason) == (4, "patience")
    _, again = train_toy(tmp_path, objective=Scripted(), **changes)
    assert (again.step, again.reason) == (4, "patience")


def test_an_unknown_metric_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no figure 'wer'; the objective reports loss, near"):
        train_toy(tmp_path, best_metric="wer")


def test_an_empty_development_set_is_an_error(tmp_path: Path) -> None:
    class Empty(ToyDev):
        def iterate(self, rank: int, world_size: int) -> Iterator[ToyBatch]:
            return iter(())

    with pytest.raises(ConfigError, match="development set gave no batch"):
        train_toy(tmp_path, dev=Empty())


def test_order_and_ties() -> None:
    assert is_better(1, 2, "min") and not is_better(2, 1, "min") and is_better(2, 1, "max")
    assert not is_better(1, 1, "min") and not is_better(NAN, 1, "min") and is_better(1, NAN, "max")
    entries = [Scored(1, NAN), Scored(2, 5.0), Scored(3, 4.0), Scored(4, 5.0)]
    assert [entry.step for entry in ranked(entries, "min")] == [3, 2, 4, 1]
    assert [entry.step for entry in ranked(entries, "max")] == [2, 4, 3, 1]


def test_progress_is_its_own_json() -> None:
    progress = Progress(step=8, stale=1)
    assert progress.add_evaluation(0.5, mode="min", num_kept=1) == Scored(8, 0.5)
    progress.step = 9
    assert progress.add_evaluation(0.7, mode="min", num_kept=1) is None
    assert progress.stale == 1
    assert Progress.from_json(json.loads(json.dumps(progress.as_json()))) == progress


def test_average_takes_whole_numbers_from_the_first(tmp_path: Path) -> None:
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    save_tensors(paths[0], {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(3)}, {})
    save_tensors(paths[1], {"w": torch.tensor([2.0, 5.0]), "n": torch.tensor(9)}, {})
    mean = average(paths)
    assert mean["w"].tolist() == [1.5, 3.5] and mean["n"].item() == 3
    save_tensors(paths[1], {"w": torch.zeros(3), "n": torch.tensor(9)}, {})
    with pytest.raises(DataError, match=r"b\.safetensors: w differs"):
        average(paths)


def test_nothing_evaluated_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing was evaluated yet"):
        final_state(tmp_path, average_best=1)


def test_tied_tensors_are_stored_and_tmp_files_do_not_stay(tmp_path: Path) -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    save_tensors(tmp_path / "x.safetensors", {"a": tensor, "b": tensor, "c": tensor.T}, {"k": [1.5, None]})
    loaded = load_tensors(tmp_path / "x.safetensors")
    assert torch.equal(loaded.tensors["b"], tensor) and torch.equal(loaded.tensors["c"], tensor.T)
    assert loaded.metadata == {"k": [1.5, None]}
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_steps": 0}, "max_steps: 0; expected 1 or more"),
        ({"average_best": 9}, r"average_best: 9; expected 1 to keep_best \(5\)"),
        ({"ema_decay": 1.0}, "ema_decay: 1.0; expected"),
    ],
)
def test_impossible_configs(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainerConfig(**changes)  # type: ignore[arg-type]
