"""Starting from a saved network: which tensors are taken over, which are missing, which parts are frozen.

Patterns are shell globs over dotted names, as in Python's `fnmatch`: `*` stands for anything, dots included,
`?` for one character, `[0-3]` for one of several. They match whole names: not `backbone`, but `backbone.*`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stxlib.errors import ConfigError, DataError
from stxlib.train.provenance import as_count

MODEL_FILE = "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class InitConfig:
    """What is taken over from a saved network: tensors, and those settings that are not given, as far as the patterns of tensors match their
    names too (`encoder.*` does, `encoder.conformer.layers.*` does not)."""

    include: tuple[str, ...] = ("*",)
    "patterns of names to load; `*` stands for anything, dots included (encoder.* bottom?.weight)"
    exclude: tuple[str, ...] = ()
    "patterns of names to leave as they are, though included"
    rename: tuple[str, ...] = ()
    "`old=new`: a name that begins with old begins with new instead, before the patterns are applied"

    def __post_init__(self) -> None:
        for rule in self.rename:
            if rule.count("=") != 1:
                raise ConfigError(f"rename: '{rule}'; expected old=new")


@dataclass(frozen=True)
class SymbolRows:
    """Tensors with a row for each symbol of a vocabulary, which may be another one than that of the saved network."""

    name: str
    "of the vocabulary, for messages"
    patterns: tuple[str, ...]
    "of the names of the tensors"
    before: tuple[str, ...]
    "symbols of the rows in the saved network"
    now: tuple[str, ...]
    "symbols of the rows in this one"

    @property
    def common(self) -> tuple[list[int], list[int]]:
        """Rows of the symbols that both have: in the saved network, and in this one."""
        rows = {symbol: row for row, symbol in enumerate(self.before)}
        pairs = [(rows[symbol], row) for row, symbol in enumerate(self.now) if symbol in rows]
        return [old for old, _ in pairs], [new for _, new in pairs]

    def fits(self, name: str, saved: Tensor, own: Tensor) -> bool:
        """Whether a tensor has such rows, and they are of symbols that differ."""
        return (
            _matches(name, self.patterns)
            and self.before != self.now
            and saved.shape == (len(self.before), *own.shape[1:])
            and len(own) == len(self.now)
        )


@dataclass(frozen=True)
class InitReport:
    """What `initialize` did: names in the network's own order."""

    source: str
    loaded: tuple[str, ...]
    grown: tuple[str, ...]
    "those of them whose rows of new symbols keep their own initialization"
    told: tuple[str, ...]
    "a line for each vocabulary that is not that of the saved network, with or without symbols added at its end"
    missing: tuple[str, ...]
    "tensors of the network that keep their own initialization"
    unexpected: tuple[str, ...]
    "tensors of the file that were wanted, but the network has no such name"
    left_out: tuple[str, ...]
    "tensors of the file that include and exclude left out"
    sizes: dict[str, int]

    def lines(self, module: nn.Module) -> list[str]:
        """For the first lines of a run. module: the network, after `freeze`, for what is frozen."""
        frozen = [name for name, parameter in module.named_parameters() if not parameter.requires_grad]
        sizes = self.sizes | {name: p.numel() for name, p in module.named_parameters()}
        counts = ", ".join(
            f"{title} {_counted(names, sizes)}"
            for title, names in (
                ("loaded", self.loaded),
                ("missing", self.missing),
                ("unexpected", self.unexpected),
                ("frozen", frozen),
            )
        )
        lines = [f"init: from {self.source}: {counts}"]
        for title, names in (("missing", self.missing), ("unexpected", self.unexpected)):
            if names:
                lines.append(f"init: {title}: {_some(names)}")
        lines += self.told
        if self.grown:
            lines.append(f"init: rows of new symbols start anew: {_some(self.grown)}")
        if self.left_out:
            lines.append(f"init: left out by patterns: {_counted(self.left_out, self.sizes)}")
        return lines


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """The tensors of a saved network: a folder with `model.safetensors`, or a .safetensors file itself.

    Raises ConfigError when there is no such file, DataError when it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = Path(path) / MODEL_FILE if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise ConfigError(f"--init {path}: no {MODEL_FILE} there; give the folder of a finished run")
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{file}: not a safetensors file: {error}; make it again") from None


def inherited(
    own: Mapping[str, Any], saved: Mapping[str, Any], config: InitConfig, given: Collection[str]
) -> dict[str, Any]:
    """What a network takes over of the settings of that which it begins with: those of the parts whose tensors it takes over, by the
    same names and patterns, but for those that were given.

    own, saved: dotted key -> value; given: keys of own that a user chose. A part of another `kind` is taken over whole, or, where anything
    was given of it, not at all.
    """
    theirs = {_rename(key, config.rename): value for key, value in saved.items()}
    theirs = {
        key: value
        for key, value in theirs.items()
        if key != "kind" and _matches(key, config.include) and not _matches(key, config.exclude)
    }
    whole: tuple[str, ...] = ()
    for key in [key for key in theirs if key.endswith(".kind") and theirs[key] != own.get(key)]:
        part = key.removesuffix("kind")
        if part.startswith(whole):
            continue  # goes with the part around it
        if key not in own or any(name.startswith(part) for name in given):
            theirs = {name: value for name, value in theirs.items() if not name.startswith(part)}
        else:
            whole += (part,)
    return {
        key: value
        for key, value in theirs.items()
        if key not in given and (key in own or key.startswith(whole)) and own.get(key) != value
    }


def initialize(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    config: InitConfig,
    *,
    source: str,
    symbols: Sequence[SymbolRows] = (),
) -> InitReport:
    """Copy tensors into the parameters and buffers of the same names.

    source: where the tensors are from, for messages.
    symbols: tensors that are copied row by row, each to the row of the same symbol; rows of symbols that the saved network has not
        stay as they are.
    Raises ConfigError when nothing matches, when a pattern matches nothing, or when shapes differ.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        new = _rename(name, config.rename)
        if new in renamed:
            raise ConfigError(f"init: {source}: rename gives two tensors the name {new}; use a longer prefix")
        renamed[new] = tensor
    for option, patterns in (("include", config.include), ("exclude", config.exclude)):
        for pattern in patterns:
            _names_under(pattern, list(renamed), f"init.{option}: {source}")
    wanted = {
        n: t for n, t in renamed.items() if _matches(n, config.include) and not _matches(n, config.exclude)
    }
    own = module.state_dict()
    loaded = [name for name in own if name in wanted]
    if not loaded:
        raise ConfigError(
            f"init: {source}: no tensor fits this network ({_some(sorted(wanted)) or 'the patterns left none'}; "
            f"the network has {_some(list(own))}); check --init, include, exclude and rename"
        )
    tables = {
        name: table for name in loaded for table in symbols if table.fits(name, wanted[name], own[name])
    }
    if wrong := [name for name in loaded if own[name].shape != wanted[name].shape and name not in tables]:
        shown = ", ".join(f"{n} {tuple(wanted[n].shape)} for {tuple(own[n].shape)}" for n in wrong[:5])
        raise ConfigError(
            f"init: {source}: {len(wrong)} tensors have another shape: {shown}; leave their sizes to the network.yaml of --init, "
            "or give those that it has, or exclude them to start them anew"
        )
    with torch.no_grad():
        for name in loaded:
            if name in tables:
                theirs, ours = tables[name].common
                own[name][ours] = wanted[name][theirs].to(own[name])
            else:
                own[name].copy_(wanted[name])
    return InitReport(
        source=source,
        loaded=tuple(loaded),
        grown=tuple(name for name, table in tables.items() if {*table.now} - {*table.before}),
        told=tuple(
            f"init: {'WARNING: ' if 2 * len(table.common[0]) < len(table.now) else ''}{table.name}: "
            f"{len(table.common[0])} of {len(table.now)} are symbols of {source} as well, and begin with their rows"
            for table in symbols
            if table in tables.values() and table.now[: len(table.before)] != table.before
        ),
        missing=tuple(name for name in own if name not in wanted),
        unexpected=tuple(name for name in wanted if name not in own),
        left_out=tuple(name for name in renamed if name not in wanted),
        sizes={name: tensor.numel() for name, tensor in (own | renamed).items()},
    )


def freeze(module: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Stop training the parameters whose names match; returns their names.

    Raises ConfigError when a pattern matches nothing.
    """
    names = [name for name, _ in module.named_parameters()]
    chosen = {name for pattern in patterns for name in _names_under(pattern, names, "freeze")}
    for name, parameter in module.named_parameters():
        if name in chosen:
            parameter.requires_grad_(False)
    return [name for name in names if name in chosen]


def set_train_mode(module: nn.Module) -> None:
    """Train mode, but a module all of whose parameters are frozen stays in eval mode: it has no dropout."""
    module.train()
    for part in module.modules():
        parameters = list(part.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            part.eval()


def _names_under(pattern: str, names: Sequence[str], where: str) -> list[str]:
    matching = [name for name in names if fnmatchcase(name, pattern)]
    if not matching:
        raise ConfigError(f"{where}: '{pattern}' matches none of {len(names)} names: {_some(names)}")
    return matching


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _rename(name: str, rules: Sequence[str]) -> str:
    for rule in rules:
        old, new = rule.split("=")
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _counted(names: Sequence[str], sizes: Mapping[str, int]) -> str:
    return f"{len(names)} ({as_count(sum(sizes[name] for name in names))})" if names else "0"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
