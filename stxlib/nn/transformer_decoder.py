"""The decoder of tokens: a pre-norm Transformer with cross-attention, whole sequences in training and step by step in decoding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stxlib.errors import ConfigError
from stxlib.nn.attention import CausalAttention, CrossAttention, KeyValue, attention_mask
from stxlib.nn.conformer import FeedForward, check_sizes
from stxlib.nn.dropout import Residual


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    num_layers: int = 2
    """layers"""
    dim: int = 144
    """width of the tokens; even"""
    num_heads: int = 4
    """attention heads; divides dim"""
    ff_dim: int = 432
    """width inside the feed-forward modules"""
    dropout: float = 0.1
    """dropout of what each module adds (0 or more, below 1)"""

    def __post_init__(self) -> None:
        check_sizes("decoder", self.num_layers, self.dim, self.num_heads, self.ff_dim, self.dropout)
        if self.dim % self.num_heads or self.dim % 2:
            raise ConfigError(
                f"decoder.dim: {self.dim} is not an even multiple of num_heads = {self.num_heads}; change one"
            )


@dataclass(frozen=True)
class DecoderState:
    """What a step needs from the steps before it. Rows (R) are hypotheses; those of an utterance are neighbours, equally many for each.

    A state is never changed: `step` and `select` make new ones.
    """

    past: tuple[KeyValue, ...]  # per layer, (R, H, U, d): tokens so far
    memory: tuple[KeyValue, ...]  # per layer, (B, H, T, d): encoded frames, once per utterance
    mask: Tensor  # (B, 1, 1, T) bool: the frames that are there
    utterance: Tensor  # (R,) int64: which row of memory a hypothesis looks at
    num_padded: (
        Tensor | None
    )  # (R,) int64: tokens at the beginning that are padding and are not seen; None: of no row any

    @property
    def num_tokens(self) -> int:
        """Tokens read so far, <sos> and padding among them."""
        return self.past[0][0].shape[2]

    def select(self, indices: Tensor) -> DecoderState:
        """The state of rows `indices` (R',), in this order.

        A row may be taken many times: `arange(B).repeat_interleave(K)` turns B rows of `start` into B * K. Utterances may be dropped.
        """
        past = tuple((k[indices], v[indices]) for k, v in self.past)
        num_padded = None if self.num_padded is None else self.num_padded[indices]
        # Within one utterance a beam is reordered at each step; the frames then stay as they are.
        kept, utterance, counts = torch.unique_consecutive(
            self.utterance[indices], return_inverse=True, return_counts=True
        )
        assert (counts == counts[:1]).all(), f"hypotheses per utterance differ: {counts.tolist()}"
        if len(kept) == len(self.mask):
            assert (kept[1:] > kept[:-1]).all(), "utterances were reordered"
            return replace(self, past=past, utterance=utterance, num_padded=num_padded)
        memory = tuple((k[kept], v[kept]) for k, v in self.memory)
        return DecoderState(past, memory, self.mask[kept], utterance, num_padded)


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention, feed-forward; each behind its LayerNorm and added."""

    def __init__(self, config: DecoderConfig, memory_dim: int) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(config.dim)
        self.self_attention = CausalAttention(config.dim, config.num_heads)
        self.cross_norm = nn.LayerNorm(config.dim)
        self.cross_attention = CrossAttention(config.dim, memory_dim, config.num_heads)
        self.ff = FeedForward(config.dim, config.ff_dim)
        self.add = Residual(config.dropout)

    def forward(self, x: Tensor, memory: KeyValue, mask: Tensor, seen: Tensor | None) -> Tensor:
        """x: (B, U, D); seen: (B, U, U), as for `CausalAttention`."""
        x = self.add(x, self.self_attention(self.self_norm(x), seen))
        x = self.add(x, self.cross_attention(self.cross_norm(x), memory, mask))
        return self.add(x, self.ff(x))

    def step(
        self, x: Tensor, past: KeyValue, memory: KeyValue, mask: Tensor, past_mask: Tensor | None
    ) -> tuple[Tensor, KeyValue]:
        """x: (R, D), one position of each hypothesis; memory: (B, H, T, d) with R a multiple of B; past_mask: (R, 1, 1, U + 1)."""
        y, past = self.self_attention.step(self.self_norm(x)[:, None], past, past_mask)
        x = x + y[:, 0]
        # The hypotheses of an utterance are the queries of one attention: its frames are read once, not once for each.
        grouped = self.cross_norm(x).unflatten(0, (len(mask), -1))  # (B, K, D)
        x = x + self.cross_attention(grouped, memory, mask).flatten(0, 1)
        return x + self.ff(x), past

    def attention_weights(self, x: Tensor, memory: KeyValue, mask: Tensor) -> Tensor:
        """Cross-attention weights of what `forward` gets: (B, U, T)."""
        x = x + self.self_attention(self.self_norm(x))
        return self.cross_attention.weights(self.cross_norm(x), memory, mask)


class TransformerDecoder(nn.Module):
    """Logits of the next token, given the tokens before and the encoded frames. Sinusoidal positions, so no longest sequence."""

    def __init__(self, config: DecoderConfig, memory_dim: int, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.dim)
        nn.init.normal_(self.embedding.weight, std=config.dim**-0.5)
        self.layers = nn.ModuleList(DecoderLayer(config, memory_dim) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.dim)
        self.out = nn.Linear(config.dim, vocab_size)

    def forward(
        self,
        encoded: Tensor,
        encoded_lens: Tensor,
        tokens_in: Tensor,
        positions: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> Tensor:
        """encoded: (B, T, memory_dim), zero past encoded_lens; tokens_in: (B, U) beginning with <sos>. Returns logits (B, U, V).

        positions (B, U) and seen (B, U, U): of tokens that are not one sequence, and which tokens (last) each sees.
        """
        mask = attention_mask(encoded_lens, encoded.shape[1])
        if positions is None:
            positions = torch.arange(tokens_in.shape[1], device=tokens_in.device)
        x = self._embed(tokens_in, positions)
        for layer in self._stack():
            x = layer(x, layer.cross_attention.memory(encoded), mask, seen)
        logits: Tensor = self.out(self.norm(x))
        return logits

    def start(self, encoded: Tensor, encoded_lens: Tensor, num_padded: Tensor | None = None) -> DecoderState:
        """The state before any token, one row per utterance. num_padded: (B,), so many of the first tokens of each row will be padding."""
        return DecoderState(
            past=tuple(layer.self_attention.no_past(encoded) for layer in self._stack()),
            memory=tuple(layer.cross_attention.memory(encoded) for layer in self._stack()),
            mask=attention_mask(encoded_lens, encoded.shape[1]),
            utterance=torch.arange(len(encoded), device=encoded.device),
            num_padded=num_padded if num_padded is not None and bool((num_padded > 0).any()) else None,
        )

    def step(self, state: DecoderState, last_tokens: Tensor) -> tuple[Tensor, DecoderState]:
        """last_tokens: (R,), <sos> at first. Returns log-probabilities of the next token (R, V) float32, and the state after it."""
        past_mask, position = None, torch.tensor([state.num_tokens], device=last_tokens.device)
        if state.num_padded is not None:
            position = (position - state.num_padded).clamp(min=0)
            # A token always sees itself: padding would otherwise see nothing, which is nan.
            places = torch.arange(state.num_tokens + 1, device=last_tokens.device)
            seen = (places >= state.num_padded[:, None]) | (places == state.num_tokens)
            past_mask = seen[:, None, None]
        x = self._embed(last_tokens, position)
        past = []
        for layer, layer_past, memory in zip(self._stack(), state.past, state.memory, strict=True):
            x, layer_past = layer.step(x, layer_past, memory, state.mask, past_mask)
            past.append(layer_past)
        return F.log_softmax(self.out(self.norm(x)).float(), dim=1), replace(state, past=tuple(past))

    def attention_weights(self, encoded: Tensor, encoded_lens: Tensor, tokens_in: Tensor) -> Tensor:
        """Cross-attention of the last layer, averaged over its heads: (B, U, T). For pictures."""
        mask = attention_mask(encoded_lens, encoded.shape[1])
        x = self._embed(tokens_in, torch.arange(tokens_in.shape[1], device=tokens_in.device))
        *lower, last = self._stack()
        for layer in lower:
            x = layer(x, layer.cross_attention.memory(encoded), mask, None)
        return last.attention_weights(x, last.cross_attention.memory(encoded), mask)

    def _stack(self) -> list[DecoderLayer]:
        return cast("list[DecoderLayer]", list(self.layers))

    def _embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """tokens: (..., P); positions: as many, or (P,), or (1,)."""
        dim = self.embedding.embedding_dim
        rates = 10000.0 ** (-torch.arange(0, dim, 2, device=tokens.device) / dim)
        angles = positions[..., None] * rates
        return self.embedding(tokens) * dim**0.5 + torch.cat([angles.sin(), angles.cos()], dim=-1)
