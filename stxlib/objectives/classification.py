"""What a pooled classifier minimizes: cross-entropy of one class for each utterance and task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stxlib.data.batch import SpeechBatch, TextBatch
from stxlib.errors import ConfigError
from stxlib.models.classifier import Classifier
from stxlib.objectives.inspection import Inspection
from stxlib.ratio import Ratio


@dataclass(frozen=True, kw_only=True)
class ClassificationLossConfig:
    kind: Literal["classification"] = "classification"
    """one class for each utterance"""
    tasks: tuple[Literal["intent", "sentiment"], ...] = ("intent",)
    """what is told apart, each task by a head of its own"""
    label_smoothing: float = 0.1
    """part of the target that is spread evenly over the classes (0 or more, below 1)"""

    def __post_init__(self) -> None:
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise ConfigError(
                f"tasks: {' '.join(self.tasks) or 'none'}; give each task once, and at least one"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label_smoothing: {self.label_smoothing}; use 0 or more, and less than 1")


class ClassificationObjective(nn.Module):
    """loss = sum over tasks of the cross-entropy (nats); the count is the number of utterances."""

    def __init__(self, network: Classifier, config: ClassificationLossConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config

    def forward(self, batch: SpeechBatch | TextBatch) -> dict[str, Ratio]:
        """Loss, and the accuracy of each task. A label is the index of a class. SpecAugment in training mode only."""
        frames, lens = self._encode(batch)
        count = torch.tensor(len(batch.utts), device=frames.device)
        loss = torch.zeros((), device=frames.device)
        found = {}
        for task in self.config.tasks:
            logits = self.network.logits(task, frames, lens).float()
            labels = batch.labels[task].ids[:, 0]
            loss = loss + F.cross_entropy(
                logits, labels, reduction="sum", label_smoothing=self.config.label_smoothing
            )
            found[f"{task}_accuracy"] = Ratio((logits.detach().argmax(1) == labels).sum(), count)
        return {"loss": Ratio(loss, count), **found}

    @torch.no_grad()
    def inspect(self, batch: SpeechBatch | TextBatch) -> Inspection:
        """What the first head attends to in the first utterance."""
        frames, lens = self._encode(batch)
        head = next(iter(self.network.heads.children()))
        weights = head.pooling.weights(frames[:1, : int(lens[0])], lens[:1])  # type: ignore[union-attr, operator]
        return Inspection({"pooling": (weights / weights.max()).cpu()}, [], [])

    def _encode(self, batch: SpeechBatch | TextBatch) -> tuple[Tensor, Tensor]:
        if isinstance(batch, TextBatch):
            return self.network.encode(batch.source.ids, batch.source.lens)
        return self.network.encode(batch.waves, batch.wave_lens, batch.seeds if self.training else None)
