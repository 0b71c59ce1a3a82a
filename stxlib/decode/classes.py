"""The classes of a pooled classifier, best first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stxlib.decode.hypothesis import Hypothesis
from stxlib.errors import ConfigError
from stxlib.models.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class ClassesConfig:
    """How many classes to list."""

    kind: Literal["classes"] = "classes"
    num_best: int = 5
    """classes to return for each utterance"""

    def __post_init__(self) -> None:
        if self.num_best < 1:
            raise ConfigError(f"num_best: {self.num_best}; expected 1 or more")


class ClassRanking:
    """Maximizes the log probability of the class of a task. A hypothesis has one "token", the index of its class."""

    def __init__(self, network: Classifier, config: ClassesConfig) -> None:
        self.network = network
        self.config = config

    @torch.inference_mode()
    def search(self, task: str, frames: Tensor, frame_lens: Tensor) -> list[list[Hypothesis]]:
        """frames: (B, T, D), output of `Classifier.encode`. Returns up to num_best hypotheses for each utterance; one without a class where
        there is no frame.
        """
        log_probs = self.network.logits(task, frames, frame_lens).float().log_softmax(1)
        best, classes = log_probs.topk(min(self.config.num_best, log_probs.shape[1]), dim=1)
        ranked = [
            [
                Hypothesis((index,), score, {"classifier": score})
                for index, score in zip(row, scores, strict=True)
            ]
            for row, scores in zip(classes.tolist(), best.tolist(), strict=True)
        ]
        silent = [Hypothesis((), 0.0, {})]
        return [row if length else silent for row, length in zip(ranked, frame_lens.tolist(), strict=True)]
