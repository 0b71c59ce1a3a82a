"""Where a long recording is cut: at clear pauses, else at its quietest places."""

from __future__ import annotations

import torch
from torch import Tensor

_FRAME_SECONDS = 0.01
# 0.3 s: longer than the closure of a stop consonant, shorter than a pause between sentences.
_WINDOW_FRAMES = 31
_LEAST_SECONDS = 0.5  # no piece is shorter: a network can do nothing with the crumbs
_CLEAR_SECONDS = 2.0  # so much of a piece comes before a clear pause may end it
_CLEAR = 0.01  # a pause is clear where the energy is 20 dB below the mean of what could be in the piece


def cut_at_pauses(wave: Tensor, sample_rate: int, max_seconds: float) -> list[tuple[int, int]]:
    """Cut a wave into pieces of at most max_seconds that together are the whole wave; a shorter wave is one piece.

    A piece ends at the first clear pause (0.3 s or more) after its first 2 s, as networks are trained on utterances. Where there is
    none in max_seconds, the cut is put where the energy, averaged over 0.3 s, is least between half of max_seconds and max_seconds
    (a pause that lies across the first of these places counts whole); of equally quiet places (digital silence) the last one. Nothing
    is thrown away as silence.

    wave: (N,) samples. max_seconds: at least 2. Returns (start, end) in samples; nothing for an empty wave.
    """
    assert max_seconds >= 2, max_seconds
    frame = round(_FRAME_SECONDS * sample_rate)
    max_samples, least = int(max_seconds * sample_rate), int(_LEAST_SECONDS * sample_rate)
    earliest = min(int(_CLEAR_SECONDS * sample_rate), max_samples // 2)
    if len(wave) <= max_samples:
        return [(0, len(wave))] if len(wave) else []
    energies = _smooth(wave, frame)
    pieces: list[tuple[int, int]] = []
    start = 0
    while True:
        last = min(start + max_samples, len(wave) - least) // frame
        cut = _clear_pause(energies, start // frame, (start + earliest) // frame, last)
        if cut is None and len(wave) - start <= max_samples:
            return [*pieces, (start, len(wave))]
        if cut is None:
            cut = _quietest(energies, (start + max_samples // 2) // frame, last, (start + least) // frame)
        pieces.append((start, cut * frame))
        start = cut * frame


def _clear_pause(energies: Tensor, start: int, first: int, last: int) -> int | None:
    """The middle of the first clear pause from `first` to `last`, in a piece that begins at `start`.

    None where there is none, and where nothing comes after it: a piece of silence is no use.
    """
    if first > last:
        return None
    quiet = energies[first:] < _CLEAR * energies[start : last + 1].mean()
    begin = int(quiet.int().argmax())
    ends = (~quiet[begin:]).nonzero()
    if not quiet[begin] or first + begin > last or not len(ends):
        return None
    return min(first + begin + int(ends[0]) // 2, last)


def _quietest(energies: Tensor, first: int, last: int, least: int) -> int:
    """The quietest place from `first` to `last`, or before `first`, down to `least`, where a pause lies across it."""
    candidates = energies[first : last + 1]
    place = first + int((candidates == candidates.min()).nonzero()[-1])
    if place == first:
        # A pause that began before the first place allowed: its middle is safer than its end.
        while place > least and energies[place - 1] < energies[place]:
            place -= 1
    return place


def _smooth(wave: Tensor, frame: int) -> Tensor:
    """Mean energy around the beginning of each frame, (frames + 1,): over 0.3 s, at the ends over what there is."""
    num_frames = len(wave) // frame
    energies = wave[: num_frames * frame].double().view(num_frames, frame).square().mean(1)
    sums = torch.cat((energies.new_zeros(1), energies.cumsum(0)))
    middles = torch.arange(num_frames + 1)
    before = (middles - _WINDOW_FRAMES // 2).clamp(min=0)
    after = (middles + _WINDOW_FRAMES // 2).clamp(max=num_frames)
    # Rounded: differences of sums would make two silences unequal by chance.
    return ((sums[after] - sums[before]) / (after - before).clamp(min=1)).mul(1e12).round()
