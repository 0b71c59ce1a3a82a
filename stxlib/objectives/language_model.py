"""What a language model minimizes: cross-entropy of each token of a text, and of its end, given the tokens before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from stxlib.data.batch import TextBatch
from stxlib.models.causal_lm import CausalLM
from stxlib.objectives.inspection import Inspection
from stxlib.objectives.sequence_loss import shift_tokens
from stxlib.ops.masks import length_mask
from stxlib.ratio import Ratio
from stxlib.text.target_vocabulary import Task
from stxlib.text.tokenizer import SOS


@dataclass(frozen=True, kw_only=True)
class LanguageModelLossConfig:
    kind: Literal["language_model"] = "language_model"
    """next token, on plain text"""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What it learns to write: words."""
        return ("asr",)


class LanguageModelObjective(nn.Module):
    """loss = -log p(tokens, <eos>), nats; the count is the number of tokens with <eos>, so exp(loss) is the perplexity.

    There is no label smoothing: in a beam search the probabilities themselves are summed up, and have to be true.
    """

    def __init__(self, network: CausalLM, config: LanguageModelLossConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config

    def forward(self, batch: TextBatch) -> dict[str, Ratio]:
        """Loss, and how often the likeliest token is the true one. Labels of the batch are of no account."""
        tokens_in, tokens_out, lens = shift_tokens(batch.source, SOS)
        asked = length_mask(lens, tokens_in.shape[1])
        logits, tokens = self.network(tokens_in, lens)[asked].float(), tokens_out[asked]
        loss = F.cross_entropy(logits, tokens, reduction="sum")
        correct = (logits.detach().argmax(1) == tokens).sum()
        count = lens.sum()
        return {"loss": Ratio(loss, count), "token_accuracy": Ratio(correct, count)}

    @torch.no_grad()
    def inspect(self, batch: TextBatch, num_hypotheses: int = 4) -> Inspection:
        """What it takes for likeliest at each place, given the true tokens before; and the probabilities of the first sentence's tokens
        (`next_token`): a row for each token of it, a column for each place, white where it was sure.
        """
        source = batch.source.first(num_hypotheses)
        tokens_in, tokens_out, lens = shift_tokens(source, SOS)
        logits = self.network(tokens_in, lens).float()
        length = int(lens[0])
        probabilities = logits[0, :length].softmax(1)[:, tokens_out[0, :length]]  # (places, tokens)
        return Inspection(
            images={"next_token": probabilities.t().clamp(0, 1).cpu()},
            references=source.tolist(),
            hypotheses=[
                row[: n - 1] for row, n in zip(logits.argmax(2).tolist(), lens.tolist(), strict=True)
            ],
        )
