"""Parts of the networks against their definitions."""

from __future__ import annotations

import pytest
import torch

from stxlib.errors import ConfigError
from stxlib.nn.conformer import ConformerConfig
from stxlib.nn.depthwise_conv import DepthwiseConv, depthwise_conv
from stxlib.nn.dropout import Residual, random_bytes
from stxlib.nn.rotary import rotate, rotations
from stxlib.nn.subsampling import Subsampling, patches
from stxlib.nn.transformer_decoder import DecoderConfig


@pytest.mark.parametrize("num_frames", [1, 2, 7, 8, 67])
@pytest.mark.parametrize("kernel_size", [1, 3, 15])
def test_fast_depthwise_conv_is_the_definition(num_frames: int, kernel_size: int) -> None:
    torch.manual_seed(0)
    conv = DepthwiseConv(24, kernel_size)
    x, grad = torch.randn(3, num_frames, 24, requires_grad=True), torch.randn(3, num_frames, 24)
    by_hand = torch.zeros_like(x)
    padded = torch.nn.functional.pad(x, (0, 0, kernel_size // 2, kernel_size // 2))
    for i in range(kernel_size):
        by_hand = by_hand + conv.weight[i] * padded[:, i : i + num_frames]
    torch.testing.assert_close(depthwise_conv(x, conv.weight), by_hand, rtol=0, atol=1e-5)
    torch.testing.assert_close(conv(x), by_hand, rtol=0, atol=1e-5)
    expected = torch.autograd.grad(by_hand, (x, conv.weight), grad)
    for found, wanted in zip(torch.autograd.grad(conv(x), (x, conv.weight), grad), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


def test_depthwise_conv_of_frozen_weights_or_inputs() -> None:
    conv = DepthwiseConv(8, 3)
    x = torch.randn(2, 5, 8)
    conv(x).sum().backward()
    assert conv.weight.grad is not None
    conv.weight.requires_grad_(False)
    x.requires_grad_(True)
    conv(x).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_depthwise_conv_under_autocast(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    conv, x, grad = (
        DepthwiseConv(24, 15),
        torch.randn(3, 67, 24, dtype=dtype, requires_grad=True),
        torch.randn(3, 67, 24),
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = conv(x)
    assert y.dtype == torch.bfloat16
    wide = x.detach().float().requires_grad_(True)
    expected = torch.autograd.grad(depthwise_conv(wide, conv.weight), (wide, conv.weight), grad)
    for found, wanted, of in zip(
        torch.autograd.grad(y, (x, conv.weight), grad.bfloat16()), expected, (x, conv.weight), strict=True
    ):
        assert found.dtype == of.dtype
        assert float((found.float() - wanted).norm() / wanted.norm()) < 0.02


def test_residual_drops_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    add, x, y = Residual(0.1), torch.zeros(200, 999), torch.ones(200, 999)
    found = add(x, y, 0.5)
    dropped = float((found == 0).float().mean())
    assert dropped == pytest.approx(26 / 256, abs=0.003)
    assert float(found.mean()) == pytest.approx(0.5, abs=0.003)
    assert found.unique().tolist() == [0, pytest.approx(0.5 * 256 / 230)]
    assert float((found[:, ::8] == 0).float().mean()) == pytest.approx(26 / 256, abs=0.01)
    torch.manual_seed(0)
    assert torch.equal(add(x, y, 0.5), found)
    assert torch.equal(add.eval()(x, y, 0.5), 0.5 * y)
    assert torch.equal(Residual(0.0)(x, y), y)


def test_random_bytes_are_uniform() -> None:
    torch.manual_seed(1)
    counts = torch.bincount(random_bytes(256 * 1000 + 3).long(), minlength=256)
    assert int(counts.sum()) == 256 * 1000 + 3
    assert int(counts.min()) > 850 and int(counts.max()) < 1150


def test_rotation_knows_distances_only() -> None:
    q, k = torch.randn(8), torch.randn(8)
    rotation = rotations(50, 8, torch.device("cpu"))
    turned_q, turned_k = (rotate(x.expand(50, 1, 8), rotation)[:, 0] for x in (q, k))
    products = turned_q @ turned_k.t()
    for distance in (0, 3, 17):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-4)
    torch.testing.assert_close(turned_q.norm(dim=1), q.norm().expand(50), rtol=1e-5, atol=0)
    assert (products[0, :10] - products[0, 0]).abs().max() > 0.1


@pytest.mark.parametrize(("num_frames", "num_bins"), [(1, 1), (2, 3), (7, 80), (8, 5)])
def test_linear_on_patches_is_a_strided_convolution(num_frames: int, num_bins: int) -> None:
    torch.manual_seed(0)
    x, linear = torch.randn(2, num_frames, num_bins), torch.nn.Linear(10, 4, bias=False)
    weight, bias = linear.weight[:, :9].unflatten(1, (1, 3, 3)), linear.weight[:, 9]
    expected = torch.nn.functional.conv2d(x[:, None], weight, bias, stride=2, padding=1)
    torch.testing.assert_close(linear(patches(x)).permute(0, 3, 1, 2), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("num_frames", range(1, 14))
def test_subsampling_sees_valid_frames_only(num_frames: int) -> None:
    torch.manual_seed(0)
    subsampling = Subsampling(12, 4, 6)
    valid = torch.randn(1, num_frames, 12)
    padded = torch.cat([valid, torch.full((1, 7, 12), 1e6)], dim=1)
    found, lens = subsampling(padded, torch.tensor([num_frames]))
    assert lens.tolist() == [num_frames // 4]
    alone, _ = subsampling(valid, torch.tensor([num_frames]))
    assert alone.shape[1] == max(num_frames // 4, 1)
    torch.testing.assert_close(found[:, : lens[0]], alone[:, : lens[0]], rtol=0, atol=1e-5)


def test_impossible_sizes_are_errors() -> None:
    with pytest.raises(ConfigError, match=r"conformer.dim: 30 is not a multiple of 2 \* num_heads = 8"):
        ConformerConfig(dim=30)
    for kernel_size in (14, -1):
        with pytest.raises(ConfigError, match=f"kernel_size: {kernel_size} is not odd"):
            ConformerConfig(kernel_size=kernel_size)
    with pytest.raises(ConfigError, match="decoder.dim: 30 is not an even multiple of num_heads = 4"):
        DecoderConfig(dim=30)


@pytest.mark.parametrize("config", [ConformerConfig, DecoderConfig])
@pytest.mark.parametrize(
    ("key", "value"),
    [("num_layers", 0), ("dim", 0), ("num_heads", 0), ("ff_dim", -1), ("dropout", 1.0), ("dropout", -0.1)],
)
def test_sizes_of_which_nothing_can_be_made_are_named(config: type, key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"(conformer|decoder)\.{key}: {value}"):
        config(**{key: value})
