"""Cutting of long recordings: complete, short enough, in the pauses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stxlib.decode.pauses import cut_at_pauses

RATE = 8000


def noise(*seconds_and_levels: tuple[float, float]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.cat(
        [
            level * torch.randn(round(seconds * RATE), generator=generator)
            for seconds, level in seconds_and_levels
        ]
    )


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.7, 3.0])
def test_a_short_wave_is_left_whole(seconds: float) -> None:
    wave = noise((seconds, 0.1))
    assert cut_at_pauses(wave, RATE, 3.0) == ([(0, len(wave))] if seconds else [])


@pytest.mark.parametrize("silence", [0.0, 1e-4])
def test_cuts_lie_in_pauses(silence: float) -> None:
    wave = noise(
        (2.2, 0.1), (0.4, silence), (2.5, 0.1), (0.4, silence), (1.5, 0.1), (0.4, silence), (2.6, 0.1)
    )
    pieces = cut_at_pauses(wave, RATE, 4.0)
    cuts = [end / RATE for _, end in pieces[:-1]]
    assert len(cuts) == 3
    for cut, (start, end) in zip(cuts, [(2.2, 2.6), (5.1, 5.5), (7.0, 7.4)], strict=True):
        assert start + 0.1 < cut < end - 0.1


def test_a_long_wave_is_cut_at_every_clear_pause() -> None:
    """Networks are trained on utterances: a piece does not go on over a pause because it may."""
    wave = noise(
        (2.5, 0.1), (0.5, 1e-3), (2.2, 0.1), (0.5, 0.0), (1.0, 0.1), (0.5, 0.0), (2.5, 0.1), (1.5, 0.0)
    )
    cuts = [end / RATE for _, end in cut_at_pauses(wave, RATE, 8.0)[:-1]]
    # The third pause comes when its piece is shorter than 2 s, and nothing comes after the last.
    expected = [(2.5, 3.0), (5.2, 5.7)]
    assert len(cuts) == len(expected)
    for cut, (start, end) in zip(cuts, expected, strict=True):
        assert start < cut < end
    assert cut_at_pauses(wave, RATE, 12.5) == [(0, len(wave))]


def test_a_pause_in_noise_is_not_clear() -> None:
    wave = noise((3.0, 0.1), (0.5, 0.03), (7.0, 0.1))
    assert (
        cut_at_pauses(wave, RATE, 10.0)[0][1] >= 5 * RATE
    )  # as without it: between half of max_seconds and max_seconds
    assert cut_at_pauses(wave, RATE, 4.0)[0][1] == pytest.approx(3.25 * RATE, abs=0.1 * RATE)


@pytest.mark.parametrize("seconds", [3.01, 6.0, 20.0, 61.7])
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_pieces_are_the_whole_wave_and_none_is_too_long_or_a_crumb(seconds: float, level: float) -> None:
    wave = noise((seconds, level))
    pieces = cut_at_pauses(wave, RATE, 3.0)
    assert pieces[0][0] == 0 and pieces[-1][1] == len(wave)
    assert all(left[1] == right[0] for left, right in zip(pieces, pieces[1:], strict=False))
    assert all(0.49 * RATE <= end - start <= 3 * RATE for start, end in pieces)
