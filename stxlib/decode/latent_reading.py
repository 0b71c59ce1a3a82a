"""What a trained speech model reads in latents, wherever they come from: the test of a latent synthesizer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stxlib.decode.ctc_greedy import CtcGreedy, CtcGreedyConfig
from stxlib.models.speech_to_text import SpeechToText
from stxlib.ops.ctc_path import best_paths
from stxlib.text.saved import Units


@dataclass(frozen=True)
class Reading:
    """What was read in the latents of one utterance."""

    units: tuple[str, ...]
    "by the CTC at the latents"
    tokens: tuple[int, ...] = ()
    "by the CTC above the backbone; none where that was not trained"
    text: str = ""
    "their words"


class LatentReader:
    """The layers above the latents, frozen: greedy CTC on units right at them, greedy CTC on tokens after the backbone."""

    def __init__(self, network: SpeechToText, units: Units, *, reads_words: bool) -> None:
        """network: in eval mode; reads_words: whether its CTC output on tokens was trained to write words."""
        self.network = network
        self.units = units
        self.reads_words = reads_words
        self._greedy = CtcGreedy(network.backbone, CtcGreedyConfig())

    @torch.inference_mode()
    def __call__(self, latents: Tensor, latent_lens: Tensor) -> list[Reading]:
        """latents: (B, T, D); latent_lens: (B,). Returns a reading for each utterance."""
        log_probs = self.network.unit_head(latents).float().log_softmax(-1)
        units = [tuple(self.units.units.decode(ids)) for ids, _ in best_paths(log_probs, latent_lens)]
        if not self.reads_words:
            return [Reading(symbols) for symbols in units]
        tokens = [best[0].tokens for best in self._greedy(latents, latent_lens)]
        return [Reading(symbols, ids, self._words(ids)) for symbols, ids in zip(units, tokens, strict=True)]

    def _words(self, tokens: tuple[int, ...]) -> str:
        return self.units.targets.decode("asr", self.units.tokens.decode(tokens)).streams["text"]
