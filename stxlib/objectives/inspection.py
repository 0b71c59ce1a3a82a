"""What a person looks at during training."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Inspection:
    """Pictures of the first utterance of a batch, and what the network makes of some."""

    images: dict[str, Tensor]
    "(height, width) in 0..1; time runs to the right, the first token is at the top"
    references: list[list[int]]
    "token ids"
    hypotheses: list[list[int]]
