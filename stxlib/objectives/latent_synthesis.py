"""What `lasyn` minimizes: the backbone learns from latents of speech and from latents that text has been turned into.

Latent Synthesis (arXiv 2310.05374): the speech encoder is frozen, a synthesizer makes of text what the encoder would have made of
speech, and one backbone learns from both. Besides, and not in the paper, the decoder may write text that it does not hear: internal
language model training (Meng et al. 2021, arXiv 2102.01380). Nothing is synthesized or encoded for that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from stxlib.data.batch import BatchWithUnheard, LatentBatch, MixedBatch, SpeechBatch, TextBatch
from stxlib.errors import ConfigError
from stxlib.models.speech_to_text import SpeechToText
from stxlib.models.synthesizer import Synthesizer
from stxlib.nn.spec_augment import SpecAugmentConfig, spec_augment
from stxlib.objectives.backbone_loss import BackboneCriterion, BackboneLossConfig
from stxlib.objectives.inspection import Inspection, inspect_speech
from stxlib.objectives.sequence_loss import task_figures
from stxlib.ops.align import min_ctc_frames
from stxlib.ratio import Ratio

_OF_LATENTS = 0x5A5A5A5A
"makes another seed of the seed of an utterance"


@dataclass(frozen=True, kw_only=True)
class LatentMaskConfig(SpecAugmentConfig):
    """What is hidden of latents: dimensions (`freq`) and stretches of time, each set to the mean latent."""

    num_freq_masks: int = 0
    max_freq_bins: int = 16
    num_time_masks: int = 2
    max_time_frames: int = 10
    max_time_part: float = 0.1


@dataclass(frozen=True, kw_only=True)
class LatentSynthesisLossConfig(BackboneLossConfig):
    kind: Literal["latent_synthesis"] = "latent_synthesis"
    """the losses of the backbone on labelled speech and on labelled text"""
    text_weight: float = 1.0
    """how much a token counts that is written of text (0 or more; lambda); one that is written of speech counts 1"""
    unheard_weight: float = 0.3
    """how much a token counts of text that is not heard (above 0), where the batches have such text (`batches.unheard_ratio`): the decoder writes
    it with all latents hidden, as a language model would. There is no CTC of it, so its cross-entropy counts whole"""
    latent_mask: LatentMaskConfig = field(default_factory=LatentMaskConfig)
    """what is hidden of the latents of both in training"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.text_weight < math.inf:
            raise ConfigError(f"text_weight: {self.text_weight}; use 0 or more")
        if not 0 < self.unheard_weight < math.inf:
            raise ConfigError(
                f"unheard_weight: {self.unheard_weight}; use a number above 0 (batches.unheard_ratio 0 does without)"
            )

    @property
    def ctc_labels(self) -> tuple[str, ...]:
        """Names of the labels that CTC writes, and that need a frame each."""
        return (self.ctc_task,) if self.ctc_weight else ()


