"""The denoiser's network, its convolutions, and the duration predictor."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stxlib.errors import ConfigError
from stxlib.nn.duration_predictor import DurationPredictor
from stxlib.nn.wavenet import DilatedConv, WaveNet, WaveNetConfig, sinusoids

SMALL = WaveNetConfig(num_layers=3, dim=8, dilation_cycle=2)
LENS = torch.tensor([30, 11, 1, 0])


@pytest.mark.parametrize("kernel_size, dilation, num_frames", [(1, 1, 5), (3, 1, 7), (3, 4, 7), (5, 2, 1)])
def test_dilated_conv_is_that_of_torch(kernel_size: int, dilation: int, num_frames: int) -> None:
    torch.manual_seed(0)
    conv, x = DilatedConv(3, 4, kernel_size, dilation), torch.randn(2, num_frames, 3)
    weight = conv.linear.weight.unflatten(1, (kernel_size, 3)).transpose(1, 2)  # (out, in, k)
    expected = F.conv1d(
        x.transpose(1, 2), weight, conv.linear.bias, padding=kernel_size // 2 * dilation, dilation=dilation
    )
    torch.testing.assert_close(conv(x), expected.transpose(1, 2), rtol=0, atol=1e-6)


def denoised(network: WaveNet, x: Tensor, lens: Tensor, times: Tensor, condition: Tensor) -> Tensor:
    y: Tensor = network(x, lens, times, network.project(condition))
    return y


@torch.no_grad()
def test_padding_and_batching_of_the_denoiser() -> None:
    torch.manual_seed(0)
    network = WaveNet(SMALL, 5, 6)
    x, condition, times = torch.randn(4, 30, 5), torch.randn(4, 30, 6), torch.tensor([1, 1000, 300, 7])
    found = denoised(network, x, LENS, times, condition)
    padding = (torch.arange(30) >= LENS[:, None])[:, :, None]
    garbage = denoised(
        network, x.masked_fill(padding, 1e4), LENS, times, condition.masked_fill(padding, -1e4)
    )
    torch.testing.assert_close(garbage, found, rtol=0, atol=1e-5)
    assert bool((found.masked_select(padding) == 0).all()) and float(found.abs().max()) > 0.01
    for row, length in enumerate(LENS.tolist()[:3]):
        alone = denoised(
            network,
            x[row : row + 1, :length],
            LENS[row : row + 1],
            times[row : row + 1],
            condition[row : row + 1, :length],
        )
        torch.testing.assert_close(alone[0], found[row, :length], rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_denoiser_sees_time_condition_and_neighbours_on_both_sides() -> None:
    torch.manual_seed(0)
    network = WaveNet(SMALL, 5, 6)  # layers reach 1, 2 and 1 frames to each side: 4
    x, condition, lens, times = (
        torch.randn(1, 20, 5),
        torch.randn(1, 20, 6),
        torch.tensor([20]),
        torch.tensor([500]),
    )
    found = denoised(network, x, lens, times, condition)
    moved = x.clone()
    moved[0, 10] += 1
    seen = (denoised(network, moved, lens, times, condition) != found).any(2)[0].nonzero().flatten()
    assert seen.tolist() == list(range(6, 15))
    assert not torch.allclose(denoised(network, x, lens, times + 1, condition), found, atol=1e-6)
    assert not torch.allclose(denoised(network, x, lens, times, condition + 1), found, atol=1e-3)


def test_one_condition_for_all_frames_is_the_same_as_one_for_each() -> None:
    torch.manual_seed(0)
    network = WaveNet(SMALL, 5, 6)
    x, condition, times = torch.randn(2, 9, 5), torch.randn(1, 1, 6), torch.tensor([3, 4])
    lens = torch.tensor([9, 4])
    torch.testing.assert_close(
        denoised(network, x, lens, times, condition),
        denoised(network, x, lens, times, condition.expand(2, 9, 6)),
    )


def test_times_differ() -> None:
    found = sinusoids(torch.arange(1001), 16)
    assert found.shape == (1001, 16) and float(found.abs().max()) <= 1
    assert float((torch.cdist(found, found) + 9 * torch.eye(1001)).min()) > 1e-3


@torch.no_grad()
def test_padding_and_batching_of_the_duration_predictor() -> None:
    torch.manual_seed(0)
    predictor, x, lens = DurationPredictor(6, 2, 0.5).eval(), torch.randn(3, 8, 6), torch.tensor([8, 3, 1])
    found = predictor(x, lens)
    padding = (torch.arange(8) >= lens[:, None])[:, :, None]
    torch.testing.assert_close(predictor(x.masked_fill(padding, 1e4), lens), found, rtol=0, atol=1e-5)
    assert bool((found.masked_select(padding) == 0).all())
    for row, length in enumerate(lens.tolist()):
        alone = predictor(x[row : row + 1, :length], lens[row : row + 1])
        torch.testing.assert_close(alone[0], found[row, :length], rtol=0, atol=1e-5)


def test_sizes_that_cannot_be_are_errors() -> None:
    with pytest.raises(ConfigError, match="denoiser.num_layers: 0; use 1 or more"):
        WaveNetConfig(num_layers=0)
    with pytest.raises(ConfigError, match="denoiser.dim: 7 is odd; use an even number"):
        WaveNetConfig(dim=7)
    with pytest.raises(ConfigError, match="denoiser.kernel_size: 4 is even; use an odd number"):
        WaveNetConfig(kernel_size=4)
