"""The fixed projection: its estimate on latents that are known, its laws, and what a CTC reads in its samples."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor

from stxlib.errors import ConfigError
from stxlib.models.fixed_projection import FixedProjection, FixedProjectionConfig
from stxlib.models.latent_alignment import AlignedLatents
from stxlib.models.projection_estimate import ProjectionEstimate, ProjectionReport, collect_residuals
from stxlib.models.synthesizer import Synthesizer
from stxlib.ops.ctc_path import best_paths
from stxlib.ops.masks import length_mask
from stxlib.ops.segments import Segments, expand, neighbours, with_boundary

NUM_UNITS, DIM = 6, 8
PLAIN = FixedProjectionConfig(noise=0, shrinkage=0)


def made(num_utts: int, *, seed: int = 0, context: float = 0.0, noise: float = 0.0) -> AlignedLatents:
    """Latents that are the sum of a row, an offset of each neighbour, and noise; units 2 to 5."""
    generator = torch.Generator().manual_seed(seed)
    unit_lens = torch.randint(1, 8, (num_utts,), generator=generator)
    units, lens = with_boundary(torch.randint(2, NUM_UNITS, (num_utts, 7), generator=generator), unit_lens)
    valid = length_mask(lens, units.shape[1])
    label = torch.randint(1, 4, units.shape, generator=generator) * valid
    label[:, 0] = 0
    blank = torch.randint(0, 3, units.shape, generator=generator) * valid
    blank[:, 0] += 1
    segments = Segments(units, lens, label, blank)
    position, is_blank, frame_lens = expand(segments)
    state = 2 * units.gather(1, position) + is_blank.long()
    table = torch.Generator().manual_seed(99)
    rows, left, right = (
        torch.randn(2 * NUM_UNITS, *shape, generator=table)
        for shape in ((DIM,), (NUM_UNITS, DIM), (NUM_UNITS, DIM))
    )
    at_left, at_right = (side.gather(1, position) for side in neighbours(segments))
    latents = rows[state] + context * (left[state, at_left] + right[state, at_right])
    latents = latents + noise * torch.randn(latents.shape, generator=generator)
    latents = latents.masked_fill(~length_mask(frame_lens, position.shape[1])[:, :, None], 0)
    return AlignedLatents(latents, frame_lens, segments)


def estimated(
    batches: list[AlignedLatents], config: FixedProjectionConfig = PLAIN
) -> tuple[FixedProjection, ProjectionReport]:
    estimate = ProjectionEstimate(NUM_UNITS, DIM)
    for batch in batches:
        estimate.add(batch)
    projection = FixedProjection(config, NUM_UNITS, DIM)
    weight = torch.randn(NUM_UNITS, DIM, generator=torch.Generator().manual_seed(4))
    report = estimate.finish(projection, weight, seed=1)
    collect_residuals(projection, projection, batches)
    return projection, report


def valid_frames(batch: AlignedLatents) -> Tensor:
    return batch.latents[length_mask(batch.latent_lens, batch.latents.shape[1])]


def test_rows_that_made_the_latents_are_found() -> None:
    batch = made(60)
    projection, report = estimated([batch])
    assert isinstance(projection, Synthesizer)
    latents, lens = projection.sample_segments(batch.segments, torch.zeros(60, dtype=torch.int64))
    assert torch.equal(lens, batch.latent_lens)
    assert torch.allclose(latents, batch.latents, atol=1e-5)
    frames = valid_frames(batch)
    assert torch.allclose(projection.latent_mean, frames.mean(0), atol=1e-5)
    assert torch.allclose(projection.latent_std, frames.std(0, correction=0), atol=1e-5)
    assert report.explained_by_rows == pytest.approx(1, abs=1e-9)
    assert float(projection.deviations.abs().max()) < 1e-3
    num_labels = int((batch.segments.lens - 1).sum())
    assert (report.num_utts, report.num_frames, report.num_units) == (60, len(frames), num_labels)
    assert projection.frames_per_unit == pytest.approx(len(frames) / num_labels)
    blanks = int(batch.segments.blank_frames.sum())
    assert report.blank_share == pytest.approx(blanks / len(frames))


def test_offsets_and_what_is_left_are_those_of_the_frames() -> None:
    """The closed form beside the same figures, frame by frame."""
    batch = made(200, context=0.7, noise=0.3)
    config = FixedProjectionConfig(noise=0, shrinkage=4)
    projection, report = estimated([batch], config)
    bare, _ = estimated([batch], replace(config, context=False))
    seeds = torch.zeros(200, dtype=torch.int64)
    frames, mask = valid_frames(batch), length_mask(batch.latent_lens, batch.latents.shape[1])
    total = float((frames - frames.mean(0)).square().sum())
    with_context = frames - projection.sample_segments(batch.segments, seeds)[0][mask]
    without = frames - bare.sample_segments(batch.segments, seeds)[0][mask]
    assert report.explained_by_rows == pytest.approx(1 - float(without.square().sum()) / total, abs=1e-5)
    assert report.explained_with_context == pytest.approx(
        1 - float(with_context.square().sum()) / total, abs=1e-5
    )
    assert report.explained_with_context > report.explained_by_rows + 0.1
    position, is_blank, _ = expand(batch.segments)
    state = (2 * batch.segments.units.gather(1, position) + is_blank.long())[mask]
    for left_over, made_by in ((with_context, projection), (without, bare)):
        spread = left_over[state == 7].square().mean(0).sqrt()
        # A little of the variance of all states is in that of each.
        assert torch.allclose(made_by.deviations[7], spread, rtol=0.08)
    # One left offset by hand: unit 3's label frames after unit 2.
    left, _ = (side.gather(1, position)[mask] for side in neighbours(batch.segments))
    own, here = frames[state == 6], frames[(state == 6) & (left == 2)]
    expected = (here - own.mean(0)).sum(0) / (len(here) + 4)
    place = int((projection.left_keys == 6 * NUM_UNITS + 2).nonzero())
    assert torch.allclose(projection.left_offsets[place], expected, atol=1e-5)


def test_the_order_of_batches_does_not_matter() -> None:
    parts = [made(20, seed=seed, context=0.5, noise=0.3) for seed in range(3)]
    first, _ = estimated(parts)
    again, _ = estimated(parts)
    other, _ = estimated(parts[::-1])
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
        if not name.startswith("residuals."):  # these are of the first utterances
            assert torch.allclose(tensor, other.state_dict()[name], atol=1e-5), name


def test_padding_is_not_counted() -> None:
    batch = made(30, noise=0.3)
    garbage = torch.where(
        length_mask(batch.latent_lens, batch.latents.shape[1])[:, :, None], batch.latents, torch.tensor(1e6)
    )
    longer = torch.nn.functional.pad(garbage, (0, 0, 0, 3), value=math.nan)
    ours, theirs = estimated([batch])[0], estimated([replace(batch, latents=longer)])[0]
    assert all(torch.equal(tensor, theirs.state_dict()[name]) for name, tensor in ours.state_dict().items())


CONFIGS = [
    FixedProjectionConfig(),
    FixedProjectionConfig(smoothing=3, durations="mean"),
    FixedProjectionConfig(context=False, smoothing=5, noise=1),
    FixedProjectionConfig(noise_kind="gaussian"),
    FixedProjectionConfig(rows="ctc"),
    FixedProjectionConfig(rows="random"),
]
UNITS, UNIT_LENS = torch.tensor([[2, 3, 4, 5, 5], [5, 1, 0, 0, 0], [0, 0, 0, 0, 0]]), torch.tensor([5, 2, 0])
SEEDS = torch.tensor([11, 12, 13])


@pytest.mark.parametrize("config", CONFIGS)
def test_a_sample_is_a_function_of_units_and_seed(config: FixedProjectionConfig) -> None:
    projection, _ = estimated([made(60, context=0.5, noise=0.3)], config)
    latents, lens = projection.sample(UNITS, UNIT_LENS, SEEDS)
    assert torch.equal(lens, projection.durations(UNITS, UNIT_LENS, SEEDS).frame_lens)
    assert bool(latents.isfinite().all()) and latents.dtype == torch.float32
    garbage = UNITS.masked_fill(~length_mask(UNIT_LENS, 5), 4)
    assert torch.equal(projection.sample(garbage, UNIT_LENS, SEEDS)[0], latents)
    for row, length in enumerate(UNIT_LENS.tolist()):
        alone, alone_lens = projection.sample(
            UNITS[row : row + 1, :length], UNIT_LENS[row : row + 1], SEEDS[row : row + 1]
        )
        assert int(alone_lens[0]) == int(lens[row])
        assert torch.equal(latents[row, : lens[row]], alone[0])
        assert not bool(latents[row, lens[row] :].any())
    other, other_lens = projection.sample(UNITS, UNIT_LENS, SEEDS + 1)
    assert not (torch.equal(other_lens, lens) and torch.equal(other, latents))


@pytest.mark.parametrize("config", CONFIGS)
def test_saved_and_loaded(config: FixedProjectionConfig) -> None:
    projection, _ = estimated([made(60, context=0.5, noise=0.3)], config)
    loaded = FixedProjection(config, NUM_UNITS, DIM)
    loaded.load_state_dict(projection.state_dict())
    assert torch.equal(
        loaded.sample(UNITS, UNIT_LENS, SEEDS)[0], projection.sample(UNITS, UNIT_LENS, SEEDS)[0]
    )


@pytest.mark.parametrize("kind", ["residuals", "gaussian"])
def test_noise_has_the_deviation_that_rows_leave(kind: Literal["residuals", "gaussian"]) -> None:
    batch = made(300, context=0.5, noise=0.4)
    projection, _ = estimated([batch], FixedProjectionConfig(noise_kind=kind))
    seeds = torch.arange(300)
    noisy, lens = projection.sample_segments(batch.segments, seeds)
    projection.config = replace(projection.config, noise=0)
    noise = (noisy - projection.sample_segments(batch.segments, seeds)[0])[length_mask(lens, noisy.shape[1])]
    assert float(noise.mean()) == pytest.approx(0, abs=0.02)
    assert float(noise.std()) == pytest.approx(0.4, abs=0.03)
    frames = noisy[length_mask(lens, noisy.shape[1])]
    assert torch.allclose(frames.std(0), projection.latent_std, rtol=0.1)


def test_smoothing_is_the_mean_of_the_frames_that_are_there() -> None:
    batch = made(5)
    projection, _ = estimated([batch], replace(PLAIN, smoothing=3))
    latents, lens = projection.sample_segments(batch.segments, SEEDS[:1].expand(5))
    for row, length in enumerate(lens.tolist()):
        for frame in range(length):
            around = batch.latents[row, max(frame - 1, 0) : min(frame + 2, length)]
            assert torch.allclose(latents[row, frame], around.mean(0), atol=1e-5)


def test_ctc_and_random_rows_are_as_long_as_latents() -> None:
    batch = made(60, noise=0.3)
    frames = valid_frames(batch)
    length = float((frames - frames.mean(0)).square().sum(1).mean().sqrt())
    for rows in ("ctc", "random"):
        projection, _ = estimated([batch], replace(PLAIN, rows=rows))
        centred = projection.rows - projection.latent_mean
        assert torch.allclose(centred.norm(dim=1), torch.tensor(length), rtol=1e-4)
        assert torch.equal(projection.rows[1], projection.rows[9]) and len(projection.left_keys) == 0
        if rows == "random":
            labels = centred[::2] / length
            assert torch.allclose(labels @ labels.T, torch.eye(NUM_UNITS), atol=1e-4)


def test_a_unit_never_seen_is_the_mean_latent_and_is_told() -> None:
    projection, report = estimated([made(60)])
    assert report.unseen_units == (1,)
    assert torch.equal(projection.rows[2], projection.latent_mean)
    assert int(projection.sample(torch.tensor([[1]]), torch.tensor([1]), SEEDS[:1])[1]) > 0


def test_a_ctc_that_knows_the_latents_reads_the_units_in_samples() -> None:
    """A linear CTC output trained on eight utterances of noisy latents spells the units of what is synthesized of them."""
    batch = made(8, seed=3, context=0.3, noise=0.2)
    units, unit_lens = batch.segments.units[:, 1:], batch.segments.lens - 1
    torch.manual_seed(0)
    head = torch.nn.Linear(DIM, NUM_UNITS)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    position, is_blank, lens = expand(batch.segments)
    path = batch.segments.units.gather(1, position).masked_fill(is_blank, 0)
    mask = length_mask(lens, path.shape[1])
    for _ in range(100):
        loss = torch.nn.functional.cross_entropy(head(batch.latents)[mask], path[mask])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    projection, _ = estimated([batch], FixedProjectionConfig(noise=0.5, shrinkage=1, min_examples=1))
    latents, latent_lens = projection.sample(units, unit_lens, torch.arange(8))
    spelt = best_paths(head(latents).log_softmax(-1), latent_lens)
    wanted = [tuple(row[:length]) for row, length in zip(units.tolist(), unit_lens.tolist(), strict=True)]
    assert [labels for labels, _ in spelt] == wanted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": -1.0}, "synthesizer.noise: -1; use 0 or more"),
        ({"noise_frames": 0}, "synthesizer.noise_frames: 0; use 1 or more"),
        ({"smoothing": 2}, r"synthesizer.smoothing: 2; use an odd number \(1: none\)"),
        ({"smoothing": 0}, "synthesizer.smoothing: 0; use an odd"),
        ({"shrinkage": -0.5}, "synthesizer.shrinkage: -0.5; use 0 or more"),
        ({"min_examples": 0}, "synthesizer.min_examples: 0; use 1 or more"),
    ],
)
def test_what_is_wrong_in_a_config_is_said(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FixedProjectionConfig(**options)  # type: ignore[arg-type]
