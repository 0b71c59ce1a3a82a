"""Durations on CTC paths: every frame is counted once, and laid out again gives the path."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stxlib.ops.align import forced_align
from stxlib.ops.segments import BOUNDARY, Segments, expand, neighbours, segments_of_paths, with_boundary


def test_a_path_by_hand() -> None:
    paths = torch.tensor([[0, 4, 4, 0, 4, 2, 0, 0], [3, 0, 9, 9, 0, 9, 9, 9]])
    segments = segments_of_paths(
        paths, torch.tensor([8, 2]), torch.tensor([[4, 4, 2], [3, 9, 9]]), torch.tensor([3, 1])
    )
    assert segments.units.tolist() == [[BOUNDARY, 4, 4, 2], [BOUNDARY, 3, 0, 0]]
    assert segments.lens.tolist() == [4, 2]
    assert segments.label_frames.tolist() == [[0, 2, 1, 1], [0, 1, 0, 0]]
    assert segments.blank_frames.tolist() == [[1, 1, 0, 2], [0, 1, 0, 0]]
    assert segments.frame_lens.tolist() == [8, 2]
    left, right = neighbours(segments)
    assert left.tolist() == [[0, 0, 4, 4], [0, 0, 3, 0]]
    assert right.tolist() == [[4, 4, 2, 0], [3, 0, 0, 0]]


def aligned(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Paths of random log-probabilities, with an utterance without units and one without a frame to spare."""
    generator = torch.Generator().manual_seed(seed)
    lens, unit_lens = torch.tensor([20, 7, 3, 5]), torch.tensor([6, 3, 0, 5])
    units = torch.randint(1, 4, (4, 6), generator=generator)
    units[3, :5] = torch.tensor([1, 2, 3, 1, 2])
    log_probs = torch.randn(4, 20, 4, generator=generator).mul(3).log_softmax(-1)
    paths, _ = forced_align(log_probs, lens, units, unit_lens)
    return paths, lens, units, unit_lens


@pytest.mark.parametrize("seed", range(10))
def test_segments_laid_out_are_the_path(seed: int) -> None:
    paths, lens, units, unit_lens = aligned(seed)
    segments = segments_of_paths(paths, lens, units, unit_lens)
    position, is_blank, frame_lens = expand(segments)
    assert torch.equal(frame_lens, lens)
    again = segments.units.gather(1, position).masked_fill(is_blank, 0)
    assert torch.equal(again, paths)
    assert not bool(is_blank[1, 7:].any()) and not bool(position[1, 7:].any())
    inside = torch.arange(segments.units.shape[1])[None] < segments.lens[:, None]
    assert bool((segments.label_frames[:, 1:] >= 1).eq(inside[:, 1:]).all())
    assert not bool(segments.label_frames[:, 0].any())


def test_garbage_in_the_padding_changes_nothing() -> None:
    paths, lens, units, unit_lens = aligned(0)
    before = segments_of_paths(paths, lens, units, unit_lens)
    for row in range(4):
        paths[row, lens[row] :] = 3
        units[row, unit_lens[row] :] = 2
    after = segments_of_paths(paths, lens, units, unit_lens)
    assert all(
        torch.equal(getattr(before, name), getattr(after, name)) for name in Segments.__dataclass_fields__
    )


def test_other_units_than_the_path_spells_are_noticed() -> None:
    paths, lens, units, unit_lens = aligned(1)
    other = units.clone()
    other[0, 0] = units[0, 0] % 3 + 1
    with pytest.raises(AssertionError, match="spells other units"):
        segments_of_paths(paths, lens, other, unit_lens)
    with pytest.raises(AssertionError, match="another number of labels"):
        segments_of_paths(paths, lens, units, unit_lens - torch.tensor([1, 0, 0, 0]))


def test_no_utterance_and_no_unit() -> None:
    units, lens = with_boundary(torch.zeros(0, 0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    empty = Segments(units, lens, torch.zeros_like(units), torch.zeros_like(units))
    position, _, frame_lens = expand(empty)
    assert position.shape == (0, 0) and frame_lens.shape == (0,)
