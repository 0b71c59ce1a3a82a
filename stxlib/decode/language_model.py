"""A language model as one more scorer of the beam search."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stxlib.errors import ConfigError
from stxlib.models.causal_lm import CausalLM
from stxlib.models.saved import load_network
from stxlib.ops.ctc_prefix import NEVER
from stxlib.text.escape import MARK
from stxlib.text.saved import Units, load_units
from stxlib.text.tokenizer import SOS


class LanguageModelScorer:
    """log p(next token | tokens so far) of a language model, with its cache of keys and values.

    It always begins with <sos>, whatever token a decoder of several tasks begins with. Tokens that it does not have (the symbols of other
    tasks, and the mark of words that look like them, which come last) are ruled out.
    """

    def __init__(self, network: CausalLM, num_rows: int, vocab_size: int) -> None:
        """num_rows: hypotheses at the start; vocab_size: tokens of the network that is searched."""
        assert network.vocab_size <= vocab_size, (network.vocab_size, vocab_size)
        self._network = network
        self._num_more = vocab_size - network.vocab_size
        self._state = network.start(num_rows)

    def step(self, last_tokens: Tensor) -> Tensor:
        """last_tokens: (R,). Returns (R, V) log probabilities."""
        if not self._state.num_tokens:
            last_tokens = torch.full_like(last_tokens, SOS)
        log_probs, self._state = self._network.step(self._state, last_tokens)
        return F.pad(log_probs, (0, self._num_more), value=NEVER)

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self._state = self._state.select(rows)


def load_language_model(folder: Path, units: Units, device: torch.device | str) -> CausalLM:
    """The language model in `folder`, for a recognizer of vocabulary `units`.

    Raises ConfigError where there is none, and where its tokens are not those that the recognizer writes words with: scores of other
    tokens would be of no use. DataError for a damaged one.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"decoder.lm {folder}: no such folder; give that of a trained language model, or leave it out and lm_weight at 0"
        )
    loaded, saved = load_network(folder, device)
    network = cast(nn.Module, loaded)
    if not isinstance(network, CausalLM):
        raise ConfigError(
            f"decoder.lm {folder}: a network of kind {saved.network.kind}; give one of kind causal_lm"
        )
    theirs = load_units(folder / "units").tokens.symbols[: network.vocab_size]
    ours = units.tokens.symbols[: units.tokens.vocab_size - len(units.targets.symbols)]
    if theirs != ours[: len(theirs)] or not {*ours[len(theirs) :]} <= {MARK}:
        first = next((i for i, (a, b) in enumerate(zip(theirs, ours, strict=False)) if a != b), None)
        where = (
            "" if first is None else f", the first other one {first}: {theirs[first]!r} and {ours[first]!r}"
        )
        raise ConfigError(
            f"decoder.lm {folder}: has other tokens than the recognizer ({len(theirs)} and {len(ours)}{where}); "
            "train it with the --units of the recognizer"
        )
    return network
