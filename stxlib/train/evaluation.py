"""The figures of the development set, summed over ranks, and something to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from stxlib.errors import ConfigError
from stxlib.ratio import Ratio
from stxlib.train.distributed import Distributed
from stxlib.train.termination import Termination
from stxlib.train.totals import Totals


class DevBatches(Protocol):
    """The development set: the same batches in the same order at each evaluation."""

    def iterate(self, rank: int, world_size: int) -> Iterator[Any]:
        """This rank's batches; ranks may get different numbers of them."""
        ...


Inspect = Callable[[nn.Module, Any], tuple[dict[str, Tensor], dict[str, str]]]
"(objective, batch) -> images by name, (H, W) or (C, H, W) in 0..1, and texts by name, for TensorBoard"


@dataclass(frozen=True)
class Evaluation:
    """What one pass over the development set gave; images and texts on rank 0 only."""

    metrics: dict[str, Ratio]
    images: dict[str, Tensor]
    texts: dict[str, str]

    @property
    def values(self) -> dict[str, float]:
        """The figures as averages."""
        return {key: ratio.value for key, ratio in self.metrics.items()}

    def value_of(self, metric: str) -> float:
        """One figure. Raises ConfigError naming those there are."""
        if metric not in self.metrics:
            known = ", ".join(self.metrics) or "nothing: the development set gave no batch"
            raise ConfigError(f"trainer.best_metric: no figure '{metric}'; the objective reports {known}")
        return self.metrics[metric].value


def evaluate(
    objective: nn.Module,
    dev: DevBatches,
    distributed: Distributed,
    *,
    autocast: Callable[[], AbstractContextManager[Any]],
    termination: Termination,
    inspect: Inspect | None,
) -> Evaluation | None:
    """Run the objective in eval mode over the development set. The caller puts it back into train mode.

    Returns None on all ranks when any was asked to terminate: the evaluation is repeated after resuming.
    Every rank has to call it; there is no communication until the end, so their numbers of batches may differ.
    """
    objective.eval()
    totals = Totals(distributed.device)
    images: dict[str, Tensor] = {}
    texts: dict[str, str] = {}
    # Not inference_mode: a module that caches (positions, masks) would keep tensors that training cannot use.
    with torch.no_grad():
        for index, batch in enumerate(dev.iterate(distributed.rank, distributed.world_size)):
            if termination.requested:
                break
            batch = batch.to(distributed.device)
            with autocast():
                totals.add(objective(batch))
                if index == 0 and distributed.is_main and inspect is not None:
                    images, texts = inspect(objective, batch)
    if any(distributed.gather(termination.requested)):
        return None
    return Evaluation(totals.take(distributed), images, texts)
