"""What a frozen speech encoder hears in voices that it does not know: other units than were said.

A voice that it has learnt from, it hardly mishears, and latents made after such voices are easier to read than those of others. The
layers above learn from them to believe what they hear, and write words that do not exist where a stranger speaks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stxlib.errors import ConfigError
from stxlib.models.latent_alignment import AlignedLatents
from stxlib.ops.draws import uniform
from stxlib.ops.masks import length_mask
from stxlib.ops.segments import BOUNDARY, expand

# Of the random numbers of an utterance; those of other purposes are other streams.
MISHEARING_STREAM = 4
_MOST_OTHERS = 64
# Of speech, spread over the training set, that are enough to count mishearings.
ENOUGH_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class MishearingConfig:
    scale: float = 1.0
    """units that are taken for others before latents are made of them, as a multiple of what the encoder mishears at these `speeds`; 0: none"""
    speeds: tuple[float, ...] = (0.8, 1.2)
    """speeds at which the training speech sounds like voices that the encoder has not learnt from: others than those of its training"""

    def __post_init__(self) -> None:
        if self.scale < 0:
            raise ConfigError(f"mishearing.scale: {self.scale:g}; use 0 or more")
        if not self.speeds or not all(0.5 <= speed <= 2 for speed in self.speeds):
            raise ConfigError(
                f"mishearing.speeds: {list(self.speeds)}; give one or more numbers between 0.5 and 2"
            )


class Mishearing(nn.Module):
    """Takes units for others, as often as the encoder does. Nothing is misheard before `estimate`."""

    others: Tensor  # (V, K) int64: what a unit is most often taken for
    shares: Tensor  # (V, K) float32: how often; what is missing to 1 is heard right

    def __init__(self, config: MishearingConfig, num_units: int) -> None:
        super().__init__()
        self.config = config
        size = (num_units, min(_MOST_OTHERS, num_units))
        self.register_buffer("others", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("shares", torch.zeros(size))

    def forward(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> Tensor:
        """(B, U) int64, as many units as before: a function of the units and the seed of an utterance. unit_lens, seeds: (B,)."""
        if self.config.scale == 0:
            return units
        valid = length_mask(unit_lens, units.shape[1])
        said = units.masked_fill(~valid, BOUNDARY)
        draws = uniform(seeds.cpu(), unit_lens.cpu(), MISHEARING_STREAM).to(units.device)
        draws = torch.nn.functional.pad(draws, (0, units.shape[1] - draws.shape[1]))
        shares = self.config.scale * self.shares
        shares = shares / shares.sum(1, keepdim=True).clamp(min=1)  # a unit is misheard always at most
        ends = shares[said].cumsum(2)  # (B, U, K)
        other = (draws[:, :, None] >= ends).sum(2)  # K: heard right
        heard = self.others[said].gather(2, other.clamp(max=ends.shape[2] - 1)[:, :, None])[:, :, 0]
        return torch.where(valid & (other < ends.shape[2]), heard, units)

    def tell(self, share: float) -> str:
        """A line about what `estimate` has found."""
        speeds = " and ".join(f"{speed:g}" for speed in self.config.speeds)
        return f"at speeds {speeds}, {100 * share:.1f} % of the units are taken for others; text gets {self.config.scale:g} times as many"

    @torch.no_grad()
    def estimate(self, unit_head: nn.Module, batches: Iterable[AlignedLatents]) -> float:
        """Count what the CTC output at the latents says of the frames that its path gives to each unit. Returns the share that is another.

        batches: latents of speech at `config.speeds`. Probabilities are counted, as a count of the likeliest alone would need more speech.
        V^2 float64 numbers are kept meanwhile.
        """
        num_units = len(self.others)
        heard = torch.zeros(num_units, num_units, dtype=torch.float64)
        for batch in batches:
            position, is_blank, lens = expand(batch.segments)
            of_unit = length_mask(lens, position.shape[1]) & ~is_blank
            units = batch.segments.units.gather(1, position)[of_unit]
            latents = batch.latents[:, : position.shape[1]][of_unit]
            scores = unit_head(latents).float()
            scores[:, BOUNDARY] = -torch.inf  # a frame on the path has a unit
            heard.index_add_(0, units.cpu(), scores.softmax(1).double().cpu())
        said = heard.sum(1, keepdim=True).clamp(min=1e-9)
        heard.fill_diagonal_(0.0)
        kept, others = heard.topk(self.others.shape[1])
        # Of many units, the rarest others are left out; the frequent ones take their place, so that as many are misheard.
        kept *= heard.sum(1, keepdim=True) / kept.sum(1, keepdim=True).clamp(min=1e-9)
        self.others.copy_(others)
        self.shares.copy_(kept / said)
        return float(heard.sum() / said.sum())
