"""What is not a number names its utterances, is kept, and stops the run or is skipped by all ranks alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_training
from toy_training import ToyBatch, ToyBatches, ToyObjective, process, train_toy

from stxlib.errors import ConfigError, StxError
from stxlib.ratio import Ratio
from stxlib.train.checkpoint import load_tensors
from stxlib.train.memory import out_of_memory_explained, preflight
from stxlib.train.optimizer import AdamWConfig, build_optimizer
from stxlib.train.precision import autocast_of
from stxlib.train.trainer import FIRST_FP16_SCALE


def test_a_bad_step_ends_the_run_and_keeps_the_batch(tmp_path: Path) -> None:
    batches = ToyBatches(num_shards=2)
    batches.bad = {5: 3}  # utterance 3 of 8 is in shard 1
    with pytest.raises(StxError) as error:
        train_toy(tmp_path, batches=batches, accumulation=2)
    message = str(error.value)
    assert "step 5" in message and "step5-3" in message and "max_bad_steps" in message
    assert "step5-2" not in message, "shard 0 is innocent"
    kept = sorted(path.name for path in tmp_path.glob("bad_batch*"))
    assert kept == ["bad_batch_step5.shard1.json", "bad_batch_step5.shard1.safetensors"]
    described = json.loads((tmp_path / kept[0]).read_text())
    assert described["utts"] == ["step5-1", "step5-3", "step5-5", "step5-7"]
    tensors = load_tensors(tmp_path / kept[1]).tensors
    assert tensors["points"].shape == (4, 3) and tensors["points"][1].isnan().all()


def test_a_skipped_step_changes_nothing(tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []
    objective = ToyObjective()

    def look(step: int) -> None:
        seen.append(objective.network["top"][0].weight.detach().clone())

    batches = ToyBatches(1, before=look)
    batches.bad = {4: 0, 6: 2}
    _, result = train_toy(tmp_path, objective=objective, batches=batches, max_bad_steps=2)
    assert result.step == 10
    changed = [not torch.equal(a, b) for a, b in zip(seen, seen[1:], strict=False)]
    assert changed == [True, True, True, True, False, True, False, True, True]
    assert "skipped (2 of 2 allowed)" in (tmp_path / "train.log").read_text()


def test_the_number_of_bad_steps_is_remembered_by_the_checkpoint(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(step: int) -> None:
        if step == 5:
            raise Stop

    batches = ToyBatches(1, before=stop)
    batches.bad = {2: 0, 7: 0}
    with pytest.raises(Stop):
        train_toy(tmp_path, batches=batches, max_bad_steps=1)
    batches.before = None
    with pytest.raises(StxError, match="step 7"):
        train_toy(tmp_path, batches=batches, max_bad_steps=1)


def test_all_ranks_skip_alike(tmp_path: Path, run_processes: Any) -> None:
    """The bad utterance is on rank 1 alone; both skip and go on with equal weights, as one process does."""
    changes: dict[str, Any] = {"bad": {3: 1}, "max_bad_steps": 1, "dropout": 0.0}
    codes, printed = run_processes(process, tmp_path / "two", tmp_path / "w", changes, ranks=2)
    assert codes == [0, 0], printed
    assert "step3-1" in printed
    ranks = [torch.load(f"{tmp_path / 'w'}.rank{rank}", weights_only=True) for rank in (0, 1)]
    batches = ToyBatches()
    batches.bad = {3: 1}
    alone, _ = train_toy(tmp_path / "one", objective=ToyObjective(), batches=batches, max_bad_steps=1)
    for name, tensor in alone.state_dict().items():
        assert torch.equal(ranks[0][name], ranks[1][name])
        torch.testing.assert_close(ranks[0][name], tensor, rtol=0, atol=1e-5)
    codes, printed = run_processes(process, tmp_path / "stop", tmp_path / "v", {"bad": {3: 1}}, ranks=2)
    assert codes[0] != 0 and codes[1] != 0
    assert (tmp_path / "stop" / "bad_batch_step3.shard1.json").exists()
    assert not (tmp_path / "stop" / "bad_batch_step3.shard0.json").exists()


class BadGradient(ToyObjective):
    """A finite loss whose gradient is not: the root at zero."""

    def forward(self, batch: ToyBatch) -> dict[str, Ratio]:
        metrics = super().forward(batch)
        loss = metrics["loss"]
        assert isinstance(loss.sum, torch.Tensor)
        root = (loss.sum * 0).sqrt() if "step2-0" in batch.utts else 0
        return metrics | {"loss": Ratio(loss.sum + root, loss.count)}


def test_a_bad_gradient_suspects_the_whole_step(tmp_path: Path) -> None:
    with pytest.raises(StxError, match="the gradient of step 2 is not finite") as error:
        train_toy(tmp_path, objective=BadGradient(), accumulation=2)
    assert all(f"step2-{i}" in str(error.value) for i in range(8))
    assert len(list(tmp_path.glob("bad_batch_step2.shard*.json"))) == 2


def test_overflow_of_fp16_halves_the_scale_and_is_no_bad_step(tmp_path: Path) -> None:
    class Large(ToyObjective):
        def forward(self, batch: ToyBatch) -> dict[str, Ratio]:
            loss = super().forward(batch)["loss"]
            return {"loss": Ratio(loss.sum * 1e3, loss.count)}

    _, result = train_toy(tmp_path, objective=Large(), autocast="fp16", max_steps=12, max_grad_norm=1.0)
    assert result.step == 12
    assert not list(tmp_path.glob("bad_batch*"))
    metadata = load_tensors(tmp_path / "checkpoint.safetensors").metadata
    assert metadata["scaler"]["scale"] < FIRST_FP16_SCALE
    assert 0 < metadata["progress"]["num_updates"] < 12


def test_running_out_of_memory_names_the_batch() -> None:
    batch = ToyBatches().shard(0, 0)
    with pytest.raises(
        ConfigError,
        match=r"x: out of memory.* with 8 utterances, 16\.0 audio_s \(step0-0, .*raise trainer",
    ):
        with out_of_memory_explained(batch, "x"):
            raise torch.OutOfMemoryError("no")


def test_preflight_leaves_the_objective_as_it_was() -> None:
    class Counting(ToyObjective):
        def forward(self, batch: ToyBatch) -> dict[str, Ratio]:
            self.scale += 1
            return super().forward(batch)

    objective = Counting()
    before = {name: tensor.clone() for name, tensor in objective.state_dict().items()}
    optimizer = build_optimizer(objective, AdamWConfig())
    line = preflight(
        objective, optimizer, ToyBatches().shard(0, 0), autocast_of("none", torch.device("cpu")), num_copies=2
    )
    assert "8 utterances, 16.0 audio_s" in line
    for name, tensor in objective.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert all(parameter.grad is None for parameter in objective.parameters())


@pytest.mark.requires_cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_worst_batch_is_tried_first_on_a_gpu(tmp_path: Path) -> None:
    class WithWorst(ToyBatches):
        def worst_batch(self, shard: int) -> ToyBatch:
            return toy_training.draw("worst", 5, 64)

    distributed = toy_training.Distributed.init("cuda")
    train_toy(tmp_path, batches=WithWorst(), distributed=distributed)
    assert "the largest batch has 64 utterances, 128.0 s; peak" in (tmp_path / "train.log").read_text()
