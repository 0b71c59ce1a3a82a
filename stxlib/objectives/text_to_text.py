"""What `nlu` minimizes: cross-entropy of the decoder on each task, given the words of a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from stxlib.data.batch import TextBatch
from stxlib.errors import ConfigError
from stxlib.models.text_to_text import TextToText
from stxlib.objectives.inspection import Inspection
from stxlib.objectives.sequence_loss import (
    check_tasks,
    decoder_losses,
    read_weights,
    shift_tokens,
    task_figures,
)
from stxlib.ratio import Ratio
from stxlib.text.target_vocabulary import Task
from stxlib.text.tokenizer import SOS, UNK


@dataclass(frozen=True, kw_only=True)
class TextToTextLossConfig:
    kind: Literal["text_to_text"] = "text_to_text"
    """attention on labelled text"""
    tasks: tuple[Task, ...] = ("slu",)
    """what the decoder learns to write; the sets need the label streams of all"""
    task_weights: tuple[str, ...] = ()
    """`task=weight` (slu=2 sentiment=3), where the loss of a task shall not count 1: a target of few tokens may need more. Those of tasks
    that are not learnt are of no account"""
    label_smoothing: float = 0.1
    """part of the decoder's target that is spread evenly over the vocabulary (0 or more, below 1)"""
    token_dropout: float = 0.0
    """share of the tokens that the decoder reads in training which are <unk> instead (0 or more, below 1)"""
    source_dropout: float = 0.0
    """share of the tokens of the sentence that are <unk> in training (0 or more, below 1)"""

    def __post_init__(self) -> None:
        check_tasks(self.tasks, self.task_weights)
        for name in ("label_smoothing", "token_dropout", "source_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)}; use 0 or more, and less than 1")


class TextToTextObjective(nn.Module):
    """loss = weighted sum over tasks of the decoder's cross-entropy (nats); the count is the number of tokens with <eos>."""

    def __init__(
        self, network: TextToText, config: TextToTextLossConfig, starts: Mapping[str, int] | None = None
    ) -> None:
        """starts: task -> the token that the decoder begins with; <sos> where a task is not named."""
        super().__init__()
        self.network = network
        self.config = config
        self.starts = {task: (starts or {}).get(task, SOS) for task in config.tasks}
        self.weights = read_weights(config.task_weights)
        network.backbone.ctc.requires_grad_(False)

    def forward(self, batch: TextBatch) -> dict[str, Ratio]:
        """Loss, and the accuracy of the decoder given the true tokens before."""
        config, tokens = self.config, batch.source.ids
        if self.training and config.source_dropout > 0:
            dropped = torch.rand(tokens.shape, device=tokens.device) < config.source_dropout
            tokens = tokens.masked_fill(dropped, UNK)
        encoded, encoded_lens = self.network.encode(tokens, batch.source.lens)
        decoded = decoder_losses(
            self.network.backbone,
            encoded,
            encoded_lens,
            {task: batch.labels[task] for task in self.starts},
            starts=self.starts,
            label_smoothing=config.label_smoothing,
            token_dropout=config.token_dropout if self.training else 0.0,
            words_first=False,
        )
        loss, figures = task_figures(decoded, self.weights)
        return {"loss": Ratio(loss, figures["token_accuracy"].count), **figures}

    @torch.no_grad()
    def inspect(self, batch: TextBatch, num_hypotheses: int = 4) -> Inspection:
        """Where the decoder looks in the first sentence (`attention`), and what it likes best in some, given the true tokens before."""
        source = batch.source.first(num_hypotheses)
        task, start = next(iter(self.starts.items()))
        targets = batch.labels[task].first(num_hypotheses)
        encoded, encoded_lens = self.network.encode(source.ids, source.lens)
        tokens_in, _, out_lens = shift_tokens(targets, start)
        logits = self.network.backbone.decoder_logits(encoded, encoded_lens, tokens_in, out_lens)
        attention = self.network.backbone.decoder.attention_weights(
            encoded[:1, : int(source.lens[0])], encoded_lens[:1], tokens_in[:1, : int(targets.lens[0]) + 1]
        )[0]
        return Inspection(
            images={"attention": attention.float().clamp(0, 1).cpu()},
            references=targets.tolist(),
            hypotheses=[
                row[: n - 1] for row, n in zip(logits.argmax(2).tolist(), out_lens.tolist(), strict=True)
            ],
        )
