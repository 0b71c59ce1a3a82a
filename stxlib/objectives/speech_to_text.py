"""What `asr` minimizes: CTC on tokens, cross-entropy of the attention decoder, and CTC on units at the latents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stxlib.data.batch import SpeechBatch
from stxlib.errors import ConfigError, DataError
from stxlib.models.speech_to_text import SpeechToText
from stxlib.ops.align import min_ctc_frames
from stxlib.ops.ctc_path import best_paths
from stxlib.ops.masks import length_mask
from stxlib.ratio import Ratio
from stxlib.text.tokenizer import BLANK, EOS, SOS, UNK


@dataclass(frozen=True, kw_only=True)
class SpeechToTextLossConfig:
    kind: Literal["speech_to_text"] = "speech_to_text"
    """CTC and attention on transcribed speech"""
    ctc_weight: float = 0.4
    """weight of the CTC on tokens (0 to 1); the attention decoder has the rest"""
    unit_ctc_weight: float = 0.3
    """weight of the CTC on units at the latents (0 or more)"""
    label_smoothing: float = 0.1
    """part of the decoder's target that is spread evenly over the vocabulary (0 or more, below 1)"""
    token_dropout: float = 0.0
    """share of the tokens that the decoder reads in training which are <unk> instead (0 or more, below 1): where sentences are few
    it would learn them by heart, and not where to listen"""

    def __post_init__(self) -> None:
        if not 0 <= self.token_dropout < 1:
            raise ConfigError(f"token_dropout: {self.token_dropout}; use 0 or more, and less than 1")
        if not 0 <= self.ctc_weight <= 1:
            raise ConfigError(f"ctc_weight: {self.ctc_weight} is not between 0 and 1")
        if not 0 <= self.unit_ctc_weight < math.inf:
            raise ConfigError(f"unit_ctc_weight: {self.unit_ctc_weight}; use 0 or more")
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label_smoothing: {self.label_smoothing}; use 0 or more, and less than 1")


@dataclass(frozen=True)
class Inspection:
    """What a person looks at during training: pictures of the first utterance, and what the CTC hears in some."""

    images: dict[
        str, Tensor
    ]  # (height, width) in 0..1; time runs to the right, the first token is at the top
    references: list[list[int]]
    hypotheses: list[list[int]]


