from __future__ import annotations

import pytest
import torch

from stxlib.errors import ConfigError
from stxlib.nn.spec_augment import SpecAugmentConfig, spec_augment

CONFIG = SpecAugmentConfig(
    num_freq_masks=2, max_freq_bins=10, num_time_masks=2, max_time_frames=12, max_time_part=0.2
)


def test_a_function_of_the_seed_not_of_the_batch() -> None:
    features, lens, seeds = (
        torch.rand(6, 90, 40) + 1,
        torch.tensor([90, 70, 50, 30, 10, 0]),
        torch.tensor([5, 2**62, 7, 5, 9, 3]),
    )
    batch = spec_augment(features, lens, seeds, CONFIG)
    for row in range(6):
        alone = spec_augment(
            features[row : row + 1, :80], lens[row : row + 1].clamp(max=80), seeds[row : row + 1], CONFIG
        )
        if lens[row] <= 80:
            assert torch.equal(batch[row, : lens[row]], alone[0, : lens[row]])
    assert not torch.equal(spec_augment(features, lens, seeds + 1, CONFIG), batch)


def test_masks_have_the_promised_sizes() -> None:
    count = 400
    features, lens = torch.ones(count, 50, 40), torch.full((count,), 50)
    found = spec_augment(features, lens, torch.arange(count), CONFIG)
    hidden_frames = (found.amax(2) == 0).sum(1)
    hidden_bins = (found.amax(1) == 0).sum(1)
    # 12 frames, but not more than a fifth of 50; two masks may lie side by side
    assert int(hidden_frames.max()) <= 20 and int(hidden_bins.max()) <= 20
    assert int(hidden_frames.min()) == 0 and 7 < float(hidden_frames.float().mean()) < 10
    assert 7.5 < float(hidden_bins.float().mean()) < 10
    assert torch.equal(found, found * found)  # zeros and ones: what is not hidden is untouched
    assert bool((found.mean((0, 2)) < 1).all()) and bool(
        (found.mean((0, 1)) < 1).all()
    )  # each place is hidden at times


def test_no_masks_change_nothing() -> None:
    features = torch.rand(2, 20, 8)
    config = SpecAugmentConfig(num_freq_masks=0, num_time_masks=0)
    assert torch.equal(spec_augment(features, torch.tensor([20, 9]), torch.tensor([1, 2]), config), features)


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_freq_masks", -1), ("max_freq_bins", -1), ("max_time_frames", -2), ("max_time_part", 1.5)],
)
def test_masks_that_cannot_be_are_errors(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"spec_augment.{key}: {value}"):
        SpecAugmentConfig(**{key: value})  # type: ignore[arg-type]
