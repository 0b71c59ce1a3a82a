"""Units taken for others: how often, for which, and as a function of what."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stxlib.errors import ConfigError
from stxlib.models.latent_alignment import AlignedLatents
from stxlib.models.mishearing import Mishearing, MishearingConfig
from stxlib.ops.segments import Segments

# Unit 1 is spoken in 3 frames, unit 2 in 1; a blank frame follows each. Another utterance is 1, once.
SEGMENTS = Segments(
    torch.tensor([[0, 1, 2], [0, 1, 0]]),
    torch.tensor([3, 2]),
    torch.tensor([[0, 3, 1], [0, 1, 0]]),
    torch.tensor([[1, 1, 1], [0, 0, 0]]),
)
# A latent is the probabilities that the CTC output gives to blank and units 1 to 3.
FRAMES = {
    "blank": [1.0, 0, 0, 0],
    "as 1": [0.5, 0.5, 0, 0],  # blank is no unit: 1 for sure
    "as 2": [0.2, 0.2, 0.6, 0],  # 1 with 1/4, 2 with 3/4
    "as 3": [0.0, 0, 0, 1],
}
SPOKEN = [["blank", "as 1", "as 1", "as 2", "blank", "as 3", "blank"], ["as 1"] + ["blank"] * 6]


class Logarithm(nn.Module):
    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return latents.clamp(min=1e-30).log()


def estimated(scale: float = 1.0) -> tuple[Mishearing, float]:
    latents = torch.tensor([[FRAMES[name] for name in spoken] for spoken in SPOKEN])
    mishearing = Mishearing(MishearingConfig(scale=scale), 4)
    share = mishearing.estimate(Logarithm(), [AlignedLatents(latents, torch.tensor([7, 1]), SEGMENTS)])
    return mishearing, share


def test_shares_are_those_of_the_frames_of_a_unit() -> None:
    mishearing, share = estimated()
    found = torch.zeros(4, 4).scatter(1, mishearing.others, mishearing.shares)
    assert torch.allclose(
        found[1], torch.tensor([0, 0, 0.75 / 4, 0])
    )  # of its four frames, one is heard as 2 with 3/4
    assert torch.allclose(found[2], torch.tensor([0, 0, 0, 1.0]))
    assert not found[0].any() and not found[3].any()  # never said: never misheard
    assert share == pytest.approx((0.75 + 1) / 5)


@pytest.mark.parametrize(("scale", "expected"), [(0.0, 0.0), (1.0, 0.1875), (2.0, 0.375), (9.0, 1.0)])
def test_units_are_taken_for_others_as_often_as_that(scale: float, expected: float) -> None:
    mishearing, _ = estimated(scale)
    count = 4000
    heard = mishearing(torch.ones(count, 2, dtype=torch.int64), torch.full((count,), 2), torch.arange(count))
    assert set(heard.unique().tolist()) <= {1, 2}
    assert float((heard == 2).float().mean()) == pytest.approx(expected, abs=0.02)


def test_what_is_heard_depends_on_the_utterance_and_its_seed_alone() -> None:
    mishearing, _ = estimated(3.0)
    units, lens = torch.tensor([[1, 3, 1, 1, 2, 1], [1, 1, 2, 0, 0, 0]]), torch.tensor([6, 3])
    both = mishearing(units, lens, torch.tensor([7, 8]))
    assert torch.equal(both, mishearing(units, lens, torch.tensor([7, 8])))
    alone = mishearing(units[1:, :3], lens[1:], torch.tensor([8]))
    assert torch.equal(both[1:, :3], alone) and both[0, 1] == 3
    other = [mishearing(units[:1], lens[:1], torch.tensor([seed])).tolist() for seed in range(20)]
    assert len({str(row) for row in other}) > 5


def test_nothing_is_misheard_before_it_is_estimated() -> None:
    units = torch.tensor([[1, 2, 3]])
    heard = Mishearing(MishearingConfig(), 4)(units, torch.tensor([3]), torch.tensor([1]))
    assert torch.equal(heard, units)


def test_what_lies_past_the_length_is_neither_looked_at_nor_changed() -> None:
    mishearing, _ = estimated(9.0)
    units = torch.tensor([[1, 1, 1, 1], [1, 1, 99, -7], [1, 1, 1, 1]])
    heard = mishearing(units, torch.tensor([3, 2, 2]), torch.arange(3))
    assert heard.tolist() == [[2, 2, 2, 1], [2, 2, 99, -7], [2, 2, 1, 1]]


def test_of_many_units_as_many_are_misheard_though_not_for_every_other_one() -> None:
    num_units = 100
    probabilities = torch.full((1, 2, num_units), 0.6 / (num_units - 2))
    probabilities[:, :, 0], probabilities[:, :, 1] = 0.0, 0.4
    segments = Segments(*(torch.tensor(x) for x in ([[0, 1]], [2], [[0, 2]], [[0, 0]])))
    mishearing = Mishearing(MishearingConfig(), num_units)
    share = mishearing.estimate(Logarithm(), [AlignedLatents(probabilities, torch.tensor([2]), segments)])
    assert share == pytest.approx(0.6, abs=1e-6)
    assert float(mishearing.shares[1].sum()) == pytest.approx(0.6, abs=1e-6)
    assert len(mishearing.others[1].unique()) < num_units - 2


def test_a_unit_that_is_always_misheard_is_still_taken_for_every_other_one() -> None:
    mishearing = Mishearing(MishearingConfig(scale=20.0), 3)
    mishearing.others[1], mishearing.shares[1] = torch.tensor([2, 0, 1]), torch.tensor([0.3, 0.1, 0.0])
    heard = mishearing(torch.ones(4000, 1, dtype=torch.int64), torch.ones(4000).long(), torch.arange(4000))
    assert float((heard == 2).float().mean()) == pytest.approx(0.75, abs=0.03)
    assert not (heard == 1).any()


def test_bad_values() -> None:
    with pytest.raises(ConfigError, match=r"mishearing\.scale: -1"):
        MishearingConfig(scale=-1)
    for speeds in ((), (0.8, 3.0)):
        with pytest.raises(ConfigError, match=r"mishearing\.speeds: \["):
            MishearingConfig(speeds=speeds)
