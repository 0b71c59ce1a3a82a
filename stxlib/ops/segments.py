"""What a CTC path says of durations: how many frames carry each unit, and how many blank frames follow it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stxlib.ops.masks import length_mask

# The id of CTC's blank stands for "no unit": before the first one and after the last.
BOUNDARY = 0


@dataclass(frozen=True)
class Segments:
    """Units with their frames; P = U + 1 positions, the first of which is BOUNDARY with the frames before the first unit as its blank ones."""

    units: Tensor  # (B, P) int64, BOUNDARY at position 0; 0 past lens
    lens: Tensor  # (B,) int64, positions
    label_frames: (
        Tensor  # (B, P) int64, frames that carry the unit: 0 at position 0, at least 1 elsewhere; 0 past lens
    )
    blank_frames: Tensor  # (B, P) int64, blank frames after them; 0 past lens

    @property
    def frame_lens(self) -> Tensor:
        """(B,) frames of each utterance."""
        return (self.label_frames + self.blank_frames).sum(1)

    def to(self, device: torch.device | str) -> Segments:
        """The same with every tensor on `device`."""
        return Segments(
            self.units.to(device),
            self.lens.to(device),
            self.label_frames.to(device),
            self.blank_frames.to(device),
        )


def with_boundary(units: Tensor, unit_lens: Tensor) -> tuple[Tensor, Tensor]:
    """Units (B, U) with BOUNDARY in front and 0 past their lengths (B, U + 1), and the lengths, one greater (B,)."""
    units = units.masked_fill(~length_mask(unit_lens, units.shape[1]), 0)
    return torch.nn.functional.pad(units, (1, 0), value=BOUNDARY), unit_lens + 1


def segments_of_paths(paths: Tensor, path_lens: Tensor, units: Tensor, unit_lens: Tensor) -> Segments:
    """Durations of the units on CTC paths that spell them, such as those of `stxlib.ops.align.forced_align`.

    paths: (B, T) label of each frame, 0 is blank; path_lens: (B,); units: (B, U); unit_lens: (B,). Every frame is counted once:
    label_frames + blank_frames of an utterance add up to path_lens.
    """
    positions, lens = with_boundary(units, unit_lens)  # (B, P)
    valid = length_mask(path_lens, paths.shape[1])
    is_label = valid & (paths != BOUNDARY)
    starts = is_label.clone()
    starts[:, 1:] &= paths[:, 1:] != paths[:, :-1]
    position = starts.long().cumsum(1)  # (B, T)
    assert torch.equal(starts.sum(1), unit_lens), "a path has another number of labels than its units"
    assert bool((~is_label | (positions.gather(1, position) == paths)).all()), "a path spells other units"
    none = torch.zeros_like(positions)
    segments = Segments(
        positions,
        lens,
        none.scatter_add(1, position, is_label.long()),
        none.scatter_add(1, position, (valid & ~is_label).long()),
    )
    assert torch.equal(segments.frame_lens, path_lens), (segments.frame_lens, path_lens)
    return segments


def expand(segments: Segments) -> tuple[Tensor, Tensor, Tensor]:
    """From durations to frames, in order: of each position its label frames, then its blank frames.

    Returns, for each frame, its position in segments.units (B, T) int64 and whether it is blank (B, T) bool, 0 and False past
    frame_lens (B,).
    """
    counts = torch.stack([segments.label_frames, segments.blank_frames], 2).flatten(1)  # (B, 2 P)
    ends = counts.cumsum(1)
    frame_lens = ends[:, -1]
    num_frames = int(frame_lens.max()) if len(frame_lens) else 0
    frames = torch.arange(num_frames, device=ends.device).expand(len(ends), -1).contiguous()
    state = torch.searchsorted(ends, frames, right=True)  # (B, T): 2 x position, + 1 where blank
    state = state.masked_fill(~length_mask(frame_lens, num_frames), 0)
    return state // 2, state % 2 == 1, frame_lens


def neighbours(segments: Segments) -> tuple[Tensor, Tensor]:
    """The unit to the left and to the right of each position, (B, P) each; BOUNDARY at both ends and past lens."""
    units = segments.units.masked_fill(~length_mask(segments.lens, segments.units.shape[1]), BOUNDARY)
    left = torch.nn.functional.pad(units[:, :-1], (1, 0), value=BOUNDARY)
    right = torch.nn.functional.pad(units[:, 1:], (0, 1), value=BOUNDARY)
    return left, right
