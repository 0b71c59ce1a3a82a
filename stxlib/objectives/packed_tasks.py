"""Several targets of one utterance in one pass of the decoder: the words are read once, and each other target as if it alone came after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from stxlib.ops.masks import length_mask
from stxlib.text.target_vocabulary import Task


@dataclass(frozen=True)
class Packed:
    """Sequences side by side. Columns of one sequence are neighbours; padding lies between them."""

    tokens: Tensor  # (B, U) int64, 0 in padding
    positions: Tensor  # (B, U) int64: as if a sequence followed the first one without padding
    seen: Tensor  # (B, U, U) bool: which tokens (last) a token sees
    columns: dict[Task, slice]


def pack(sequences: Mapping[Task, tuple[Tensor, Tensor]], first: Task) -> Packed:
    """sequences: task -> tokens (B, W) and their lengths (B,). Each sees the whole of `first` before it, and none of the others."""
    names = [first, *(name for name in sequences if name != first)]
    first_lens = sequences[first][1]
    tokens, positions, there, block = [], [], [], []
    columns: dict[Task, slice] = {}
    start = 0
    for number, name in enumerate(names):
        ids, lens = sequences[name]
        width = ids.shape[1]
        valid = length_mask(lens, width)
        place = torch.arange(width, device=ids.device).expand_as(ids)
        tokens.append(ids.masked_fill(~valid, 0))
        positions.append(place if name == first else place + first_lens[:, None])
        there.append(valid)
        block.append(torch.full((width,), number, device=ids.device))
        columns[name] = slice(start, start + width)
        start += width
    own = torch.cat(block)  # (U,)
    order = torch.arange(start, device=own.device)
    follows = (own[:, None] == own) & (order[:, None] >= order)
    may_see = follows | ((own == 0) & (own[:, None] > 0))  # (U, U)
    # A token always sees itself: padding would otherwise see nothing, which is nan.
    seen = (may_see & torch.cat(there, 1)[:, None]) | (order[:, None] == order)
    return Packed(torch.cat(tokens, 1), torch.cat(positions, 1), seen, columns)
