"""A pre-norm Transformer over the past: each token sees itself and those before it, with rotary positions; whole sequences or step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from stxlib.nn.attention import KeyValue, attend
from stxlib.nn.conformer import FeedForward
from stxlib.nn.dropout import Residual
from stxlib.nn.rotary import rotate, rotations


@dataclass(frozen=True)
class PastState:
    """What a step needs from the steps before it, for R rows. It is never changed: `step` and `select` make new ones."""

    past: tuple[KeyValue, ...]  # per layer, (R, H, U, d); keys are turned by their positions

    @property
    def num_tokens(self) -> int:
        """Tokens read so far."""
        return self.past[0][0].shape[2]

    def select(self, rows: Tensor) -> PastState:
        """The state of `rows` (R',), in this order; a row may be taken many times or left out."""
        return PastState(tuple((k[rows], v[rows]) for k, v in self.past))


class RotaryCausalAttention(nn.Module):
    """Multi-head self-attention of each token over itself and the tokens before it, with rotary positions."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, rotation: Tensor, past: KeyValue | None = None) -> tuple[Tensor, KeyValue]:
        """x: (B, U, D); rotation: of its positions; past: keys and values (B, H, U', d) of the tokens before x, which then is one token (U = 1).

        Returns (B, U, D), and the keys and values of all tokens.
        """
        q, k, v = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).unbind(2)  # (B, U, H, d) each
        q, k = rotate(q, rotation), rotate(k, rotation)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, H, U, d) each
        if past is not None:
            assert x.shape[1] == 1, x.shape
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        y = attend(q, k, v, is_causal=past is None)
        return self.out(y.transpose(1, 2).flatten(2)), (k, v)


class CausalLayer(nn.Module):
    """Self-attention over the past and feed-forward, each behind its LayerNorm and added."""

    def __init__(self, dim: int, num_heads: int, ff_dim: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = RotaryCausalAttention(dim, num_heads)
        self.ff = FeedForward(dim, ff_dim)
        self.add = Residual(dropout)

    def forward(self, x: Tensor, rotation: Tensor, past: KeyValue | None = None) -> tuple[Tensor, KeyValue]:
        """As `RotaryCausalAttention`."""
        y, past = self.attention(self.norm(x), rotation, past)
        x = self.add(x, y)
        return self.add(x, self.ff(x)), past


class CausalTransformer(nn.Module):
    """Layers, and a LayerNorm at the end. Padding after a sequence changes nothing in it: nobody looks ahead."""

    def __init__(self, num_layers: int, dim: int, num_heads: int, ff_dim: int, dropout: float) -> None:
        """dim: a multiple of 2 * num_heads."""
        super().__init__()
        self.head_dim = dim // num_heads
        self.num_heads = num_heads
        self.layers = nn.ModuleList(CausalLayer(dim, num_heads, ff_dim, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, U, D) -> (B, U, D)."""
        rotation = rotations(x.shape[1], self.head_dim, x.device)
        for layer in self._stack():
            x, _ = layer(x, rotation)
        y: Tensor = self.norm(x)
        return y

    def start(self, x: Tensor) -> PastState:
        """The state before any token; x gives number of rows (R, ...), device and type."""
        empty = x.new_zeros(len(x), self.num_heads, 0, self.head_dim)
        return PastState(tuple((empty, empty) for _ in self.layers))

    def step(self, state: PastState, x: Tensor) -> tuple[Tensor, PastState]:
        """x: (R, D), the next token of each row. Returns what `forward` gives at its place (R, D), and the state after it."""
        rotation = rotations(state.num_tokens + 1, self.head_dim, x.device)[-1:]
        x = x[:, None]  # (R, 1, D)
        past = []
        for layer, before in zip(self._stack(), state.past, strict=True):
            x, after = layer(x, rotation, before)
            past.append(after)
        return self.norm(x)[:, 0], PastState(tuple(past))

    def _stack(self) -> list[CausalLayer]:
        return cast("list[CausalLayer]", list(self.layers))
