"""How far synthesized latents are from real ones, as distributions: no frame has a partner in the other set."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class LatentMoments:
    """Sums over the latents of a set, from which mean, covariance and correlation of neighbours follow; exact in any order."""

    def __init__(self, dim: int) -> None:
        self.count = 0
        self._total = np.zeros(dim)
        self._products = np.zeros((dim, dim))
        self._norms = 0.0
        self._num_pairs = 0
        self._first, self._second, self._crossed = np.zeros(dim), np.zeros(dim), np.zeros(dim)
        self._first_squares, self._second_squares = np.zeros(dim), np.zeros(dim)

    def add(self, latents: NDArray[np.floating]) -> None:
        """latents: (T, D) of one utterance, without padding."""
        x = latents.astype(np.float64)
        self.count += len(x)
        self._total += x.sum(0)
        self._products += x.T @ x
        self._norms += float(np.sqrt((x**2).sum(1)).sum())
        one, two = x[:-1], x[1:]
        self._num_pairs += len(one)
        self._first += one.sum(0)
        self._second += two.sum(0)
        self._crossed += (one * two).sum(0)
        self._first_squares += (one**2).sum(0)
        self._second_squares += (two**2).sum(0)

    @property
    def mean(self) -> Array:
        """(D,)"""
        return self._total / max(1, self.count)

    @property
    def covariance(self) -> Array:
        """(D, D)"""
        return self._products / max(1, self.count) - np.outer(self.mean, self.mean)

    @property
    def std(self) -> Array:
        """(D,)"""
        return np.sqrt(np.diag(self.covariance).clip(min=0.0))

    @property
    def norm(self) -> float:
        """Mean length of a latent."""
        return self._norms / max(1, self.count)

    @property
    def neighbour_correlation(self) -> float:
        """Correlation of a latent with the next one of its utterance, mean over dimensions; nan where there is none."""
        if not self._num_pairs:
            return float("nan")
        one, two = self._first / self._num_pairs, self._second / self._num_pairs
        covariance = self._crossed / self._num_pairs - one * two
        variances = (self._first_squares / self._num_pairs - one**2) * (
            self._second_squares / self._num_pairs - two**2
        )
        moving = variances > 0
        return (
            float((covariance[moving] / np.sqrt(variances[moving])).mean()) if moving.any() else float("nan")
        )


def moments(utterances: Iterable[NDArray[np.floating]], dim: int) -> LatentMoments:
    """Moments of some utterances' latents."""
    found = LatentMoments(dim)
    for latents in utterances:
        found.add(latents)
    return found


def distances(real: LatentMoments, other: LatentMoments) -> dict[str, float]:
    """How far the distribution of `other` is from that of `real`; 0, 1, 1, 0 for the same latents.

    mean_distance: of the means, in standard deviations of `real`, root mean square over dimensions.
    std_ratio: standard deviation of `other` / that of `real`, geometric mean over dimensions.
    variance_ratio: variance of `other` / that of `real`, both summed over dimensions.
    frechet: Fréchet distance of the two as normal distributions (Dowson and Landau 1982) / variance of `real`.
    """
    floor = np.finfo(np.float64).tiny
    real_std, other_std = real.std.clip(min=floor), other.std.clip(min=floor)
    variance = float((real_std**2).sum())
    return {
        "mean_distance": float(np.sqrt((((other.mean - real.mean) / real_std) ** 2).mean())),
        "std_ratio": float(np.exp(np.log(other_std / real_std).mean())),
        "variance_ratio": float((other_std**2).sum() / variance),
        "frechet": frechet(real, other) / variance,
    }


def frechet(one: LatentMoments, two: LatentMoments) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))."""
    values, vectors = np.linalg.eigh(one.covariance)
    root = vectors * np.sqrt(values.clip(min=0.0)) @ vectors.T
    # The eigenvalues of C1 C2 are those of the symmetric C1^(1/2) C2 C1^(1/2).
    shared = np.sqrt(np.linalg.eigvalsh(root @ two.covariance @ root).clip(min=0.0)).sum()
    total = (
        ((one.mean - two.mean) ** 2).sum() + np.trace(one.covariance) + np.trace(two.covariance) - 2 * shared
    )
    return max(0.0, float(total))
