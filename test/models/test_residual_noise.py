"""Noise that is lent by real utterances: whose residuals a frame gets."""

from __future__ import annotations

import pytest
import torch

from stxlib.models.residual_noise import ResidualExamples, ResidualNoise
from stxlib.ops.segments import Segments

# Two utterances. The first: 1 frame of silence, unit 2 (2 frames, 1 blank), unit 3 (1 frame). The second: 2 of silence, unit 2 (1), unit 4 (3).
SEGMENTS = Segments(
    torch.tensor([[0, 2, 3], [0, 2, 4]]),
    torch.tensor([3, 3]),
    torch.tensor([[0, 2, 1], [0, 1, 3]]),
    torch.tensor([[1, 1, 0], [2, 0, 0]]),
)
# Each residual says its utterance (10 or 20) and its frame. The second utterance varies about twice as much.
RESIDUALS = torch.tensor([[10.0, 11, 12, 13, 14, 0], [20, 21, 22, 23, 24, 25]])[:, :, None].expand(2, 6, 2)
SEEDS = torch.arange(40)


def collected(max_frames: int = 100) -> tuple[ResidualNoise, dict[str, float]]:
    examples, noise = ResidualExamples(max_frames), ResidualNoise(2)
    examples.add(RESIDUALS, SEGMENTS)
    return noise, examples.finish(noise)


def said(units: list[int], label: list[int], blank: list[int]) -> Segments:
    """The same utterance for every seed."""
    count = len(SEEDS)
    return Segments(
        torch.tensor([units] * count),
        torch.full((count,), len(units)),
        torch.tensor([label] * count),
        torch.tensor([blank] * count),
    )


def test_the_runs_of_a_lender_are_those_of_the_same_unit_stretched() -> None:
    noise, told = collected()
    assert told["utterances"] == 2 and told["frames"] == 11
    lent = noise(said([0, 2], [0, 4], [2, 0]), SEEDS)[:, :, 0]
    first, second = torch.tensor([10.0, 10, 11, 11, 12, 12]), torch.tensor([20.0, 21, 22, 22, 22, 22])
    by_first = (lent[:, 0] < 15).nonzero()[:, 0]
    assert 8 < len(by_first) < 32  # each lends to about half of the forty
    for row, frames in enumerate(lent):
        assert torch.equal(frames, first if row in by_first else second), (row, frames)


def test_what_the_lender_lacks_comes_from_others_at_the_level_of_the_lender() -> None:
    noise, told = collected()
    levels = noise.levels
    assert float(levels[0]) == pytest.approx(float(RESIDUALS[0, :5, 0].square().mean().sqrt()))
    assert (
        levels[0] < told["level_of_a_tenth_below"] + 1e-4 < told["level_of_a_tenth_above"] < levels[1] + 1e-4
    )
    lent = noise(said([0, 4], [0, 3], [1, 0]), SEEDS)[:, :, 0]
    own = torch.tensor([20.0, 23, 24, 25])
    for frames in lent:
        expected = (
            own if frames[0] > 15 else torch.cat([torch.tensor([10.0]), own[1:] * levels[0] / levels[1]])
        )
        torch.testing.assert_close(frames, expected)


def test_a_unit_that_nobody_said_takes_any_run() -> None:
    noise, _ = collected()
    lent = noise(said([0, 5], [0, 1], [1, 0]), SEEDS)[:, 1, 0]
    assert bool((lent > 0).all()) and len(lent.unique()) > 4


def test_a_sample_depends_on_its_segments_and_seed_alone() -> None:
    noise, _ = collected()
    together = noise(SEGMENTS, torch.tensor([5, 7]))
    assert together.shape == (2, 6, 2) and not bool(together[0, 5:].any())
    alone = Segments(
        *(tensor[:1] for tensor in (SEGMENTS.units, SEGMENTS.lens)),
        SEGMENTS.label_frames[:1],
        SEGMENTS.blank_frames[:1],
    )
    assert torch.equal(noise(alone, torch.tensor([5]))[0], together[0, :5])
    same = Segments(
        *(
            torch.cat([tensor[:1]] * 40)
            for tensor in (SEGMENTS.units, SEGMENTS.lens, SEGMENTS.label_frames, SEGMENTS.blank_frames)
        )
    )
    assert len(noise(same, SEEDS).flatten(1).unique(dim=0)) > 1
    none = torch.zeros(0, 1, dtype=torch.int64)
    assert noise(Segments(none, none[:, 0], none, none), none[:, 0]).shape == (0, 0, 2)


def test_no_more_is_kept_than_is_asked_for() -> None:
    examples, noise = ResidualExamples(5), ResidualNoise(2)
    examples.add(RESIDUALS, SEGMENTS)
    assert examples.full and examples.finish(noise)["utterances"] == 1
    assert len(noise.frames) == 5 and len(noise.levels) == 1


def test_residuals_are_saved_and_loaded() -> None:
    noise, _ = collected()
    loaded = ResidualNoise(2)
    loaded.load_state_dict(noise.state_dict())
    assert torch.equal(loaded(SEGMENTS, SEEDS[:2]), noise(SEGMENTS, SEEDS[:2]))


def test_samples_vary_as_much_as_what_was_collected() -> None:
    generator = torch.Generator().manual_seed(1)
    count = 200
    units = torch.cat(
        [torch.zeros(count, 1, dtype=torch.int64), torch.randint(2, 9, (count, 6), generator=generator)], 1
    )
    label = torch.randint(1, 4, units.shape, generator=generator)
    label[:, 0] = 0
    segments = Segments(
        units, torch.full((count,), 7), label, torch.randint(0, 2, units.shape, generator=generator)
    )
    deviation = torch.linspace(0.5, 1.5, count)[:, None, None]
    residuals = deviation * torch.randn(count, int(segments.frame_lens.max()), 3, generator=generator)
    examples, noise = ResidualExamples(10**6), ResidualNoise(3)
    examples.add(residuals, segments)
    examples.finish(noise)
    lent = noise(segments, torch.arange(count))
    valid = torch.arange(lent.shape[1]) < segments.frame_lens[:, None]
    assert float(lent[valid].square().mean()) == pytest.approx(
        float(residuals[valid].square().mean()), rel=0.1
    )
