"""What `asr` minimizes: CTC on tokens, cross-entropy of the attention decoder on each task, and CTC on units at the latents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from stxlib.data.batch import Sequences, SpeechBatch
from stxlib.errors import ConfigError, DataError
from stxlib.models.speech_to_text import SpeechToText
from stxlib.objectives.inspection import Inspection
from stxlib.objectives.label_encoder import UNITS
from stxlib.objectives.sequence_loss import (
    check_tasks,
    ctc_loss,
    decoder_loss,
    read_weights,
    shift_tokens,
    task_figures,
)
from stxlib.ops.align import min_ctc_frames
from stxlib.ops.ctc_path import best_paths
from stxlib.ratio import Ratio
from stxlib.text.target_vocabulary import Task
from stxlib.text.tokenizer import EOS, SOS


@dataclass(frozen=True, kw_only=True)
class SpeechToTextLossConfig:
    kind: Literal["speech_to_text"] = "speech_to_text"
    """CTC and attention on labelled speech"""
    tasks: tuple[Task, ...] = ("asr",)
    """what the decoder learns to write; the sets need the label streams of all"""
    task_weights: tuple[str, ...] = ()
    """`task=weight` (slu=2 sentiment=3), where the loss of a task shall not count 1: a target of few tokens may need more. Those of tasks
    that are not learnt are of no account"""
    words_first: bool = False
    """before it writes another task, the decoder reads the words (as task asr, which must be one of the tasks): meaning is then taken from
    words and speech. In decoding these are the words that it has recognized"""
    ctc_task: Task = "asr"
    """what the CTC output learns to write, in the order in which it is heard: asr, or ner (words with tags)"""
    ctc_weight: float = 0.4
    """weight of the CTC on tokens (0 to 1); the attention decoder has the rest; at 0 no transcripts are needed for it, at 1 there is no
    decoder to train, and `tasks` is of no account"""
    unit_ctc_weight: float = 0.3
    """weight of the CTC on units at the latents (0 or more); at 0 the sets need no stream `units`"""
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
        if not 0 <= self.token_dropout < 1:
            raise ConfigError(f"token_dropout: {self.token_dropout}; use 0 or more, and less than 1")
        if not 0 <= self.ctc_weight <= 1:
            raise ConfigError(f"ctc_weight: {self.ctc_weight} is not between 0 and 1")
        if not 0 <= self.unit_ctc_weight < math.inf:
            raise ConfigError(f"unit_ctc_weight: {self.unit_ctc_weight}; use 0 or more")
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label_smoothing: {self.label_smoothing}; use 0 or more, and less than 1")

    @property
    def ctc_labels(self) -> tuple[str, ...]:
        """Names of the labels that CTC writes, and that need a frame each."""
        return ((self.ctc_task,) if self.ctc_weight else ()) + ((UNITS,) if self.unit_ctc_weight else ())


class SpeechToTextObjective(nn.Module):
    """loss = ctc_weight * ctc + (1 - ctc_weight) * attention + unit_ctc_weight * unit_ctc; attention is a weighted sum over tasks.

    Every term is a sum over the batch (nats), and their one count is the number of tokens with <eos>: the loss of a batch is exactly the
    mean of its micro-batches' losses, however it is split. An output whose weight is 0 is not trained.
    """

    def __init__(
        self, network: SpeechToText, config: SpeechToTextLossConfig, starts: Mapping[str, int] | None = None
    ) -> None:
        """starts: task -> the token that the decoder begins with; <sos> where a task is not named."""
        super().__init__()
        self.network = network
        self.config = config
        self.weights = read_weights(config.task_weights)
        tasks = config.tasks if config.ctc_weight < 1 else ()
        self.starts = {task: (starts or {}).get(task, SOS) for task in tasks}
        for output, weight in (
            (network.unit_head, config.unit_ctc_weight),
            (network.backbone.ctc, config.ctc_weight),
            (network.backbone.decoder, 1 - config.ctc_weight),
        ):
            if not weight:
                output.requires_grad_(False)

    def forward(self, batch: SpeechBatch) -> dict[str, Ratio]:
        """Loss, its terms, and the accuracy of the decoder given the true tokens before. SpecAugment in training mode only.

        DataError names the utterances whose frames are too few for their labels: their CTC loss would be infinite. The loader leaves such
        utterances out, and nothing after it changes a length.
        """
        network, config = self.network, self.config
        latents, latent_lens = network.encoder(
            batch.waves, batch.wave_lens, batch.seeds if self.training else None
        )
        self._check_lengths(batch, latent_lens)
        encoded, encoded_lens = network.backbone.encode(latents, latent_lens)
        words = self._words(batch) if config.words_first and self.starts else None
        decoded = {
            task: decoder_loss(
                network.backbone,
                encoded,
                encoded_lens,
                batch.labels[task],
                start=start,
                label_smoothing=config.label_smoothing,
                token_dropout=config.token_dropout if self.training else 0.0,
                context=words if task != "asr" else None,
            )
            for task, start in self.starts.items()
        }
        terms: dict[str, Tensor] = {}
        accuracies: dict[str, Ratio] = {}
        loss = torch.zeros((), device=encoded.device)
        if decoded:
            terms["attention"], accuracies = task_figures(decoded, self.weights)
            count = accuracies["token_accuracy"].count
            loss = (1 - config.ctc_weight) * terms["attention"]
        else:
            count = (batch.labels[config.ctc_task].lens + 1).sum()
        if config.ctc_weight:
            logits = network.backbone.ctc_logits(encoded)
            terms["ctc"] = ctc_loss(logits, encoded_lens, batch.labels[config.ctc_task])
            loss = loss + config.ctc_weight * terms["ctc"]
        if config.unit_ctc_weight:
            terms["unit_ctc"] = ctc_loss(network.unit_head(latents), latent_lens, batch.labels[UNITS])
            loss = loss + config.unit_ctc_weight * terms["unit_ctc"]
        found = {"loss": Ratio(loss, count)}
        return found | {name: Ratio(term.detach(), count) for name, term in terms.items()} | accuracies

    @torch.no_grad()
    def inspect(self, batch: SpeechBatch, num_hypotheses: int = 4) -> Inspection:
        """Of the first utterance: where the decoder looks (`attention`, for the first task), and when each token (`ctc`) and unit
        (`unit_ctc`) is heard. Also references and greedy CTC hypotheses of the first `num_hypotheses` utterances. Call it in eval mode.
        """
        network, config = self.network, self.config
        waves, wave_lens = batch.waves[:num_hypotheses], batch.wave_lens[:num_hypotheses]
        latents, latent_lens = network.encoder(waves, wave_lens, None)
        encoded, encoded_lens = network.backbone.encode(latents, latent_lens)
        num_frames = int(latent_lens[0])
        images: dict[str, Tensor] = {}
        for task, start in list(self.starts.items())[:1]:
            targets = batch.labels[task].first(1)
            tokens_in = shift_tokens(targets, start)[0][:, : int(targets.lens[0]) + 1]
            attention = network.backbone.decoder.attention_weights(
                encoded[:1, :num_frames], encoded_lens[:1], tokens_in
            )
            images["attention"] = attention[0].float()
        references: list[list[int]] = []
        hypotheses: list[list[int]] = []
        if config.ctc_weight:
            tokens = batch.labels[config.ctc_task].first(num_hypotheses)
            log_probs = network.backbone.ctc_logits(encoded).float().log_softmax(2)
            images["ctc"] = _heard(log_probs[0, :num_frames].exp(), tokens)
            references = tokens.tolist()
            hypotheses = [list(path) for path, _ in best_paths(log_probs, encoded_lens, (SOS, EOS))]
        if config.unit_ctc_weight:
            probs = network.unit_head(latents[:1]).float().softmax(2)
            images["unit_ctc"] = _heard(probs[0, :num_frames], batch.labels[UNITS])
        return Inspection(
            images={name: image.clamp(0, 1).cpu() for name, image in images.items()},
            references=references,
            hypotheses=hypotheses,
        )

    def _words(self, batch: SpeechBatch) -> Sequences:
        """The words as the decoder writes them, with the token of their task before them."""
        words = batch.labels["asr"]
        first = torch.full_like(words.lens, self.starts["asr"])[:, None]
        return Sequences(torch.cat([first, words.ids], dim=1), words.lens + 1)

    def _check_lengths(self, batch: SpeechBatch, latent_lens: Tensor) -> None:
        needed = torch.zeros_like(latent_lens)
        for name in self.config.ctc_labels:
            labels = batch.labels[name]
            needed = torch.maximum(needed, min_ctc_frames(labels.ids, labels.lens))
        short = ((needed > latent_lens) | (latent_lens == 0)).tolist()
        if any(short):
            rows = zip(batch.utts, latent_lens.tolist(), needed.tolist(), short, strict=True)
            listed = ", ".join(
                f"{utt} ({frames} for {labels})" for utt, frames, labels, is_short in rows if is_short
            )
            raise DataError(
                f"batch: fewer latent frames than the labels need: {listed}; leave these utterances out"
            )


def _heard(probs: Tensor, labels: Sequences) -> Tensor:
    """probs: (T, V). Returns (U, T): how likely each label of the first utterance is at each frame."""
    return probs[:, labels.ids[0, : int(labels.lens[0])]].t()
