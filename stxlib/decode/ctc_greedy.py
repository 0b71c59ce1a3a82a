"""CTC greedy decoding: one pass without search, the fastest and simplest reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stxlib.decode.hypothesis import Hypothesis
from stxlib.models.backbone import Backbone
from stxlib.ops.ctc_path import best_paths
from stxlib.text.tokenizer import EOS, SOS


@dataclass(frozen=True, kw_only=True)
class CtcGreedyConfig:
    """Nothing to choose."""

    kind: Literal["ctc_greedy"] = "ctc_greedy"


class CtcGreedy:
    """Maximizes the CTC probability of a single alignment, frame by frame; its labels, without repeats and blanks, are the tokens.

    `score` (and the part `ctc`) is the log probability of that alignment, a lower bound of that of the tokens. <sos> and
    <eos>, which no transcript holds, are never chosen. One hypothesis an utterance.
    """

    def __init__(self, backbone: Backbone, config: CtcGreedyConfig) -> None:
        self.backbone = backbone
        self.config = config

    def __call__(self, latents: Tensor, latent_lens: Tensor) -> list[list[Hypothesis]]:
        """latents: (B, T', D); latent_lens: (B,). Returns one hypothesis for each utterance."""
        return self.search(*self.backbone.encode(latents, latent_lens))

    @torch.inference_mode()
    def search(self, encoded: Tensor, encoded_lens: Tensor) -> list[list[Hypothesis]]:
        """Read encoded frames (B, T', D), output of `Backbone.encode`; an utterance of no frames reads as nothing."""
        log_probs = self.backbone.ctc_logits(encoded).float().log_softmax(-1)
        return [
            [Hypothesis(tokens, score, {"ctc": score})]
            for tokens, score in best_paths(log_probs, encoded_lens, (SOS, EOS))
        ]