class LatentSynthesisObjective(nn.Module):
    """loss = (speech + text_weight * text + unheard_weight * unheard) / (tokens of each, weighted likewise); the first two as in
    `BackboneCriterion`, the third the cross-entropy of the decoder alone.

    The encoder, its CTC on units and the synthesizer are frozen. Both kinds of latents go the same way, with the same parts hidden:
    the backbone can tell them apart by what is in them only. Of text, CTC takes no account where a sentence has fewer frames than tokens
    (`text_ctc_left_out` is the share of such sentences).
    """

    def __init__(
        self,
        network: SpeechToText,
        synthesizer: Synthesizer,
        config: LatentSynthesisLossConfig,
        starts: Mapping[str, int] | None = None,
    ) -> None:
        """synthesizer: has the mean latent, too, where the batches bring latents. starts: task -> the token that the decoder begins with."""
        super().__init__()
        self.network = network
        self.synthesizer = synthesizer
        self.config = config
        for part in (network.encoder, network.unit_head, synthesizer):
            if isinstance(part, nn.Module):
                part.requires_grad_(False)
        self.criterion = BackboneCriterion(network.backbone, config, starts or {})

    def forward(self, batch: MixedBatch | SpeechBatch) -> dict[str, Ratio]:
        """Loss, its terms on speech, on text (`text_*`) and on text that is not heard (`unheard_*`), and accuracies. Speech alone is what a development set has."""
        speech = batch if isinstance(batch, SpeechBatch) else batch.speech
        latents, latent_lens = self.network.encoder(
            speech.waves, speech.wave_lens, speech.seeds if self.training else None
        )
        latents = self.hide(latents, latent_lens, speech.seeds)
        real = self.criterion(
            self.network.backbone, latents, latent_lens, speech.labels, training=self.training
        )
        loss, count, figures = real.loss, real.count, real.figures()
        if isinstance(batch, MixedBatch):
            latents, latent_lens = self.latents_of(batch.text)
            latents = self.hide(latents, latent_lens, batch.text.seeds)
            made = self.criterion(
                self.network.backbone,
                latents,
                latent_lens,
                batch.text.labels,
                training=self.training,
                leave_out_impossible=True,
            )
            loss = loss + self.config.text_weight * made.loss
            count = count + self.config.text_weight * made.count
            figures |= {f"text_{name}": ratio for name, ratio in made.figures().items()}
            if self.config.ctc_weight and self.config.ctc_task in batch.text.labels:
                tokens = batch.text.labels[self.config.ctc_task]
                too_short = min_ctc_frames(tokens.ids, tokens.lens) > latent_lens
                figures["text_ctc_left_out"] = Ratio(too_short.sum(), len(too_short))
            if (
                isinstance(batch, BatchWithUnheard)
                and self.criterion.starts.keys() & batch.unheard.labels.keys()
            ):
                attention, accuracies = self.written_unheard(batch.unheard)
                tokens_unheard = accuracies["token_accuracy"].count
                loss = loss + self.config.unheard_weight * attention
                count = count + self.config.unheard_weight * tokens_unheard
                figures["unheard_attention"] = Ratio(attention.detach(), tokens_unheard)
                figures |= {f"unheard_{name}": ratio for name, ratio in accuracies.items()}
        return {"loss": Ratio(loss, count), **figures}

    def written_unheard(self, text: TextBatch) -> tuple[Tensor, dict[str, Ratio]]:
        """Cross-entropy (nats, a sum) and accuracies of what the decoder writes of one latent that is hidden, in place of those of the text."""
        backbone = self.network.backbone
        hidden = self.synthesizer.latent_mean[None, None]  # (1, 1, D)
        encoded, encoded_lens = backbone.encode(hidden, torch.ones_like(text.seeds[:1]))
        num_sentences = len(text.utts)
        losses = self.criterion.decoded(
            backbone,
            encoded.expand(num_sentences, -1, -1),
            encoded_lens.expand(num_sentences),
            text.labels,
            training=self.training,
        )
        return task_figures(losses, self.criterion.weights)

    @torch.no_grad()
    def latents_of(self, text: TextBatch | LatentBatch) -> tuple[Tensor, Tensor]:
        """Latents (B, T', D) and their lengths (B,)."""
        if isinstance(text, LatentBatch):
            return text.latents, text.latent_lens
        return self.synthesizer.sample(text.source.ids, text.source.lens, text.seeds)

    def hide(self, latents: Tensor, latent_lens: Tensor, seeds: Tensor) -> Tensor:
        """Set parts of the latents to the mean latent, in training."""
        if not self.training:
            return latents
        mean = self.synthesizer.latent_mean.to(latents.dtype)
        # Other draws than those of the encoder's SpecAugment, which text does not pass.
        return mean + spec_augment(latents - mean, latent_lens, seeds ^ _OF_LATENTS, self.config.latent_mask)

    def inspect(self, batch: SpeechBatch) -> Inspection:
        """Pictures of the first utterance, hypotheses of some; call it in eval mode."""
        return inspect_speech(self.network, self.criterion, batch, with_units=False, num_hypotheses=4)
