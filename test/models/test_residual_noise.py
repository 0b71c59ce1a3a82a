"""Noise with the correlations of residuals: what goes in comes out."""

from __future__ import annotations

import pytest
import torch

from stxlib.models.residual_noise import ResidualEstimate, ResidualNoise

DIM = 4


@pytest.fixture(scope="module")
def known() -> ResidualNoise:
    noise = ResidualNoise(DIM)
    generator = torch.Generator().manual_seed(1)
    vectors = torch.linalg.qr(torch.randn(DIM, DIM, generator=generator))[0]
    noise.mixing = vectors * torch.tensor([0.3, 0.7, 1.2, 2.0])
    noise.utterance_share = torch.tensor([0.0, 0.5, 0.2, 0.1])
    noise.memory = torch.tensor([0.8, 0.0, 0.4, 0.6])
    return noise


def test_an_estimate_finds_the_correlations_that_samples_have(known: ResidualNoise) -> None:
    lens = torch.randint(60, 91, (1500,), generator=torch.Generator().manual_seed(2))
    samples = known(torch.arange(1500), lens)
    estimate, found = ResidualEstimate(DIM), ResidualNoise(DIM)
    for part in torch.arange(1500).split(100):
        estimate.add(samples[part], lens[part])
    told = estimate.finish(found)

    covariance = known.mixing @ known.mixing.t()
    expected = covariance / torch.outer(covariance.diagonal().sqrt(), covariance.diagonal().sqrt())
    torch.testing.assert_close(found.mixing @ found.mixing.t(), expected, rtol=0, atol=0.08)
    # Directions come in the order of their variance, as they were chosen here.
    torch.testing.assert_close(found.utterance_share, known.utterance_share, rtol=0, atol=0.06)
    torch.testing.assert_close(found.memory, known.memory, rtol=0, atol=0.06)
    weights = torch.tensor([0.09, 0.49, 1.44, 4.0]) / 6.02
    assert told["utterance_share"] == pytest.approx(float(weights @ known.utterance_share), abs=0.04)
    assert told["memory"] == pytest.approx(float(weights @ known.memory), abs=0.05)


def test_a_sample_depends_on_its_seed_and_length_alone(known: ResidualNoise) -> None:
    seeds, lens = torch.tensor([5, 7, 5]), torch.tensor([9, 20, 9])
    together = known(seeds, lens)
    assert bool((together[0, 9:] == 0).all()) and together.shape == (3, 20, DIM)
    assert torch.equal(together[0], together[2]) and not torch.equal(together[0, :9], together[1, :9])
    alone = known(seeds[:1], lens[:1])
    torch.testing.assert_close(alone[0], together[0, :9], rtol=0, atol=1e-6)
    assert known(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)).shape == (0, 0, DIM)


def test_too_short_utterances_say_nothing() -> None:
    estimate, noise = ResidualEstimate(DIM), ResidualNoise(DIM)
    estimate.add(torch.ones(2, 3, DIM), torch.tensor([1, 0]))
    assert estimate.finish(noise) == {"utterance_share": 0.0, "memory": 0.0}
    assert bool(noise.mixing.isfinite().all())
