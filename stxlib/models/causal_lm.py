"""A language model of tokens: a small causal Transformer, for decoding to ask how likely a sentence is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stxlib.errors import ConfigError
from stxlib.nn.causal_transformer import CausalTransformer, PastState
from stxlib.nn.conformer import check_sizes
from stxlib.ops.masks import length_mask


@dataclass(frozen=True, kw_only=True)
class CausalLMConfig:
    kind: Literal["causal_lm"] = "causal_lm"
    """probability of each token of a text, given the tokens before it"""
    num_layers: int = 2
    """layers"""
    dim: int = 192
    """width of the tokens"""
    num_heads: int = 4
    """attention heads; divides dim into heads of even width"""
    ff_dim: int = 576
    """width inside the feed-forward modules"""
    dropout: float = 0.1
    """dropout of what each module adds (0 or more, below 1)"""

    def __post_init__(self) -> None:
        check_sizes("network", self.num_layers, self.dim, self.num_heads, self.ff_dim, self.dropout)
        if self.dim % (2 * self.num_heads):
            raise ConfigError(
                f"network.dim: {self.dim} is not a multiple of 2 * num_heads = {2 * self.num_heads}; change one"
            )


class CausalLM(nn.Module):
    """p(token | tokens before) over `vocab_size` tokens, for sequences that begin with <sos> and end with <eos>.

    One matrix embeds what is read and scores what is next (Press and Wolf 2017, arXiv 1608.05859): half the parameters, and a token
    that is rarely predicted still learns from being read.
    """

    def __init__(self, config: CausalLMConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        self.embedding = nn.Embedding(vocab_size, config.dim)
        # So small, all tokens are about equally likely at first, the one that was read not more than others.
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.transformer = CausalTransformer(
            config.num_layers, config.dim, config.num_heads, config.ff_dim, config.dropout
        )

    def forward(self, tokens_in: Tensor, token_in_lens: Tensor) -> Tensor:
        """tokens_in: (B, U) beginning with <sos>; token_in_lens: (B,). Returns logits of the next token (B, U, V), zero past the lengths."""
        padding = ~length_mask(token_in_lens, tokens_in.shape[1])
        logits = self._logits(self.transformer(self._embed(tokens_in.masked_fill(padding, 0))))
        return logits.masked_fill(padding[:, :, None], 0.0)

    def start(self, num_rows: int) -> PastState:
        """The state of so many hypotheses before any token."""
        return self.transformer.start(self.embedding.weight.new_empty(num_rows))

    def step(self, state: PastState, last_tokens: Tensor) -> tuple[Tensor, PastState]:
        """last_tokens: (R,), <sos> at first. Returns log probabilities of the next token (R, V) float32, and the state after it."""
        y, state = self.transformer.step(state, self._embed(last_tokens))
        return F.log_softmax(self._logits(y).float(), dim=1), state

    def _embed(self, tokens: Tensor) -> Tensor:
        vectors: Tensor = self.embedding(tokens)
        return vectors

    def _logits(self, y: Tensor) -> Tensor:
        return F.linear(y, self.embedding.weight, self.bias)
