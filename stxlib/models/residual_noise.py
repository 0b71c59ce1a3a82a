"""What a table of units leaves unexplained of latents, as noise: with its correlations of dimensions, over time, and of the whole utterance.

A voice or a room moves all latents of an utterance the same way, and an unclear sound several frames. Noise without these correlations is
averaged out by the layers above, and what they would have to cope with in speech they do not learn from it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stxlib.ops.draws import normal
from stxlib.ops.masks import length_mask

# Streams of the random numbers of an utterance, besides those of its durations.
FRAMES_STREAM, UTTERANCE_STREAM = 0, 2
_SMALLEST_EIGENVALUE = 1e-6
_FAR = 13  # frames apart (half a second): what these have in common is of the utterance


class ResidualNoise(nn.Module):
    """noise_t = mixing (sqrt(s) c + sqrt(1 - s) a_t), c the utterance's own, a_t = r a_(t-1) + sqrt(1 - r^2) e_t; c and e_t standard normal.

    s (`utterance_share`) and r (`memory`) are numbers for each direction; mixing mixing^T is the correlation of the dimensions of residuals, so
    that each dimension of the noise has variance 1.
    """

    mixing: Tensor
    utterance_share: Tensor
    memory: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mixing", torch.eye(dim))
        self.register_buffer("utterance_share", torch.zeros(dim))
        self.register_buffer("memory", torch.zeros(dim))

    def forward(self, seeds: Tensor, lens: Tensor) -> Tensor:
        """(B, T, D), 0 past lens (B,): a function of each utterance's seed and length. seeds: (B,) int64."""
        dim = len(self.memory)
        drawn = normal(seeds.cpu(), lens.cpu(), dim, FRAMES_STREAM).to(self.memory)  # (B, T, D)
        own = normal(seeds.cpu(), torch.ones_like(lens.cpu()), dim, UTTERANCE_STREAM).to(self.memory)
        kept, new = self.memory, (1 - self.memory.square()).sqrt()
        frames = list(drawn.unbind(1))
        for t in range(1, len(frames)):
            frames[t] = kept * frames[t - 1] + new * frames[t]
        moving = torch.stack(frames, 1) if frames else drawn
        noise = self.utterance_share.sqrt() * own + (1 - self.utterance_share).sqrt() * moving
        padding = ~length_mask(lens, drawn.shape[1])
        return (noise @ self.mixing.t()).masked_fill(padding[:, :, None], 0.0)


class ResidualEstimate:
    """Sums in float64 over utterances: covariances of a frame with itself, with the next, and with all that are half a second away or more."""

    def __init__(self, dim: int) -> None:
        self._num_frames = self._num_neighbours = self._num_far = 0
        self._far = torch.zeros(dim, dim, dtype=torch.float64)
        self._squares = torch.zeros(dim, dim, dtype=torch.float64)
        self._neighbours = torch.zeros(dim, dim, dtype=torch.float64)

    def add(self, residuals: Tensor, lens: Tensor) -> None:
        """residuals: (B, T, D), divided by the deviations of their states; utterances of fewer than 2 frames say nothing."""
        for rows, length in zip(residuals.cpu().double(), lens.tolist(), strict=True):
            if length < 2:
                continue
            x = rows[:length]
            self._num_frames += length
            self._num_neighbours += length - 1
            self._squares += x.t() @ x
            self._neighbours += x[1:].t() @ x[:-1]
            num_first = length - _FAR  # frames that have another one so far behind them
            if num_first > 0:
                after = x.flip(0).cumsum(0).flip(0)[_FAR:]  # sums of what is so far behind
                self._far += x[:num_first].t() @ after
                self._num_far += num_first * (num_first + 1) // 2

    def finish(self, noise: ResidualNoise) -> dict[str, float]:
        """Fill the buffers of `noise`; returns the shares of variance that are of the utterance and, of the rest, of the frame before."""
        covariance = self._squares / max(self._num_frames, 1)
        values, vectors = torch.linalg.eigh(covariance)
        values = values.clamp(min=_SMALLEST_EIGENVALUE)

        def along(matrix: Tensor) -> Tensor:
            """Of each direction of the covariance, relative to its variance."""
            return (vectors.t() @ matrix @ vectors).diagonal() / values

        of_utterance = along(self._far / max(self._num_far, 1)).clamp(0, 0.95)
        with_next = along(self._neighbours / max(self._num_neighbours, 1))
        memory = ((with_next - of_utterance) / (1 - of_utterance)).clamp(0, 0.98)
        mixing = vectors * values.sqrt()
        noise.mixing = (mixing / mixing.norm(dim=1, keepdim=True)).to(noise.mixing)
        noise.utterance_share = of_utterance.to(noise.utterance_share)
        noise.memory = memory.to(noise.memory)
        weights = values / values.sum()
        return {
            "utterance_share": float((weights * of_utterance).sum()),
            "memory": float((weights * memory).sum()),
        }
