"""What a decoder returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One reading of an utterance; lists of them are sorted, best first."""

    tokens: tuple[int, ...]
    """token ids, without <sos> and <eos>"""
    score: float
    """what the decoder maximizes (its docstring says what that is), in natural logarithms; higher is better"""
    parts: dict[str, float]
    """unweighted log probabilities that the score is made of, by the name of their source: attention, ctc, lm"""
