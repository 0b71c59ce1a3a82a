"""AdamW with weight decay on matrices only, and what a step needs to know about gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from stxlib.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class AdamWConfig:
    """AdamW (Loshchilov and Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    lr: float = 1e-3
    "peak learning rate; the schedule scales it"
    beta1: float = 0.9
    "decay of the mean of the gradients"
    beta2: float = 0.98
    "decay of the mean of their squares"
    eps: float = 1e-8
    "added to the denominator"
    weight_decay: float = 0.01
    "decoupled decay of matrices and kernels; biases, gains and other vectors never decay"

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise ConfigError(f"lr: {self.lr}; expected more than 0")


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Name -> parameter for what is not frozen; a tied parameter stands once."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def build_optimizer(module: nn.Module, config: AdamWConfig) -> torch.optim.AdamW:
    """Two groups: matrices (two dimensions or more) that decay, vectors that do not.

    The fused kernel is used where torch has one: also on CPUs, where it is several times faster than a loop.
    Raises ConfigError when everything is frozen.
    """
    parameters = list(trainable(module).values())
    if not parameters:
        raise ConfigError("freeze: every parameter is frozen; leave something to train")
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        fused=all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters),
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """The same learning rate in every group."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """The gradients there are: a parameter that took no part in this step has none."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def norm_of(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all elements together: a scalar, still on the device."""
    return torch.nn.utils.get_total_norm(list(tensors))
