"""Depthwise convolution along time: one filter per channel."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight


class DepthwiseConv(nn.Module):
    """(B, T, D) -> (B, T, D), zeros outside; no bias, as a LayerNorm follows. The kernel has odd length."""

    def __init__(self, dim: int, kernel_size: int) -> None:
        super().__init__()
        bound = kernel_size**-0.5
        self.weight = nn.Parameter(torch.empty(kernel_size, dim).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        # Here, as autocast does not reach the gradients of a function of one's own.
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        weight = self.weight.to(x.dtype)
        if x.device.type == "cpu":
            convolved: Tensor = _CpuDepthwiseConv.apply(x, weight)  # type: ignore[no-untyped-call]
            return convolved
        return depthwise_conv(x, weight)


def depthwise_conv(x: Tensor, weight: Tensor) -> Tensor:
    """y[b, t, d] = sum over i of weight[i, d] * x[b, t + i - k // 2, d]; x: (B, T, D), weight: (k, D). The specification."""
    size, dim = weight.shape
    return F.conv1d(x.transpose(1, 2), weight.t()[:, None], padding=size // 2, groups=dim).transpose(1, 2)


class _CpuDepthwiseConv(torch.autograd.Function):
    """The same in a seventh of the time. oneDNN's kernels for channels-last images differ widely by direction and orientation.

    Of time as the width of an image or as its height, each of the three convolutions takes the faster: (B, T, D) = (15, 67, 144), k = 15,
    one thread: output .2 ms (width), gradient of x .2 (width; height 2), gradient of weight .9 (height; width 2.4); conv1d takes 9 in all.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _along_width(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad_x = _along_width(grad, weight.flip(0)) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return grad_x, None
        grad_weight = conv2d_weight(
            x.transpose(1, 2)[..., None],  # (B, D, T, 1)
            (weight.shape[1], 1, weight.shape[0], 1),
            grad.transpose(1, 2)[..., None],
            padding=(weight.shape[0] // 2, 0),
            groups=weight.shape[1],
        )
        return grad_x, grad_weight[:, 0, :, 0].t()


def _along_width(x: Tensor, weight: Tensor) -> Tensor:
    size, dim = weight.shape
    image = x.transpose(1, 2)[:, :, None]  # (B, D, 1, T), channels last
    y = F.conv2d(image, weight.t()[:, None, None], padding=(0, size // 2), groups=dim)
    return y[:, :, 0].transpose(1, 2)
