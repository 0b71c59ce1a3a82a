"""Where a long recording may be cut: at its quietest places."""

from __future__ import annotations

import torch
from torch import Tensor

_FRAME_SECONDS = 0.01
_WINDOW_FRAMES = (
    31  # 0.3 s: longer than the closure of a stop consonant, shorter than a pause between sentences
)
_LEAST_SECONDS = 0.5  # no piece is shorter: a network can do nothing with the crumbs


def cut_at_pauses(wave: Tensor, sample_rate: int, max_seconds: float) -> list[tuple[int, int]]:
    """Cut a wave into pieces of at most max_seconds that together are the whole wave; a shorter wave is one piece.

    From the start of a piece on, the cut is put where the energy, averaged over 0.3 s, is least between half of
    max_seconds and max_seconds (a pause that lies across the first of these places counts whole); of equally quiet places
    (digital silence) the last one. Nothing is thrown away as silence.

    wave: (N,) samples. max_seconds: at least 2. Returns (start, end) in samples; nothing for an empty wave.
    """
    assert max_seconds >= 2, max_seconds
    frame = round(_FRAME_SECONDS * sample_rate)
    max_samples, least = int(max_seconds * sample_rate), int(_LEAST_SECONDS * sample_rate)
    energies = _smooth(wave, frame)
    pieces = []
    start = 0
    while len(wave) - start > max_samples:
        first = (start + max_samples // 2) // frame
        last = min(start + max_samples, len(wave) - least) // frame
        candidates = energies[first : last + 1]
        quietest = int((candidates == candidates.min()).nonzero()[-1])
        quietest += first
        while (
            quietest <= first
            and energies[quietest - 1] < energies[quietest]
            and quietest * frame > start + least
        ):
            quietest -= (
                1  # a pause that began before the first place allowed: its middle is safer than its end
            )
        end = quietest * frame
        pieces.append((start, end))
        start = end
    return [*pieces, (start, len(wave))] if len(wave) else []


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
