"""Joint CTC/attention beam search (Watanabe et al. 2017; Hori et al. 2017), batched over utterances and hypotheses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from stxlib.decode.beam_search import Weighted, beam_search
from stxlib.decode.hypothesis import Hypothesis
from stxlib.decode.language_model import LanguageModelScorer
from stxlib.errors import ConfigError
from stxlib.models.backbone import Backbone
from stxlib.models.causal_lm import CausalLM
from stxlib.ops.ctc_prefix import CtcPrefixes
from stxlib.text.tokenizer import SOS

# Symbols (intent, slots, tags) come on top of the words, and a short sentence may have many.
_MORE_TOKENS = 32


@dataclass(frozen=True, kw_only=True)
class JointBeamConfig:
    """How far and by what weights to search."""

    kind: Literal["joint_beam"] = "joint_beam"
    beam_size: int = 6
    """prefixes that are kept for each utterance"""
    pre_beam_size: int = 12
    """next tokens of a prefix that get a CTC score: the best of the attention decoder, and of the language model; at least the vocabulary's size scores all"""
    ctc_weight: float = 0.3
    """0 <= w < 1: weight of the CTC score; the attention decoder has 1 - w; a task that CTC does not write is left to attention alone"""
    length_bonus: float = 0.0
    """added for each token of the task that CTC writes; above 0 longer hypotheses win more often (and the search ends later)"""
    label_bonus: float = 0.0
    """the same for tasks that CTC does not write, as intent and slots: above 0 more slots are filled, rightly and wrongly. Tune it on a
    development set, where precision is above recall"""
    lm: Path | None = None
    """folder of a trained language model (network.kind causal_lm) that scores the words (task asr) as well"""
    lm_weight: float = 0.0
    """0 or more: weight of the language model's score, beside the attention decoder's and the CTC's, which keep theirs"""
    max_token_ratio: float = 1.0
    """longest hypothesis, in tokens per encoded frame (25 a second, or one for each token that is read); above 1 nothing is gained where
    CTC has to align them; of other tasks, 32 tokens more"""
    num_best: int = 5
    """hypotheses to return for each utterance"""

    def __post_init__(self) -> None:
        if not 0 <= self.ctc_weight < 1:
            raise ConfigError(
                f"ctc_weight: {self.ctc_weight}; expected 0 <= w < 1 (for CTC alone choose kind ctc_greedy)"
            )
        if not 0 < self.max_token_ratio < math.inf:
            raise ConfigError(f"max_token_ratio: {self.max_token_ratio}; expected a finite number above 0")
        if not 0 <= self.lm_weight < math.inf:
            raise ConfigError(f"lm_weight: {self.lm_weight}; expected a finite number, 0 or more")
        for name in ("length_bonus", "label_bonus"):
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(f"{name}: {getattr(self, name)}; expected a finite number")
        for name in ("beam_size", "pre_beam_size", "num_best"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)}; expected 1 or more")


class AttentionScorer:
    """The attention decoder as a scorer of the next token, with its cache of keys and values."""

    def __init__(
        self, backbone: Backbone, encoded: Tensor, encoded_lens: Tensor, num_padded: Tensor | None = None
    ) -> None:
        self._backbone = backbone
        self._state = backbone.start(encoded, encoded_lens, num_padded)

    def step(self, last_tokens: Tensor) -> Tensor:
        """last_tokens: (R,). Returns (R, V) log probabilities."""
        log_probs, self._state = self._backbone.step(self._state, last_tokens)
        return log_probs

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self._state = self._state.select(rows)


