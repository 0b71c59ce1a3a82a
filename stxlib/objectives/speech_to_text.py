"""What `asr` minimizes: CTC on tokens, cross-entropy of the attention decoder on each task, and CTC on units at the latents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from stxlib.data.batch import SpeechBatch
from stxlib.errors import ConfigError, DataError
from stxlib.models.speech_to_text import SpeechToText
from stxlib.objectives.backbone_loss import BackboneCriterion, BackboneLossConfig
from stxlib.objectives.inspection import Inspection, inspect_speech
from stxlib.objectives.label_encoder import UNITS
from stxlib.objectives.sequence_loss import ctc_loss
from stxlib.ops.align import min_ctc_frames
from stxlib.ratio import Ratio


@dataclass(frozen=True, kw_only=True)
class SpeechToTextLossConfig(BackboneLossConfig):
    kind: Literal["speech_to_text"] = "speech_to_text"
    """CTC and attention on labelled speech"""
    unit_ctc_weight: float = 0.3
    """weight of the CTC on units at the latents (0 or more); at 0 the sets need no stream `units`"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.unit_ctc_weight < math.inf:
            raise ConfigError(f"unit_ctc_weight: {self.unit_ctc_weight}; use 0 or more")

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
        self.criterion = BackboneCriterion(network.backbone, config, starts or {})
        if not config.unit_ctc_weight:
            network.unit_head.requires_grad_(False)

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
        found = self.criterion(network.backbone, latents, latent_lens, batch.labels, training=self.training)
        loss, figures = found.loss, found.figures()
        if config.unit_ctc_weight:
            unit_ctc = ctc_loss(network.unit_head(latents), latent_lens, batch.labels[UNITS])
            loss = loss + config.unit_ctc_weight * unit_ctc
            figures["unit_ctc"] = Ratio(unit_ctc.detach(), found.count)
        return {"loss": Ratio(loss, found.count), **figures}

    def inspect(self, batch: SpeechBatch, num_hypotheses: int = 4) -> Inspection:
        """Pictures of the first utterance, hypotheses of some; call it in eval mode."""
        with_units = self.config.unit_ctc_weight > 0
        return inspect_speech(
            self.network, self.criterion, batch, with_units=with_units, num_hypotheses=num_hypotheses
        )

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