class SpeechToTextObjective(nn.Module):
    """loss = ctc_weight * ctc + (1 - ctc_weight) * attention + unit_ctc_weight * unit_ctc.

    Every term is a sum over the batch (nats), and their one count is the number of tokens with <eos>: the loss of a batch is exactly the
    mean of its micro-batches' losses, however it is split.
    """

    def __init__(self, network: SpeechToText, config: SpeechToTextLossConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config

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
        unit_ctc = ctc_loss(network.unit_head(latents), latent_lens, batch.units, batch.unit_lens)
        encoded, encoded_lens = network.backbone.encode(latents, latent_lens)
        ctc = ctc_loss(network.backbone.ctc_logits(encoded), encoded_lens, batch.tokens, batch.token_lens)
        tokens_in, tokens_out, out_lens = shift_tokens(batch.tokens, batch.token_lens)
        if self.training and config.token_dropout > 0:
            dropped = torch.rand(tokens_in.shape, device=tokens_in.device) < config.token_dropout
            tokens_in = tokens_in.masked_fill(dropped & (tokens_in != SOS), UNK)
        logits = network.backbone.decoder_logits(encoded, encoded_lens, tokens_in, out_lens)
        valid = length_mask(out_lens, tokens_out.shape[1])
        logits, targets = logits[valid].float(), tokens_out[valid]
        attention = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=config.label_smoothing)
        correct = (logits.detach().argmax(1) == targets).sum()
        loss = (
            config.ctc_weight * ctc + (1 - config.ctc_weight) * attention + config.unit_ctc_weight * unit_ctc
        )
        count = out_lens.sum()
        return {
            "loss": Ratio(loss, count),
            "ctc": Ratio(ctc.detach(), count),
            "attention": Ratio(attention.detach(), count),
            "unit_ctc": Ratio(unit_ctc.detach(), count),
            "token_accuracy": Ratio(correct, count),
        }

    @torch.no_grad()
    def inspect(self, batch: SpeechBatch, num_hypotheses: int = 4) -> Inspection:
        """Of the first utterance: where the decoder looks (`attention`), and when each token (`ctc`) and unit (`unit_ctc`) is heard.

        Also references and greedy CTC hypotheses of the first `num_hypotheses` utterances. Call it in eval mode.
        """
        network = self.network
        waves, wave_lens = batch.waves[:num_hypotheses], batch.wave_lens[:num_hypotheses]
        tokens, token_lens = batch.tokens[:num_hypotheses], batch.token_lens[:num_hypotheses]
        latents, latent_lens = network.encoder(waves, wave_lens, None)
        encoded, encoded_lens = network.backbone.encode(latents, latent_lens)
        tokens_in, _, _ = shift_tokens(tokens, token_lens)
        num_frames, num_tokens, num_units = int(latent_lens[0]), int(token_lens[0]), int(batch.unit_lens[0])
        attention = network.backbone.decoder.attention_weights(
            encoded[:1, :num_frames], encoded_lens[:1], tokens_in[:1, : num_tokens + 1]
        )[0]
        token_log_probs = network.backbone.ctc_logits(encoded).float().log_softmax(2)
        unit_probs = network.unit_head(latents[:1]).float().softmax(2)
        images = {
            "attention": attention.float(),
            "ctc": token_log_probs[0, :num_frames, tokens[0, :num_tokens]].exp().t(),
            "unit_ctc": unit_probs[0, :num_frames, batch.units[0, :num_units]].t(),
        }
        return Inspection(
            images={name: image.clamp(0, 1).cpu() for name, image in images.items()},
            references=[row[:n].tolist() for row, n in zip(tokens, token_lens.tolist(), strict=True)],
            hypotheses=[list(path) for path, _ in best_paths(token_log_probs, encoded_lens, (SOS, EOS))],
        )

    def _check_lengths(self, batch: SpeechBatch, latent_lens: Tensor) -> None:
        needed = torch.maximum(
            min_ctc_frames(batch.tokens, batch.token_lens), min_ctc_frames(batch.units, batch.unit_lens)
        )
        short = ((needed > latent_lens) | (latent_lens == 0)).tolist()
        if any(short):
            rows = zip(batch.utts, latent_lens.tolist(), needed.tolist(), short, strict=True)
            listed = ", ".join(
                f"{utt} ({frames} for {labels})" for utt, frames, labels, is_short in rows if is_short
            )
            raise DataError(
                f"batch: fewer latent frames than the labels need: {listed}; leave these utterances out"
            )


def ctc_loss(logits: Tensor, lens: Tensor, targets: Tensor, target_lens: Tensor) -> Tensor:
    """Sum over the batch of -log P(targets), nats; inf where there are fewer frames than the targets need.

    logits: (B, T, V), blank 0; targets: (B, U).
    """
    log_probs = F.log_softmax(logits.float(), dim=2).transpose(0, 1)  # (T, B, V)
    return F.ctc_loss(log_probs, targets, lens, target_lens, blank=BLANK, reduction="sum")


def shift_tokens(tokens: Tensor, token_lens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the decoder reads and what it shall write: (B, U) -> <sos> tokens, tokens <eos> (B, U + 1), and the lengths of both."""
    sos = torch.full_like(token_lens, SOS)[:, None]
    tokens_in = torch.cat([sos, tokens], dim=1)
    tokens_out = F.pad(tokens, (0, 1)).scatter(1, token_lens[:, None], EOS)
    return tokens_in, tokens_out, token_lens + 1
