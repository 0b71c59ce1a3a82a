"""Law: 1 batch of 8 = 4 micro-batches of 2 = 2 ranks of 4, although the parts count unequally."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from toy_training import ToyBatches, ToyObjective, draw, process, train_toy

from stxlib.ratio import Ratio
from stxlib.train.distributed import Distributed
from stxlib.train.optimizer import AdamWConfig
from stxlib.train.totals import Totals

# A small clipping norm, so that clipping acts, too; eps large against rounding of tiny gradients.
CHANGES: dict[str, Any] = {"max_grad_norm": 0.5, "optimizer": AdamWConfig(lr=0.05, eps=1e-4)}


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys() and len(one) >= 7
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=1e-5)


def test_parts_of_a_batch_count_unequally() -> None:
    """Otherwise the law would hold for a mean of means as well."""
    batches = ToyBatches(num_shards=4)
    counts = {float(batches.shard(0, shard).weights.sum()) for shard in range(4)}
    assert len(counts) > 1


def test_splits_give_the_same_update(tmp_path: Path, run_processes: Any) -> None:
    one, _ = train_toy(tmp_path / "one", objective=ToyObjective(), **CHANGES)
    four, _ = train_toy(tmp_path / "four", objective=ToyObjective(), accumulation=4, **CHANGES)
    assert_close(one.state_dict(), four.state_dict())

    changes = CHANGES | {"dropout": 0.0}
    codes, printed = run_processes(process, tmp_path / "two", tmp_path / "w", changes, ranks=2)
    assert codes == [0, 0], printed
    ranks = [torch.load(f"{tmp_path / 'w'}.rank{rank}", weights_only=True) for rank in (0, 1)]
    assert_close(one.state_dict(), ranks[0])
    for name in ranks[0]:
        assert torch.equal(ranks[0][name], ranks[1][name])
    assert "2 processes (gloo)" in printed
    line = "toy step 10/10 dev loss"
    alone = (tmp_path / "one/train.log").read_text()
    shown = [next(li for li in text.splitlines() if line in li).split(line)[1] for text in (alone, printed)]
    assert shown[0].split(" (")[0] == shown[1].split(" (")[0], "an evaluation is a sum over ranks"


def test_both_at_once_and_dropout(tmp_path: Path, run_processes: Any) -> None:
    """A shard draws the same dropout on whatever rank it is: 4 micro-batches of 2 = 2 ranks of 2 x 2."""
    four, _ = train_toy(tmp_path / "four", objective=ToyObjective(dropout=0.3), accumulation=4)
    changes = {"dropout": 0.3, "accumulation": 2}
    codes, printed = run_processes(process, tmp_path / "two", tmp_path / "w", changes, ranks=2)
    assert codes == [0, 0], printed
    assert_close(four.state_dict(), torch.load(f"{tmp_path / 'w'}.rank0", weights_only=True))


def test_the_update_is_the_gradient_of_the_mean(tmp_path: Path) -> None:
    """Against a step written out by hand: AdamW's first step is lr times the sign of the clipped gradient."""
    objective = ToyObjective()
    before = {name: p.detach().clone() for name, p in objective.named_parameters()}
    ratio = objective(draw("step0", 1000, 8))["loss"]
    gradients = torch.autograd.grad(ratio.sum / ratio.count, list(objective.parameters()))
    norm = torch.sqrt(sum((g**2).sum() for g in gradients))
    optimizer = AdamWConfig(lr=0.05, eps=1e-4, weight_decay=0.1)
    train_toy(
        tmp_path,
        objective=objective,
        accumulation=2,
        max_steps=1,
        max_grad_norm=0.1,
        ema_decay=0.0,
        optimizer=optimizer,
    )
    lr = 0.05 * 0.5  # the first of two warm-up steps
    for (name, parameter), gradient in zip(objective.named_parameters(), gradients, strict=True):
        clipped = gradient * min(1, 0.1 / norm)
        decayed = before[name] * (1 - lr * 0.1 if parameter.ndim > 1 else 1)
        expected = decayed - lr * clipped / (clipped.abs() + 1e-4)
        torch.testing.assert_close(parameter.detach(), expected, rtol=0, atol=1e-6)


def test_totals_take_batches_with_other_keys_numbers_and_types() -> None:
    totals = Totals(torch.device("cpu"))
    totals.add({"loss": Ratio(torch.tensor(3.0), torch.tensor(2)), "a": Ratio(1.0, 4)})
    totals.add({"loss": Ratio(torch.tensor(5.0), torch.tensor(2))})
    totals.add({})
    taken = totals.take(Distributed.single())
    assert taken == {"loss": Ratio(8.0, 4.0), "a": Ratio(1.0, 4.0)}
    assert totals.take(Distributed.single()) == {}


@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
def test_low_precision_learns(tmp_path: Path, autocast: str) -> None:
    full, _ = train_toy(tmp_path / "full", objective=ToyObjective())
    low, result = train_toy(tmp_path / "low", objective=ToyObjective(), autocast=autocast)
    weight = low.network["top"][0].weight
    assert weight.dtype == torch.float32
    assert not torch.equal(weight, full.network["top"][0].weight)
    torch.testing.assert_close(weight, full.network["top"][0].weight, rtol=0, atol=0.1)
    assert result.best[0].value < 0.4


class Waits(TorchDispatchMode):
    """Counts what makes the host wait for a device: reading a scalar."""

    num_scalars = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.num_scalars += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_nothing_is_read_from_the_device_per_micro_batch(tmp_path: Path) -> None:
    """Steps and micro-batches more do not read scalars more, until someone wants to see them."""
    counts = []
    for max_steps, accumulation in ((2, 1), (9, 4)):
        with Waits() as waits:
            train_toy(
                tmp_path / str(max_steps),
                max_steps=max_steps,
                accumulation=accumulation,
                eval_every=100,
                save_every=100,
                log_every=100,
            )
        counts.append(waits.num_scalars)
    assert counts[0] == counts[1]
    with Waits() as waits:
        torch.ones(()).item()
    assert waits.num_scalars == 1, "the counter counts"
