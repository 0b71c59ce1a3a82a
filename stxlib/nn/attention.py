"""Multi-head attention in its three uses: over all frames, over the past tokens, from tokens to frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stxlib.nn.rotary import rotate

KeyValue = tuple[Tensor, Tensor]
"""Keys and values of one layer, (B, H, T, d) each."""


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, is_causal: bool = False) -> Tensor:
    """Scaled dot-product attention: q (B, H, U, d), k and v (B, H, T, d) -> (B, H, U, d).

    On a CPU it is computed in float32 under autocast, too: forward and backward of torch's bfloat16 kernel take 2.5 to 3 times as long there
    (18.6 against 6.9 ms for 16 x 4 x 63 x 36, best of 15; torch 2.11, a Xeon with AMX).
    """
    if q.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return F.scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal)
    with torch.autocast("cpu", enabled=False):
        q, k, v = q.float(), k.float(), v.float()
        return F.scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal)


def attention_mask(lens: Tensor, max_len: int) -> Tensor:
    """Which keys may be seen: (B, 1, 1, max_len) bool.

    The first key may always be: a row without any would be nan, and where an utterance has no frame nothing reads its row.
    """
    return (torch.arange(max_len, device=lens.device) < lens.clamp(min=1)[:, None])[:, None, None]


class RotaryAttention(nn.Module):
    """Self-attention over all valid frames with rotary positions."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, rotation: Tensor, mask: Tensor) -> Tensor:
        """x: (B, T, D); rotation: `rotations` of T; mask: `attention_mask` of the lengths."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).unbind(2)  # (B, T, H, d) each
        q, k = rotate(q, rotation), rotate(k, rotation)
        x = attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), mask)
        return self.out(x.transpose(1, 2).flatten(2))


class CausalAttention(nn.Module):
    """Self-attention of each token over itself and the tokens before it."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """x: (B, U, D); seen: (B, U, U) bool, the tokens (last) that each sees, where that is not itself and all before it."""
        q, k, v = self._split(x)
        if seen is None:
            return self._merge(attend(q, k, v, is_causal=True))
        return self._merge(attend(q, k, v, seen[:, None]))

    def step(self, x: Tensor, past: KeyValue, mask: Tensor | None = None) -> tuple[Tensor, KeyValue]:
        """The next position only. x: (B, 1, D); past: keys and values of the positions before, (B, H, U, d); mask: (B, 1, 1, U + 1) bool, those
        of them and of this one that may be seen.
        """
        q, k, v = self._split(x)
        k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        return self._merge(attend(q, k, v, mask)), (k, v)

    def no_past(self, x: Tensor) -> KeyValue:
        """Keys and values of nothing, on the device and in the type of x (B, ...)."""
        dim = self.out.in_features
        empty = x.new_zeros(x.shape[0], self.num_heads, 0, dim // self.num_heads)
        return empty, empty

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v  # (B, H, U, d) each

    def _merge(self, x: Tensor) -> Tensor:
        merged: Tensor = self.out(x.transpose(1, 2).flatten(2))
        return merged


class CrossAttention(nn.Module):
    """Attention from tokens to encoded frames, whose keys and values are computed once."""

    def __init__(self, dim: int, memory_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim, bias=False)
        self.key_value = nn.Linear(memory_dim, 2 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def memory(self, encoded: Tensor) -> KeyValue:
        """Keys and values of (B, T, memory_dim)."""
        k, v = self.key_value(encoded).unflatten(2, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return k, v  # (B, H, T, d) each

    def forward(self, x: Tensor, memory: KeyValue, mask: Tensor) -> Tensor:
        """x: (B, U, D); memory: of the same B; mask: `attention_mask` of the frames."""
        x = attend(self._heads(x), *memory, mask)
        return self.out(x.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, memory: KeyValue, mask: Tensor) -> Tensor:
        """What `forward` weighs the frames by, averaged over heads: (B, U, T), rows sum to 1. For pictures."""
        q = self._heads(x)
        scores = q @ memory[0].transpose(2, 3) * q.shape[3] ** -0.5
        return scores.masked_fill(~mask, -torch.inf).softmax(3).mean(1)

    def _heads(self, x: Tensor) -> Tensor:
        return self.query(x).unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (B, H, U, d)
