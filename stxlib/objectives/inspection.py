"""What a person looks at during training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stxlib.data.batch import Sequences, SpeechBatch
from stxlib.models.speech_to_text import SpeechToText
from stxlib.objectives.backbone_loss import BackboneCriterion
from stxlib.objectives.label_encoder import UNITS
from stxlib.objectives.sequence_loss import shift_tokens
from stxlib.ops.ctc_path import best_paths
from stxlib.text.tokenizer import EOS, SOS


@dataclass(frozen=True)
class Inspection:
    """Pictures of the first utterance of a batch, and what the network makes of some."""

    images: dict[str, Tensor]
    "(height, width) in 0..1; time runs to the right, the first token is at the top"
    references: list[list[int]]
    "token ids"
    hypotheses: list[list[int]]


@torch.no_grad()
def inspect_speech(
    network: SpeechToText,
    criterion: BackboneCriterion,
    batch: SpeechBatch,
    *,
    with_units: bool,
    num_hypotheses: int,
) -> Inspection:
    """Of the first utterance: where the decoder looks (`attention`, for the first task), and when each token (`ctc`) and unit
    (`unit_ctc`) is heard. Also references and greedy CTC hypotheses of the first `num_hypotheses` utterances. Call it in eval mode.
    """
    config = criterion.config
    waves, wave_lens = batch.waves[:num_hypotheses], batch.wave_lens[:num_hypotheses]
    latents, latent_lens = network.encoder(waves, wave_lens, None)
    encoded, encoded_lens = network.backbone.encode(latents, latent_lens)
    num_frames = int(latent_lens[0])
    images: dict[str, Tensor] = {}
    written = [(task, start) for task, start in criterion.starts.items() if task in batch.labels]
    for task, start in written[:1]:
        targets = batch.labels[task].first(1)
        tokens_in = shift_tokens(targets, start)[0][:, : int(targets.lens[0]) + 1]
        attention = network.backbone.decoder.attention_weights(
            encoded[:1, :num_frames], encoded_lens[:1], tokens_in
        )
        images["attention"] = attention[0].float()
    references: list[list[int]] = []
    hypotheses: list[list[int]] = []
    if config.ctc_weight and config.ctc_task in batch.labels:
        tokens = batch.labels[config.ctc_task].first(num_hypotheses)
        log_probs = network.backbone.ctc_logits(encoded).float().log_softmax(2)
        images["ctc"] = _heard(log_probs[0, :num_frames].exp(), tokens)
        references = tokens.tolist()
        hypotheses = [list(path) for path, _ in best_paths(log_probs, encoded_lens, (SOS, EOS))]
    if with_units:
        probs = network.unit_head(latents[:1]).float().softmax(2)
        images["unit_ctc"] = _heard(probs[0, :num_frames], batch.labels[UNITS])
    return Inspection(
        images={name: image.clamp(0, 1).cpu() for name, image in images.items()},
        references=references,
        hypotheses=hypotheses,
    )


def _heard(probs: Tensor, labels: Sequences) -> Tensor:
    """probs: (T, V). Returns (U, T): how likely each label of the first utterance is at each frame."""
    return probs[:, labels.ids[0, : int(labels.lens[0])]].t()
