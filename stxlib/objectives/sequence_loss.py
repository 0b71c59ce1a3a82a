"""Losses of label sequences: CTC, and cross-entropy of an attention decoder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stxlib.data.batch import Sequences
from stxlib.errors import ConfigError
from stxlib.models.backbone import Backbone
from stxlib.objectives.packed_tasks import pack
from stxlib.ops.masks import length_mask
from stxlib.ratio import Ratio
from stxlib.text.target_vocabulary import TASKS, Task
from stxlib.text.tokenizer import BLANK, EOS, UNK


@dataclass(frozen=True)
class DecoderLoss:
    """Sums over a batch."""

    loss: Tensor  # (), nats
    correct: Tensor  # (), tokens that the decoder likes best given the true ones before
    count: Tensor  # (), tokens with <eos>


def check_tasks(tasks: Sequence[str], weights: Sequence[str]) -> None:
    """ConfigError for tasks that are none or the same, and for weights that cannot be."""
    if not tasks or len(set(tasks)) < len(tasks):
        raise ConfigError(f"tasks: {' '.join(tasks) or 'none'}; give each task once, and at least one")
    read_weights(weights)


def read_weights(weights: Sequence[str]) -> dict[str, float]:
    """task -> weight, of `task=weight`. ConfigError for what is none."""
    found: dict[str, float] = {}
    for item in weights:
        task, _, number = item.partition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if task not in TASKS or task in found or not 0 < weight < math.inf:
            raise ConfigError(
                f"task_weights: {item}; expected task=number, above 0, each task of {' '.join(TASKS)} once"
            )
        found[task] = weight
    return found


def task_figures(
    losses: Mapping[Task, DecoderLoss], weights: Mapping[str, float]
) -> tuple[Tensor, dict[str, Ratio]]:
    """The weighted sum (weight 1 where none is given) of the losses of some tasks, nats; and figures: `token_accuracy` over all tasks, whose
    count is that of the loss as well, and `<task>_accuracy` where there are several.
    """
    loss = torch.stack([weights.get(task, 1.0) * one.loss for task, one in losses.items()]).sum()
    correct = torch.stack([one.correct for one in losses.values()]).sum()
    count = torch.stack([one.count for one in losses.values()]).sum()
    figures = {"token_accuracy": Ratio(correct, count)}
    if len(losses) > 1:
        figures |= {f"{task}_accuracy": Ratio(one.correct, one.count) for task, one in losses.items()}
    return loss, figures


def ctc_loss(
    logits: Tensor, lens: Tensor, targets: Sequences, *, leave_out_impossible: bool = False
) -> Tensor:
    """Sum over the batch of -log P(targets), nats; inf where there are fewer frames than the targets need, or 0 with leave_out_impossible.

    logits: (B, T, V), blank 0.
    """
    log_probs = F.log_softmax(logits.float(), dim=2).transpose(0, 1)  # (T, B, V)
    return F.ctc_loss(
        log_probs,
        targets.ids,
        lens,
        targets.lens,
        blank=BLANK,
        reduction="sum",
        zero_infinity=leave_out_impossible,
    )


def decoder_losses(
    backbone: Backbone,
    encoded: Tensor,
    encoded_lens: Tensor,
    targets: Mapping[Task, Sequences],
    *,
    starts: Mapping[Task, int],
    label_smoothing: float,
    token_dropout: float,
    words_first: bool,
) -> dict[Task, DecoderLoss]:
    """Of each task, the cross-entropy of each token and of <eos>, given the true tokens before.

    starts: the token before the first one; token_dropout: share of the others that the decoder reads as <unk>; words_first: before another
    task's start it reads the words (task asr, which has to be there).
    """
    shifted = {task: shift_tokens(targets[task], starts[task]) for task in targets}
    read = {
        task: (_with_gaps(tokens_in, token_dropout), lens) for task, (tokens_in, _, lens) in shifted.items()
    }
    if words_first and len(read) > 1:
        packed = pack(read, first="asr")
        together = backbone.packed_logits(encoded, encoded_lens, packed.tokens, packed.positions, packed.seen)
        of_task = {task: together[:, packed.columns[task]] for task in read}
    else:
        of_task = {
            task: backbone.decoder_logits(encoded, encoded_lens, tokens_in, lens)
            for task, (tokens_in, lens) in read.items()
        }
    losses = {}
    for task, (_, tokens_out, lens) in shifted.items():
        asked = length_mask(lens, tokens_out.shape[1])
        logits, labels = of_task[task][asked].float(), tokens_out[asked]
        loss = F.cross_entropy(logits, labels, reduction="sum", label_smoothing=label_smoothing)
        correct = (logits.detach().argmax(1) == labels).sum()
        losses[task] = DecoderLoss(loss, correct, lens.sum())
    return losses


def _with_gaps(tokens_in: Tensor, share: float) -> Tensor:
    """tokens_in (B, U) with so many of its tokens, the first one apart, as <unk>."""
    if share == 0:
        return tokens_in
    dropped = torch.rand(tokens_in.shape, device=tokens_in.device) < share
    dropped[:, 0] = False
    return tokens_in.masked_fill(dropped, UNK)


def shift_tokens(targets: Sequences, start: int) -> tuple[Tensor, Tensor, Tensor]:
    """What the decoder reads and what it shall write: start tokens, tokens <eos> (B, U + 1), and the lengths of both."""
    first = torch.full_like(targets.lens, start)[:, None]
    tokens_in = torch.cat([first, targets.ids], dim=1)
    tokens_out = F.pad(targets.ids, (0, 1)).scatter(1, targets.lens[:, None], EOS)
    return tokens_in, tokens_out, targets.lens + 1
