"""The diffusion synthesizer: what is drawn, what it depends on, and what it learns of the training set before training."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stxlib.errors import ConfigError, DataError
from stxlib.models.diffusion import DiffusionConfig, DiffusionSynthesizer
from stxlib.models.latent_alignment import AlignedLatents
from stxlib.models.synthesizer import Synthesizer
from stxlib.nn.conformer import ConformerConfig
from stxlib.nn.wavenet import WaveNetConfig
from stxlib.ops.segments import Segments, with_boundary

UNITS, DIM = 7, 5
CONFIG = DiffusionConfig(
    encoder=ConformerConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24, kernel_size=3),
    denoiser=WaveNetConfig(num_layers=2, dim=16),
    sampling_steps=4,
)
TEXT = torch.tensor([[3, 4, 4, 6, 1], [5, 2, 0, 0, 0], [1, 0, 0, 0, 0]])
TEXT_LENS, SEEDS = torch.tensor([5, 2, 1]), torch.tensor([11, 2**62, 5])


def aligned() -> AlignedLatents:
    """Two utterances, of 2 + 7 and 0 + 3 frames, their latents padded with garbage."""
    units, lens = with_boundary(torch.tensor([[3, 4, 4], [5, 2, 0]]), torch.tensor([3, 2]))
    segments = Segments(
        units, lens, torch.tensor([[0, 2, 1, 1], [0, 1, 1, 0]]), torch.tensor([[2, 0, 3, 0], [0, 1, 0, 0]])
    )
    torch.manual_seed(1)
    latents = 3 + torch.randn(2, 10, DIM) * torch.tensor([0.1, 1, 2, 3, 4])
    return AlignedLatents(latents, segments.frame_lens, segments)


def synthesizer(config: DiffusionConfig = CONFIG) -> DiffusionSynthesizer:
    torch.manual_seed(0)
    network = DiffusionSynthesizer(config, UNITS, DIM).eval()
    network.estimate_latent_statistics([aligned()])
    return network


def test_it_is_a_synthesizer() -> None:
    network = synthesizer()
    assert isinstance(network, Synthesizer)
    assert (network.num_units, network.dim) == (UNITS, DIM)


def test_statistics_are_those_of_valid_frames() -> None:
    network, batch = DiffusionSynthesizer(CONFIG, UNITS, DIM), aligned()
    halves = [
        AlignedLatents(
            batch.latents[row],
            batch.latent_lens[row],
            Segments(
                *(getattr(batch.segments, name)[row] for name in ("units", "lens")),
                batch.segments.label_frames[row],
                batch.segments.blank_frames[row],
            ),
        )
        for row in (slice(1), slice(1, 2))
    ]
    network.estimate_latent_statistics(halves)
    frames = torch.cat([batch.latents[0, :9], batch.latents[1, :3]])
    torch.testing.assert_close(network.latent_mean, frames.mean(0))
    torch.testing.assert_close(network.latent_std, frames.std(0, correction=0))
    assert network.frames_per_unit == pytest.approx(12 / 5)
    assert network.empirical.unseen() == [1, 6]
    normalized = network.normalize(batch.latents, batch.latent_lens)
    assert bool((normalized[0, 9:] == 0).all()) and bool((normalized[1, 3:] == 0).all())
    assert float(normalized.abs().max()) < 4


def test_nothing_to_estimate_from_is_an_error() -> None:
    with pytest.raises(DataError, match="latents: 0 frames of 0 units to learn from; check the training set"):
        DiffusionSynthesizer(CONFIG, UNITS, DIM).estimate_latent_statistics([])


@pytest.mark.parametrize("durations", ["drawn", "predicted"])
@pytest.mark.parametrize("guidance", [0.0, 2.0])
def test_an_utterance_is_a_function_of_its_units_and_its_seed(durations: str, guidance: float) -> None:
    network = synthesizer(replace(CONFIG, durations=durations, guidance=guidance))
    with torch.no_grad():  # long enough to see the frames of each
        network.duration_predictor.out.bias.fill_(1.0)
    found, lens = network.sample(TEXT, TEXT_LENS, SEEDS)
    again, again_lens = network.sample(TEXT, TEXT_LENS, SEEDS)
    assert torch.equal(found, again) and torch.equal(lens, again_lens)
    assert torch.equal(lens, network.durations(TEXT, TEXT_LENS, SEEDS).frame_lens)
    padding = torch.arange(5) >= TEXT_LENS[:, None]
    garbage, _ = network.sample(TEXT.masked_fill(padding, 6), TEXT_LENS, SEEDS)
    torch.testing.assert_close(garbage, found, rtol=0, atol=1e-4)
    for row in range(3):
        alone, alone_lens = network.sample(
            TEXT[row : row + 1, : TEXT_LENS[row]], TEXT_LENS[row : row + 1], SEEDS[row : row + 1]
        )
        assert alone_lens[0] == lens[row]
        torch.testing.assert_close(alone[0], found[row, : lens[row]], rtol=0, atol=1e-4)
        assert bool((found[row, lens[row] :] == 0).all())
    other, _ = network.sample_segments(network.durations(TEXT, TEXT_LENS, SEEDS), SEEDS + 1)
    assert all(not torch.allclose(other[row], found[row], atol=0.1) for row in range(3))


def test_predicted_durations_can_be_spelt() -> None:
    network = synthesizer(replace(CONFIG, durations="predicted"))

    def predicted(label: float, blank: float) -> Segments:
        with torch.no_grad():
            network.duration_predictor.out.weight.zero_()
            network.duration_predictor.out.bias.copy_(torch.tensor([math.log1p(label), math.log1p(blank)]))
        return network.durations(TEXT, TEXT_LENS, SEEDS)

    shortest = predicted(0.0, -0.5)
    assert shortest.label_frames.tolist() == [[0, 1, 1, 1, 1, 1], [0, 1, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0]]
    assert shortest.blank_frames.tolist() == [[0, 0, 1, 0, 0, 0], [0] * 6, [0] * 6]  # 4 4 need one between
    longer = predicted(2.6, 4.2)
    assert longer.label_frames.tolist() == [[0, 3, 3, 3, 3, 3], [0, 3, 3, 0, 0, 0], [0, 3, 0, 0, 0, 0]]
    assert longer.blank_frames.tolist() == [[4] * 6, [4, 4, 4, 0, 0, 0], [4, 4, 0, 0, 0, 0]]


def test_conditions_know_unit_state_and_place() -> None:
    network, batch = synthesizer(), aligned()
    with torch.no_grad():
        network.place.weight.copy_(torch.eye(4, 16).t())
        network.place.bias.zero_()
    encoded = torch.zeros(2, 4, 16)
    encoded[:, :, 4] = torch.arange(4)
    conditions, lens = network.conditions(encoded, batch.segments)
    assert lens.tolist() == [9, 3]
    label, blank, before, after, position = conditions.detach()[0, :, :5].unbind(1)
    assert position.tolist() == [0, 0, 1, 1, 2, 2, 2, 2, 3]
    assert blank.tolist() == [1, 1, 0, 0, 0, 1, 1, 1, 0] and torch.equal(label, 1 - blank)
    assert before.expm1().round().tolist() == [0, 1, 0, 1, 0, 0, 1, 2, 0]
    assert after.expm1().round().tolist() == [1, 0, 1, 0, 0, 2, 1, 0, 0]


@torch.no_grad()
def test_guidance_moves_away_from_no_units() -> None:
    network, segments = synthesizer(), aligned().segments
    seeds = torch.tensor([1, 2])

    def sampled(guidance: float) -> Tensor:
        network.config = replace(CONFIG, guidance=guidance)
        return network.sample_segments(segments, seeds, num_steps=1)[0]

    # In one step a sample is linear in the velocity, and so in the weight; without guidance, units decide alone.
    none, one, two = sampled(0.0), sampled(1.0), sampled(2.0)
    assert not torch.allclose(none, one, atol=1e-2)
    torch.testing.assert_close(two - one, one - none, rtol=0, atol=1e-4)
    network.nothing.add_(1)
    assert torch.equal(sampled(0.0), none) and not torch.allclose(sampled(1.0), one, atol=1e-2)


def test_number_of_steps() -> None:
    network = synthesizer()
    by_config, _ = network.sample(TEXT, TEXT_LENS, SEEDS)
    assert torch.equal(network.sample(TEXT, TEXT_LENS, SEEDS, num_steps=4)[0], by_config)
    assert not torch.allclose(network.sample(TEXT, TEXT_LENS, SEEDS, num_steps=9)[0], by_config, atol=1e-3)


def test_weights_carry_all_that_sampling_needs() -> None:
    network, other = synthesizer(), DiffusionSynthesizer(CONFIG, UNITS, DIM).eval()
    other.load_state_dict(network.state_dict())
    assert other.frames_per_unit == network.frames_per_unit
    assert torch.equal(other.sample(TEXT, TEXT_LENS, SEEDS)[0], network.sample(TEXT, TEXT_LENS, SEEDS)[0])


def test_values_out_of_range_are_errors() -> None:
    with pytest.raises(ConfigError, match="condition_dropout: 1; use 0 or more, and less than 1"):
        DiffusionConfig(condition_dropout=1.0)
    with pytest.raises(ConfigError, match="duration_dropout: -0.1; use 0 or more"):
        DiffusionConfig(duration_dropout=-0.1)
    with pytest.raises(ConfigError, match=r"guidance: -1; use 0 \(none\) or more"):
        DiffusionConfig(guidance=-1.0)
    with pytest.raises(ConfigError, match="sampling_steps: 1001; use 1 to 1000"):
        DiffusionConfig(sampling_steps=1001)
    with pytest.raises(ConfigError, match="min_examples: 0; use 1 or more"):
        DiffusionConfig(min_examples=0)
