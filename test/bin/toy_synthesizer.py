"""Synthesizers for the commands that run one: a small one, and one that knows the real latents."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from stxlib.models.latent_alignment import AlignedLatents
from stxlib.ops.draws import normal, uniform
from stxlib.ops.masks import length_mask
from stxlib.ops.segments import Segments, expand, with_boundary


class ToySynthesizer(nn.Module):
    """A row for each unit and a little noise, for one to three frames a unit."""

    frames_per_unit = 2.0

    def __init__(self, num_units: int, dim: int) -> None:
        super().__init__()
        self.num_units, self.dim = num_units, dim
        self.rows = nn.Embedding(num_units, dim)
        torch.nn.init.normal_(self.rows.weight, generator=torch.Generator().manual_seed(7))
        self.register_buffer("latent_mean", torch.zeros(dim))
        self.register_buffer("latent_std", torch.ones(dim))

    def durations(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> Segments:
        positions, lens = with_boundary(units, unit_lens)
        valid = length_mask(lens, positions.shape[1])
        drawn = (3 * uniform(seeds, lens, 0)).long()
        label = valid & (torch.arange(positions.shape[1]) > 0)
        return Segments(positions, lens, label.long(), drawn * valid)

    def sample(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        return self.sample_segments(self.durations(units, unit_lens, seeds), seeds)

    def sample_segments(self, segments: Segments, seeds: Tensor) -> tuple[Tensor, Tensor]:
        position, is_blank, frame_lens = expand(segments)
        rows = self.rows(segments.units.gather(1, position)) * torch.where(is_blank, 0.5, 1.0)[:, :, None]
        latents = rows + 0.1 * normal(seeds, frame_lens, self.dim, 1)
        return latents * length_mask(frame_lens, latents.shape[1])[:, :, None], frame_lens


class Oracle(nn.Module):
    """Gives back the real latents of the utterance that a seed belongs to."""

    frames_per_unit = 2.0

    def __init__(self, real: Mapping[int, AlignedLatents], num_units: int, dim: int) -> None:
        """real: seed -> a batch of one utterance."""
        super().__init__()
        self.real, self.num_units, self.dim = real, num_units, dim
        self.register_buffer("latent_mean", torch.zeros(dim))
        self.register_buffer("latent_std", torch.ones(dim))

    def durations(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> Segments:
        found = [self.real[seed].segments for seed in seeds.tolist()]
        return Segments(
            *(
                nn.utils.rnn.pad_sequence([getattr(one, name)[0] for one in found], batch_first=True)
                if name != "lens"
                else torch.cat([one.lens for one in found])
                for name in ("units", "lens", "label_frames", "blank_frames")
            )
        )

    def sample(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        found = [self.real[seed] for seed in seeds.tolist()]
        latents = nn.utils.rnn.pad_sequence([one.latents[0] for one in found], batch_first=True)
        return latents, torch.cat([one.latent_lens for one in found])