class JointBeam:
    """Maximizes a weighted sum of the log probabilities of the attention decoder, the CTC output and a language model, if there is one.

    Over token sequences y of at most max_token_ratio T' tokens,

        (1 - ctc_weight) log p_attention(y, <eos>)  +  ctc_weight log p_ctc(y)  +  lm_weight log p_lm(y, <eos>)  +  length_bonus |y|

    where p_ctc sums over all alignments. The language model knows words only, and its term is there for the task asr alone. Of a task that
    the CTC output does not write, the first two are log p_attention(y, <eos>), label_bonus stands in place of length_bonus, and y may
    have 32 tokens more. This is `score`; its parts are the log probabilities. The maximum is sought
    by the beam search that `stxlib.decode.beam_search` describes: exact when the beam holds every prefix, and what
    it leaves out is decided by beam_size and pre_beam_size alone. The result of an utterance does not depend on the others
    in its batch.
    """

    def __init__(self, backbone: Backbone, config: JointBeamConfig, lm: CausalLM | None = None) -> None:
        """lm: in eval mode, on the device of the backbone; there where config.lm_weight is above 0."""
        assert (lm is None) == (config.lm_weight == 0), config.lm_weight
        self.backbone = backbone
        self.config = config
        self.lm = lm

    def __call__(self, latents: Tensor, latent_lens: Tensor) -> list[list[Hypothesis]]:
        """latents: (B, T', D); latent_lens: (B,). Returns 1 to num_best hypotheses for each utterance, best first."""
        return self.search(*self.backbone.encode(latents, latent_lens))

    @torch.inference_mode()
    def search(
        self,
        encoded: Tensor,
        encoded_lens: Tensor,
        *,
        start: int = SOS,
        with_ctc: bool = True,
        with_lm: bool = True,
        contexts: Sequence[Sequence[int]] | None = None,
    ) -> list[list[Hypothesis]]:
        """Search; encoded: (B, T', D) output of `Backbone.encode`; encoded_lens: (B,).

        start: token that the decoder begins with; with_ctc: whether the CTC output writes the same task; with_lm: whether that is words, which
        the language model knows; contexts: tokens that the decoder has read before, for each utterance.

        An utterance of no frames reads as nothing, with score 0: there is nothing to be asked about.
        """
        config = self.config
        results = [[Hypothesis((), 0.0, {})] for _ in range(len(encoded))]
        heard = (encoded_lens > 0).nonzero()[:, 0]
        if not len(heard):
            return results
        encoded, lens = encoded[heard], encoded_lens[heard]
        encoded = encoded[:, : int(lens.max())]
        ctc, ctc_weight = None, config.ctc_weight if with_ctc else 0.0
        max_tokens = (lens * config.max_token_ratio).long().clamp(min=1)
        if ctc_weight > 0:
            ctc = CtcPrefixes.start(self.backbone.ctc_logits(encoded).float().log_softmax(-1), lens)
        read = [tuple(contexts[index]) for index in heard.tolist()] if contexts else [()] * len(heard)
        longest = max(map(len, read))
        padded = [longest - len(tokens) for tokens in read]
        context = [[0] * n + list(tokens) for n, tokens in zip(padded, read, strict=True)]
        scorer = AttentionScorer(
            self.backbone, encoded, lens, torch.tensor(padded, dtype=torch.int64, device=encoded.device)
        )
        for tokens in torch.tensor(context, dtype=torch.int64, device=encoded.device).t():
            scorer.step(tokens)
        scorers = [Weighted("attention", 1 - ctc_weight, scorer)]
        if self.lm is not None and with_lm:
            lm_scorer = LanguageModelScorer(self.lm, len(lens), self.backbone.vocab_size)
            scorers.append(Weighted("lm", config.lm_weight, lm_scorer))
        found = beam_search(
            scorers,
            ctc,
            ctc_weight,
            (max_tokens if with_ctc else max_tokens + _MORE_TOKENS).to(encoded.device),
            beam_size=config.beam_size,
            pre_beam_size=config.pre_beam_size,
            num_best=config.num_best,
            length_bonus=config.length_bonus if with_ctc else config.label_bonus,
            start=start,
        )
        for index, hypotheses in zip(heard.tolist(), found, strict=True):
            results[index] = hypotheses
        return results
