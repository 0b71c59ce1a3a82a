"""What the backbone is to write of some latents: CTC on tokens, and cross-entropy of the attention decoder on each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from stxlib.data.batch import Sequences
from stxlib.errors import ConfigError
from stxlib.models.backbone import Backbone
from stxlib.objectives.sequence_loss import (
    DecoderLoss,
    check_tasks,
    ctc_loss,
    decoder_losses,
    read_weights,
    task_figures,
)
from stxlib.ratio import Ratio
from stxlib.text.target_vocabulary import Task
from stxlib.text.tokenizer import SOS


@dataclass(frozen=True, kw_only=True)
class BackboneLossConfig:
    """What is asked of a backbone."""

    tasks: tuple[Task, ...] = ("asr",)
    """what the decoder learns to write; the sets need the label streams of all"""
    task_weights: tuple[str, ...] = ()
    """`task=weight` (slu=2 sentiment=3), where the loss of a task shall not count 1: a target of few tokens may need more. Those of tasks
    that are not learnt are of no account"""
    words_first: bool = False
    """before it writes another task, the decoder reads the words (as task asr, which must be one of the tasks): meaning is then taken from
    words and speech. In decoding these are the words that it has recognized; where a training set has no transcripts it reads none"""
    ctc_task: Task = "asr"
    """what the CTC output learns to write, in the order in which it is heard: asr, or ner (words with tags)"""
    ctc_weight: float = 0.4
    """weight of the CTC on tokens (0 to 1); the attention decoder has the rest; at 0 no transcripts are needed for it, at 1 there is no
    decoder to train, and `tasks` is of no account"""
    label_smoothing: float = 0.1
    """part of the decoder's target that is spread evenly over the vocabulary (0 or more, below 1)"""
    token_dropout: float = 0.0
    """share of the tokens that the decoder reads in training which are <unk> instead (0 or more, below 1): where sentences are few
    it would learn them by heart, and not where to listen"""

    def __post_init__(self) -> None:
        check_tasks(self.tasks, self.task_weights)
        if self.words_first and "asr" not in self.tasks:
            raise ConfigError(f"words_first: asr is not among the tasks {' '.join(self.tasks)}; add it")
        if self.ctc_task not in ("asr", "ner"):
            raise ConfigError(
                f"ctc_task: {self.ctc_task} is not written in the order of speech; use asr or ner"
            )
        if not 0 <= self.ctc_weight <= 1:
            raise ConfigError(f"ctc_weight: {self.ctc_weight} is not between 0 and 1")
        for name in ("label_smoothing", "token_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)}; use 0 or more, and less than 1")

    @property
    def decoder_tasks(self) -> tuple[Task, ...]:
        """What the decoder is trained on: none where CTC has all the weight."""
        return self.tasks if self.ctc_weight < 1 else ()


@dataclass(frozen=True)
class BackboneLoss:
    """Of a batch. Every term is a sum (nats); their one count is the number of tokens with <eos>."""

    loss: Tensor  # (), with its graph
    count: Tensor | float
    terms: dict[str, Tensor]  # attention, ctc
    accuracies: dict[str, Ratio]

    def figures(self) -> dict[str, Ratio]:
        """The terms and accuracies, as they are told of a step."""
        terms = {name: Ratio(term.detach(), self.count) for name, term in self.terms.items()}
        return terms | self.accuracies


class BackboneCriterion:
    """loss = ctc_weight * ctc + (1 - ctc_weight) * attention; attention is a weighted sum over tasks.

    It is no module: the objective owns the backbone. An output whose weight is 0 is not trained.
    """

    def __init__(self, backbone: Backbone, config: BackboneLossConfig, starts: Mapping[str, int]) -> None:
        """starts: task -> the token that the decoder begins with; <sos> where a task is not named."""
        self.config = config
        self.weights = read_weights(config.task_weights)
        self.starts = {task: starts.get(task, SOS) for task in config.decoder_tasks}
        for output, weight in ((backbone.ctc, config.ctc_weight), (backbone.decoder, 1 - config.ctc_weight)):
            if not weight:
                output.requires_grad_(False)

    def __call__(
        self,
        backbone: Backbone,
        latents: Tensor,
        latent_lens: Tensor,
        labels: Mapping[str, Sequences],
        *,
        training: bool,
        leave_out_impossible: bool = False,
    ) -> BackboneLoss:
        """latents: (B, T', dim). Tasks that are not among the labels are not learnt from this batch; one has to be. leave_out_impossible: CTC takes no account of an utterance that has fewer frames than tokens, where its
        loss would else be infinite.
        """
        config = self.config
        encoded, encoded_lens = backbone.encode(latents, latent_lens)
        decoded = self.decoded(backbone, encoded, encoded_lens, labels, training=training)
        terms: dict[str, Tensor] = {}
        accuracies: dict[str, Ratio] = {}
        loss = torch.zeros((), device=encoded.device)
        if decoded:
            terms["attention"], accuracies = task_figures(decoded, self.weights)
            count = accuracies["token_accuracy"].count
            loss = (1 - config.ctc_weight) * terms["attention"]
        else:
            count = (labels[config.ctc_task].lens + 1).sum()
        if config.ctc_weight and config.ctc_task in labels:
            logits = backbone.ctc_logits(encoded)
            terms["ctc"] = ctc_loss(
                logits, encoded_lens, labels[config.ctc_task], leave_out_impossible=leave_out_impossible
            )
            loss = loss + config.ctc_weight * terms["ctc"]
        return BackboneLoss(loss, count, terms, accuracies)

    def decoded(
        self,
        backbone: Backbone,
        encoded: Tensor,
        encoded_lens: Tensor,
        labels: Mapping[str, Sequences],
        *,
        training: bool,
    ) -> dict[Task, DecoderLoss]:
        """The losses of the attention decoder on the tasks that are among the labels. encoded: (B, T', D), of latents."""
        config = self.config
        return decoder_losses(
            backbone,
            encoded,
            encoded_lens,
            {task: labels[task] for task in self.starts if task in labels},
            starts=self.starts,
            label_smoothing=config.label_smoothing,
            token_dropout=config.token_dropout if training else 0.0,
            words_first=config.words_first and "asr" in labels,
        )
