"""Beam search over token sequences, batched over utterances and hypotheses.

The searched quantity is a weighted sum of the log probabilities that scorers give to tokens and to the end, of a CTC
prefix score, and of a bonus for each token. A system with one more scorer is a new file that calls `beam_search` with a
longer list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from stxlib.decode.hypothesis import Hypothesis
from stxlib.ops.ctc_prefix import BLANK, NEVER, CtcPrefixes
from stxlib.text.tokenizer import EOS, SOS


class TokenScorer(Protocol):
    """Scores the next token of R hypotheses ("rows"); those of an utterance are neighbours, equally many for each."""

    def step(self, last_tokens: Tensor) -> Tensor:
        """last_tokens: (R,), the start token at first. Returns log probabilities of the next token (R, V) float32."""

    def select(self, rows: Tensor) -> None:
        """Go on with `rows` (R',), which may repeat and leave rows out."""


@dataclass(frozen=True)
class Weighted:
    """A scorer, its weight (0 or more) and its name in `Hypothesis.parts`."""

    name: str
    weight: float
    scorer: TokenScorer


@dataclass(frozen=True)
class _Ended:
    """The best ended hypotheses of every utterance so far, best first; -inf where there are fewer."""

    scores: Tensor  # (B, K)
    parts: Tensor  # (P, B, K)
    num_tokens: Tensor  # (B, K) int64
    rows: Tensor  # (B, K) int64: row of the search after so many tokens

    def merge(self, utts: Tensor, scores: Tensor, parts: Tensor, num_tokens: int, rows: Tensor) -> None:
        """Enter the hypotheses (A, k) of utterances `utts` (A,) that end after `num_tokens` tokens."""
        num_best = self.scores.shape[1]
        both = torch.cat((self.scores[utts], scores), dim=1)  # (A, K + k)
        best, index = both.topk(num_best, dim=1)
        self.scores[utts] = best
        lengths = torch.full_like(rows, num_tokens)
        self.num_tokens[utts] = torch.cat((self.num_tokens[utts], lengths), dim=1).gather(1, index)
        self.rows[utts] = torch.cat((self.rows[utts], rows), dim=1).gather(1, index)
        self.parts[:, utts] = torch.cat((self.parts[:, utts], parts), dim=2).gather(
            2, index.expand(len(parts), -1, -1)
        )


def beam_search(
    scorers: Sequence[Weighted],
    ctc: CtcPrefixes | None,
    ctc_weight: float,
    max_tokens: Tensor,
    *,
    beam_size: int,
    pre_beam_size: int,
    num_best: int,
    length_bonus: float,
    start: int = SOS,
) -> list[list[Hypothesis]]:
    """Find the `num_best` best token sequences y for each of B utterances.

    The score of y is

        sum_i weight_i log p_i(y, <eos>)  +  ctc_weight log p_ctc(y)  +  length_bonus |y|

    A prefix g is ranked by the same sum, with log p_i(g) of its tokens and the CTC prefix score log psi(g). Step by step:
    1. Every kept prefix is also ended and enters the list of ended hypotheses: an end takes no place in the beam.
    2. Every kept prefix is followed by the `pre_beam_size` tokens that the scorers' weighted sum likes best; these get CTC
       scores, and the `beam_size` best prefixes of the utterance are kept. <blank>, <sos> and <eos> are no tokens.
    3. An utterance is finished when no prefix of it can still change its `num_best` list. As no term but the bonus grows
       with length, the score of a prefix (plus the bonus of the tokens that may follow, if positive) bounds what
       grows from it. So the end is detected exactly: going on would change nothing.

    scorers: each with one row per utterance, before any token. ctc: the same, or None for ctc_weight 0.
    max_tokens: (B,) int64: hypotheses have at most so many tokens; those that reach it can only end.
    start: the token that stands before the first one.
    Returns per utterance 1 to `num_best` hypotheses, best first, none twice. A score is -inf only when all are.
    """
    assert scorers and all(weighted.weight > 0 for weighted in scorers), [
        weighted.weight for weighted in scorers
    ]
    assert (ctc is None) == (ctc_weight == 0)
    device, num_utts = max_tokens.device, len(max_tokens)
    names = [weighted.name for weighted in scorers] + ([] if ctc is None else ["ctc"])
    weights = torch.tensor([weighted.weight for weighted in scorers], device=device)
    shape = (num_utts, num_best)
    ended = _Ended(
        torch.full(shape, NEVER, device=device),
        torch.full((len(names), *shape), NEVER, device=device),
        torch.zeros(shape, dtype=torch.int64, device=device),
        torch.zeros(shape, dtype=torch.int64, device=device),
    )
    history: list[
        tuple[Tensor, Tensor]
    ] = []  # after u + 1 tokens: each row's row after u tokens, and its last token
    utts = torch.arange(num_utts, device=device)  # (A,): utterances that are not finished
    last_tokens = torch.full((num_utts,), start, device=device)  # (A * k,)
    sums = torch.zeros(
        len(scorers), num_utts, device=device
    )  # (S, A * k): unweighted log probabilities of the prefixes
    num_tokens = 0
    while len(utts):
        width = len(last_tokens) // len(utts)  # k: 1 at first, then the beam
        log_probs = [weighted.scorer.step(last_tokens) for weighted in scorers]  # (A * k, V) each

        end_parts = sums + torch.stack([step[:, EOS] for step in log_probs])  # (S, A * k)
        end_scores = weights @ end_parts + length_bonus * num_tokens
        if ctc is not None:
            end_ctc = ctc.end_scores().to(end_parts.dtype)
            end_scores = end_scores + ctc_weight * end_ctc
            end_parts = torch.cat((end_parts, end_ctc[None]))
        rows = torch.arange(len(last_tokens), device=device).view(-1, width)  # (A, k)
        ended.merge(utts, end_scores.view(-1, width), end_parts.view(len(names), -1, width), num_tokens, rows)

        ranking = (
            torch.stack(log_probs).mul_(weights[:, None, None]).sum(0)
            if len(scorers) > 1
            else log_probs[0] * weights
        )
        ranking[:, [BLANK, SOS, EOS]] = NEVER
        gains, labels = ranking.topk(min(pre_beam_size, ranking.shape[1] - 3), dim=1)  # (A * k, C)
        scores = (weights @ sums)[:, None] + gains + length_bonus * (num_tokens + 1)
        if ctc is not None:
            scores = scores + ctc_weight * ctc.scores(labels).to(scores.dtype)
        scores = scores.view(len(utts), -1)  # (A, k * C)
        best, index = scores.topk(min(beam_size, scores.shape[1]), dim=1)  # (A, k')

        tokens_left = max_tokens[utts] - num_tokens - 1
        bound = best[:, 0] + max(length_bonus, 0.0) * tokens_left
        open_ = (bound > ended.scores[utts, -1]) & (tokens_left >= 0)
        index = index[open_]
        rows = (rows[open_, :1] + index // labels.shape[1]).flatten()  # (A' * k',)
        last_tokens = labels[rows, (index % labels.shape[1]).flatten()]
        utts = utts[open_]
        if len(utts):
            sums = sums[:, rows] + torch.stack([step[rows, last_tokens] for step in log_probs])
            ctc = None if ctc is None else ctc.extend(rows, last_tokens)
            for weighted in scorers:
                weighted.scorer.select(rows)
            history.append((rows, last_tokens))
            num_tokens += 1
    return _read_out(ended, names, history)


def _read_out(
    ended: _Ended, names: list[str], history: list[tuple[Tensor, Tensor]]
) -> list[list[Hypothesis]]:
    """Follow every ended hypothesis back to its first token."""
    steps = [(rows.tolist(), tokens.tolist()) for rows, tokens in history]
    parts = ended.parts.permute(1, 2, 0).tolist()  # (B, K, P)
    entries = zip(ended.scores.tolist(), ended.num_tokens.tolist(), ended.rows.tolist(), parts, strict=True)
    results = []
    for utt_entries in entries:
        hypotheses: list[Hypothesis] = []
        for score, num_tokens, row, values in zip(*utt_entries, strict=True):
            if score == NEVER and hypotheses:
                break
            tokens = []
            for rows, last_tokens in reversed(steps[:num_tokens]):
                tokens.append(last_tokens[row])
                row = rows[row]
            hypotheses.append(
                Hypothesis(tuple(reversed(tokens)), score, dict(zip(names, values, strict=True)))
            )
        results.append(hypotheses)
    return results
