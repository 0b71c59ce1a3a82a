"""Everything that a run has learnt, as flat tensors, and back: weights, averages, moments of the optimizer."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from stxlib.errors import ConfigError
from stxlib.train.ema import Ema
from stxlib.train.optimizer import trainable

WEIGHTS, AVERAGES, MOMENTS = "weights/", "averages/", "optimizer/"


def collect(objective: nn.Module, ema: Ema, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Flat names -> tensors: `weights/<name>`, `averages/<name>`, `optimizer/<moment>/<name>`."""
    tensors = {WEIGHTS + name: tensor for name, tensor in objective.state_dict().items()}
    tensors |= {AVERAGES + name: tensor for name, tensor in ema.averages.items()}
    for name, parameter in trainable(objective).items():
        for moment, tensor in optimizer.state[parameter].items():
            tensors[f"{MOMENTS}{moment}/{name}"] = tensor
    return tensors


def restore(
    objective: nn.Module, ema: Ema, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """The reverse of `collect`, into a network of the same shape.

    Raises ConfigError naming tensors that are missing, left over or of another shape.
    """
    weights = _under(WEIGHTS, tensors)
    _check_same("weights", objective.state_dict(), weights)
    objective.load_state_dict(weights)
    averages = _under(AVERAGES, tensors)
    _check_same("averages (what is frozen, or ema_decay, has changed)", ema.averages, averages)
    for name, average in ema.averages.items():
        average.copy_(averages[name])

    by_parameter = {parameter: name for name, parameter in trainable(objective).items()}
    state = optimizer.state_dict()
    moments: dict[str, dict[str, Tensor]] = {}
    for key, tensor in _under(MOMENTS, tensors).items():
        moment, _, name = key.partition("/")
        moments.setdefault(name, {})[moment] = tensor
    if unknown := sorted(set(moments) - set(by_parameter.values())):
        raise ConfigError(f"checkpoint: optimizer state of {_some(unknown)}, which is not trained now")
    order = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    # Parameters are numbered in the order of the groups, as `state_dict` of torch's optimizers does.
    state["state"] = {
        number: moments[by_parameter[parameter]]
        for number, parameter in enumerate(order)
        if by_parameter[parameter] in moments
    }
    optimizer.load_state_dict(state)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _check_same(what: str, now: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    parts = [
        ("not in the checkpoint", sorted(set(now) - set(saved))),
        ("only in the checkpoint", sorted(set(saved) - set(now))),
        ("of another shape", sorted(n for n in set(now) & set(saved) if now[n].shape != saved[n].shape)),
    ]
    told = [f"{title}: {_some(names)}" for title, names in parts if names]
    if told:
        raise ConfigError(f"checkpoint: {what} differ: {'; '.join(told)}; start afresh with resume false")


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
