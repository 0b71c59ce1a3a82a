"""Durations drawn by context: from the narrowest one with enough examples, with their frequencies."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from stxlib.models.empirical_durations import EmpiricalDurations
from stxlib.ops.align import min_ctc_frames
from stxlib.ops.segments import Segments, with_boundary

# units, and for each position, the one before the first unit included, its label and blank frames
Utterance = tuple[list[int], list[tuple[int, int]]]
TRAIN: list[Utterance] = [
    *[([2, 3, 4], [(0, 5), (1, 1), (2, 0), (3, 4)])] * 3,
    ([2, 3, 4], [(0, 9), (1, 1), (6, 2), (3, 4)]),
    *[([5, 3, 6], [(0, 2), (1, 0), (1, 7), (1, 0)])] * 2,
    ([6, 3, 6], [(0, 0), (1, 0), (1, 9), (1, 0)]),
]


def segments_of(utterances: list[Utterance]) -> Segments:
    length = max(len(units) for units, _ in utterances)
    units = torch.tensor([units + [0] * (length - len(units)) for units, _ in utterances])
    positions, lens = with_boundary(units, torch.tensor([len(units) for units, _ in utterances]))
    frames = torch.tensor([list(frames) + [(0, 0)] * (length + 1 - len(frames)) for _, frames in utterances])
    return Segments(positions, lens, frames[:, :, 0], frames[:, :, 1])


@pytest.fixture
def durations() -> EmpiricalDurations:
    durations = EmpiricalDurations(num_units=9, min_examples=3)
    durations.fit([segments_of(TRAIN[:3]), segments_of(TRAIN[3:])])
    return durations


def drawn(durations: EmpiricalDurations, units: list[int], position: int) -> Counter[tuple[int, int]]:
    """Pairs that 400 seeds give a position of an utterance."""
    rows = torch.tensor([units]).expand(400, -1)
    segments = durations.draw(rows, torch.full((400,), len(units)), torch.arange(400))
    pairs = torch.stack([segments.label_frames, segments.blank_frames], 2)[:, position]
    return Counter(map(tuple, pairs.tolist()))


def test_a_context_with_enough_examples_is_drawn_with_its_frequencies(durations: EmpiricalDurations) -> None:
    found = drawn(durations, [2, 3, 4], 2)
    assert set(found) == {(2, 0), (6, 2)}
    assert 60 <= found[6, 2] <= 140  # a quarter of 400


def test_too_few_examples_back_off(durations: EmpiricalDurations) -> None:
    # (5, 3, 6) and (5, 3) were seen twice; (3, 6) three times, twice with 7 blanks.
    found = drawn(durations, [5, 3, 6], 2)
    assert set(found) == {(1, 7), (1, 9)} and found[1, 7] > found[1, 9]
    # (2, 3, 8) never, (2, 3) four times: the left unit comes before the right one.
    assert set(drawn(durations, [2, 3, 8], 2)) == {(2, 0), (6, 2)}
    # (8, 3, 8): the unit alone.
    assert set(drawn(durations, [8, 3, 8], 2)) == {(2, 0), (6, 2), (1, 7), (1, 9)}


def test_a_unit_never_seen_takes_those_of_all_and_is_told(durations: EmpiricalDurations) -> None:
    assert durations.unseen() == [1, 7, 8]
    assert set(drawn(durations, [8], 1)) == {pair for _, frames in TRAIN for pair in frames[1:]}


def test_frames_before_the_first_unit_are_real_ones(durations: EmpiricalDurations) -> None:
    assert set(drawn(durations, [2, 3, 4], 0)) == {(0, 5), (0, 9)}
    assert set(drawn(durations, [8], 0)) == {(0, 5), (0, 9), (0, 2), (0, 0)}


def test_means_are_rounded(durations: EmpiricalDurations) -> None:
    segments = durations.mean(torch.tensor([[2, 3, 4]]), torch.tensor([3]))
    assert segments.label_frames.tolist() == [[0, 1, 3, 3]]
    assert segments.blank_frames.tolist() == [[6, 1, 0, 4]]  # 5.5 and 0.5, to the even number


def test_a_ctc_can_write_equal_neighbours(durations: EmpiricalDurations) -> None:
    units, lens = torch.tensor([[2, 2, 2, 2], [3, 3, 0, 0]]), torch.tensor([4, 2])
    for segments in (durations.draw(units, lens, torch.tensor([1, 2])), durations.mean(units, lens)):
        assert bool((segments.blank_frames[0, 1:4] >= 1).all())
        assert bool((segments.frame_lens >= min_ctc_frames(units, lens)).all())


def test_a_batch_is_one_by_one_and_padding_is_not_read(durations: EmpiricalDurations) -> None:
    units, lens = torch.tensor([[2, 3, 4, 2], [5, 3, 7, 8], [0, 0, 0, 0]]), torch.tensor([4, 2, 0])
    seeds = torch.tensor([3, 4, 5])
    batch = durations.draw(units, lens, seeds)
    for row, length in enumerate(lens.tolist()):
        alone = durations.draw(units[row : row + 1, :length], lens[row : row + 1], seeds[row : row + 1])
        assert torch.equal(batch.label_frames[row, : length + 1], alone.label_frames[0])
        assert torch.equal(batch.blank_frames[row, : length + 1], alone.blank_frames[0])
        assert not bool(
            batch.label_frames[row, length + 1 :].any() or batch.blank_frames[row, length + 1 :].any()
        )


def test_saved_and_loaded(durations: EmpiricalDurations) -> None:
    loaded = EmpiricalDurations(num_units=9, min_examples=3)
    units, lens, seeds = torch.tensor([[2, 3, 4]]), torch.tensor([3]), torch.tensor([7])
    loaded.fit([segments_of(TRAIN[4:])])
    before = loaded.mean(units, lens)
    loaded.load_state_dict(durations.state_dict())
    assert not torch.equal(loaded.mean(units, lens).blank_frames, before.blank_frames)
    assert torch.equal(
        loaded.draw(units, lens, seeds).label_frames, durations.draw(units, lens, seeds).label_frames
    )
    swapped = EmpiricalDurations(num_units=9)
    swapped.fit([segments_of(TRAIN[3:]), segments_of(TRAIN[:3])])
    assert torch.equal(swapped.table, durations.table)
