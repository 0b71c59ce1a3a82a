"""What a table of units leaves unexplained of latents, as noise: that of real utterances, lent to synthesized ones.

How a sound goes wrong depends on the sound, on the voice and on the room, and is rarely a little and sometimes much. Normally distributed
noise, with whatever correlations, has none of that: a CTC reads the units of latents with it far too well. So a synthesized utterance
borrows the residuals of one real utterance, each stretch of frames from one of the same unit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stxlib.nn.fitted_buffers import FittedBuffers
from stxlib.ops.draws import uniform
from stxlib.ops.masks import length_mask
from stxlib.ops.segments import Segments, expand

# Streams of the random numbers of an utterance, besides those of its durations.
RUNS_STREAM, LENDER_STREAM = 0, 2


class ResidualNoise(FittedBuffers):
    """Residuals of real utterances, in runs: the label frames of a unit, or the blank frames after it (states 2 u and 2 u + 1).

    Each utterance has a lender, drawn at random. A run of n frames takes one of the lender's runs of its state, stretched to n frames; where the
    lender has none, that of any utterance, scaled to what is usual for the lender; where nobody has, a run of any state.
    """

    frames: Tensor  # (N, D) float16, in the order of runs
    run_starts: Tensor  # (R,) int64, first frame of each run
    run_lens: Tensor  # (R,) int64
    run_keys: Tensor  # (R,) int64, state * M + utterance, sorted
    levels: Tensor  # (M,) root mean square of each utterance's residuals
    fitted = ("frames", "run_starts", "run_lens", "run_keys", "levels")

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("frames", torch.zeros(0, dim, dtype=torch.float16))
        for name in ("run_starts", "run_lens", "run_keys"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.int64))
        self.register_buffer("levels", torch.zeros(0))

    def forward(self, segments: Segments, seeds: Tensor) -> Tensor:
        """(B, T, D) float32, 0 past the frames of each utterance: a function of its segments and seed. seeds: (B,) int64."""
        assert len(self.run_keys), "no residuals were collected"
        states, counts = _runs(segments)  # (B, 2 P)
        seeds = seeds.cpu()  # as the random numbers are drawn there
        draws = uniform(seeds, 2 * segments.lens.cpu(), RUNS_STREAM).to(states.device)
        draws = torch.nn.functional.pad(draws, (0, states.shape[1] - draws.shape[1]))
        num_utts = len(self.levels)
        lender = uniform(seeds, torch.ones_like(seeds), LENDER_STREAM).to(states.device)
        lender = _pick(lender.reshape(-1, 1), num_utts)  # (B, 1)

        first, last = self._between(states * num_utts + lender, states * num_utts + lender + 1)
        others_first, others_last = self._between(states * num_utts, (states + 1) * num_utts)
        lacking = first == last
        first, last = torch.where(lacking, others_first, first), torch.where(lacking, others_last, last)
        unknown = first == last
        first, last = first.masked_fill(unknown, 0), last.masked_fill(unknown, len(self.run_keys))
        run = first + _pick(draws, last - first)  # (B, 2 P)
        scale = self.levels[lender] / self.levels[self.run_keys[run] % num_utts]

        position, is_blank, frame_lens = expand(segments)
        number = 2 * position + is_blank.long()  # (B, T), of the run
        starts = (counts.cumsum(1) - counts).gather(1, number)
        within = torch.arange(position.shape[1], device=position.device) - starts  # frames of the run before
        length = self.run_lens[run].gather(1, number)
        within = torch.div(within * length, counts.gather(1, number).clamp(min=1), rounding_mode="floor")
        valid = length_mask(frame_lens, position.shape[1])
        source = (self.run_starts[run].gather(1, number) + within).masked_fill(~valid, 0)
        noise = self.frames[source].float() * scale.gather(1, number)[:, :, None]
        return noise.masked_fill(~valid[:, :, None], 0.0)

    def _between(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The runs with keys from `low` on and below `high`: the first, and the one after the last."""
        return torch.searchsorted(self.run_keys, low), torch.searchsorted(self.run_keys, high)


class ResidualExamples:
    """Collects the residuals of utterances, as they come, until they are `max_frames` frames."""

    def __init__(self, max_frames: int) -> None:
        self.max_frames = max_frames
        self.num_frames = 0
        self._frames: list[Tensor] = []
        self._states: list[Tensor] = []
        self._lens: list[Tensor] = []
        self._levels: list[float] = []

    @property
    def full(self) -> bool:
        """Whether enough was seen."""
        return self.num_frames >= self.max_frames

    def add(self, residuals: Tensor, segments: Segments) -> None:
        """residuals: (B, T, D), divided by the deviations of their states, of utterances with these segments."""
        states, counts = _runs(segments.to("cpu"))
        frame_lens = segments.frame_lens.tolist()
        for rows, of_runs, lens, length in zip(residuals.cpu(), states, counts, frame_lens, strict=True):
            if self.full:
                return
            there = lens > 0
            self._frames.append(rows[:length].half())
            self._states.append(of_runs[there])
            self._lens.append(lens[there])
            self._levels.append(float(rows[:length].double().square().mean().sqrt()))
            self.num_frames += length

    def finish(self, noise: ResidualNoise) -> dict[str, float]:
        """Fill the buffers of `noise`; returns how much there is, and the levels that a tenth of the utterances are below and above."""
        utt = [torch.full_like(lens, number) for number, lens in enumerate(self._lens)]
        keys, lens = torch.cat(self._states) * len(utt) + torch.cat(utt), torch.cat(self._lens)
        starts = lens.cumsum(0) - lens
        keys, order = keys.sort(stable=True)
        levels = torch.tensor(self._levels, dtype=torch.float64)
        device = noise.frames.device
        noise.frames = torch.cat(self._frames).to(device)
        noise.run_starts, noise.run_lens = starts[order].to(device), lens[order].to(device)
        noise.run_keys = keys.to(device)
        noise.levels = levels.clamp(min=1e-6).to(noise.levels)
        low, high = levels.quantile(torch.tensor([0.1, 0.9], dtype=torch.float64)).tolist()
        return {
            "utterances": len(utt),
            "frames": self.num_frames,
            "level_of_a_tenth_below": low,
            "level_of_a_tenth_above": high,
        }


def _runs(segments: Segments) -> tuple[Tensor, Tensor]:
    """States and numbers of frames of all runs, in order of time: (B, 2 P) int64 each."""
    states = torch.stack([2 * segments.units, 2 * segments.units + 1], 2).flatten(1)
    return states, torch.stack([segments.label_frames, segments.blank_frames], 2).flatten(1)


def _pick(draws: Tensor, counts: Tensor | int) -> Tensor:
    """From draws in [0, 1) to whole numbers below counts."""
    return (draws.double() * counts).long()
