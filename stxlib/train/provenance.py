"""The first lines of a run: enough to know later what was run, by which code, on what."""

from __future__ import annotations

import platform
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence

import torch
from torch import nn

import stxlib
from stxlib.revision import git_commit
from stxlib.train.distributed import Distributed
from stxlib.train.precision import Precision
from stxlib.train.settings import Setting


def first_lines(
    objective: nn.Module,
    settings: Mapping[str, Setting],
    sources: Mapping[str, str],
    distributed: Distributed,
    precision: Precision,
    facts: Sequence[str],
) -> list[str]:
    """Command, commit, devices, origin of each setting, parameters by part, then the facts of the caller."""
    return [
        f"command: {shlex.join(sys.orig_argv)}",
        f"code: stxlib {stxlib.__version__}, commit {git_commit()}",
        machine(distributed, precision),
        *describe_settings(settings, sources),
        *describe_parameters(objective),
        *facts,
    ]


def machine(distributed: Distributed, precision: Precision) -> str:
    """Devices, processes, threads, precision and versions in one line."""
    device = distributed.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU {platform.machine()}"
    processes = (
        "1 process"
        if distributed.world_size == 1
        else f"{distributed.world_size} processes ({distributed.backend})"
    )
    return (
        f"device: {name}, {processes} of {torch.get_num_threads()} threads, "
        f"{'fp32' if precision == 'none' else precision}; torch {torch.__version__}, Python {platform.python_version()}"
    )


def describe_settings(settings: Mapping[str, Setting], sources: Mapping[str, str]) -> list[str]:
    """A line for each setting that someone chose, with its place; then all defaults in one paragraph."""
    chosen = [key for key in settings if sources.get(key, "default") != "default"]
    lines = [f"config: {key} = {_shown(settings[key])}  ({sources[key]})" for key in chosen]
    defaults = " ".join(f"{key}={_shown(settings[key])}" for key in settings if key not in chosen)
    if defaults:
        lines += textwrap.wrap(
            f"config: by default: {defaults}",
            110,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def describe_parameters(objective: nn.Module) -> list[str]:
    """Trainable and frozen parameters of each part: the children of the first module that has several."""
    prefix, module = "", objective
    while True:
        children = [(n, c) for n, c in module.named_children() if any(True for _ in c.parameters())]
        if len(children) != 1 or next(module.parameters(recurse=False), None) is not None:
            break
        prefix, module = f"{prefix}{children[0][0]}.", children[0][1]
    parts: list[tuple[str, list[nn.Parameter]]] = [(prefix + n, list(c.parameters())) for n, c in children]
    if own := list(module.parameters(recurse=False)):
        parts.append((f"{prefix}(own)", own))
    lines = [f"parameters: {name}: {_counted(parameters)}" for name, parameters in parts]
    return [*lines, f"parameters: all: {_counted(list(objective.parameters()))}"]


def as_count(number: int) -> str:
    """`512`, `38.2 k`, `4.03 M`, `7.25 G`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return str(number)


def _counted(parameters: Sequence[nn.Parameter]) -> str:
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    frozen = sum(p.numel() for p in parameters if not p.requires_grad)
    return f"{as_count(trained)} trainable" + (f", {as_count(frozen)} frozen" if frozen else "")


def _shown(value: Setting) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
