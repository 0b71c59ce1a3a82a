"""Distances between distributions of latents, against what is known of normal ones."""

from __future__ import annotations

import numpy as np
import pytest

from stxlib.judge.latent_statistics import distances, frechet, moments


def test_moments_are_those_of_all_latents_in_any_order() -> None:
    random = np.random.default_rng(1)
    utterances = [random.normal(3, 2, (frames, 4)) for frames in (5, 1, 9)]
    found, other = moments(utterances, 4), moments(utterances[::-1], 4)
    every = np.concatenate(utterances)
    assert found.count == 15
    np.testing.assert_allclose(found.mean, every.mean(0))
    np.testing.assert_allclose(found.std, every.std(0))
    np.testing.assert_allclose(found.covariance, np.cov(every.T, bias=True))
    assert found.norm == pytest.approx(np.linalg.norm(every, axis=1).mean())
    np.testing.assert_allclose(other.covariance, found.covariance)
    # The last latent of one utterance and the first of the next are no neighbours.
    one = np.concatenate([x[:-1] for x in utterances])
    two = np.concatenate([x[1:] for x in utterances])
    expected = np.mean([np.corrcoef(one[:, d], two[:, d])[0, 1] for d in range(4)])
    assert found.neighbour_correlation == pytest.approx(expected)


def test_no_distance_to_itself() -> None:
    found = moments([np.random.default_rng(2).normal(0, 1, (50, 5))], 5)
    assert distances(found, found) == pytest.approx(
        {"mean_distance": 0, "std_ratio": 1, "variance_ratio": 1, "frechet": 0}, abs=1e-7
    )


def test_distances_of_moved_and_scaled_latents() -> None:
    x = np.random.default_rng(3).normal(0, 1, (400, 5)) * [1, 2, 3, 4, 5]
    real = moments([x], 5)
    moved = distances(real, moments([x + 0.5 * real.std], 5))
    assert moved == pytest.approx(
        {"mean_distance": 0.5, "std_ratio": 1, "variance_ratio": 1, "frechet": 0.25}, abs=1e-6
    )
    halved = distances(real, moments([x / 2 + real.mean / 2], 5))
    # (1 - 1/2)^2 of the variance
    assert halved == pytest.approx(
        {"mean_distance": 0, "std_ratio": 0.5, "variance_ratio": 0.25, "frechet": 0.25}, abs=1e-6
    )


def test_frechet_distance_sees_what_variances_do_not() -> None:
    """The same variances, with and without correlation r: 2 (2 - sqrt(1 + r) - sqrt(1 - r))."""
    random, r = np.random.default_rng(4), 0.8
    x = random.normal(0, 1, (200_000, 2))
    y = x @ np.linalg.cholesky([[1, r], [r, 1]]).T
    found = frechet(moments([x], 2), moments([y], 2))
    assert found == pytest.approx(2 * (2 - np.sqrt(1 + r) - np.sqrt(1 - r)), abs=0.01)


def test_latents_that_never_change() -> None:
    still = moments([np.zeros((3, 2))], 2)
    assert np.isnan(still.neighbour_correlation)
    assert np.isnan(moments([np.ones((1, 2))], 2).neighbour_correlation)
    assert (
        distances(moments([np.random.default_rng(5).normal(0, 1, (9, 2))], 2), still)["variance_ratio"] == 0
    )
