"""Configs: frozen dataclasses <-> YAML <-> command line.

A config is a `@dataclass(frozen=True, kw_only=True)` above the class that it configures; the string under a field is
its help. A choice of component is a union of such classes, told apart by their field `kind`:

    @dataclass(frozen=True, kw_only=True)
    class Greedy:
        kind: Literal["greedy"] = "greedy"

    @dataclass(frozen=True, kw_only=True)
    class DecodeConfig:
        model: Path
        "folder of the trained network"
        decoder: Greedy | Beam = Greedy()
        "how to search"

becomes `--model DIR --decoder.kind beam --decoder.beam_size 6`, or the same keys nested in a YAML given by `--config`.
Precedence: default < YAML < command line. A value is read by its field's type (`lr: 1e-3` is a float); a key that does
not exist, twice given, or of the wrong type is an error with file and line, and all errors of a file are told at once.
"""

from __future__ import annotations

import argparse
import functools
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Generic, Literal, NoReturn, TypeVar

import configargparse
import yaml

from stxlib.config_options import Option, alternatives, convert, item_type, kind_of, nearest, options_of
from stxlib.config_yaml import Entry, check_yaml, read_yaml
from stxlib.errors import ConfigError

T = TypeVar("T")
Scalar = bool | int | float | str | Path | None


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """A config, and where each of its values came from."""

    config: T
    sources: dict[str, str]
    "dotted key -> 'default', 'conf/train.yaml:12' or 'command line'"


class _Parser(configargparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog}: {message}; see --help")


class _Flattened(configargparse.ConfigFileParser):
    """Hands configargparse the dotted keys of a YAML."""

    def parse(self, stream: Any) -> dict[str, str | list[str]]:
        return {key: entry.texts for key, entry in read_yaml(stream.read(), "")[0].items()}

    def get_syntax_description(self) -> str:
        return (
            "--config takes a YAML of the options below, nested at the dots; the command line overrides it."
        )


def parse_config(
    cls: type[T], argv: Sequence[str] | None = None, *, prog: str, description: str = ""
) -> Parsed[T]:
    """Read a command's config from `--config FILE` and options; `--print_config` prints it as YAML and exits.

    argv: the words after the command's name; None: those of this process.
    prog: `stxlib.bin.train`, or a script as `local/prepare.py`; named in `--help` and errors.
    Raises ConfigError: everything wrong with the YAML at once, or what is wrong with the command line.
    """
    words = [_underscored(word) for word in (sys.argv[1:] if argv is None else argv)]
    path = _value_of(words, "--config")
    text = _read_config_file(path) if path is not None else ""
    entries, errors = read_yaml(text, str(path))
    options = {option.key: option for option in options_of(cls, _kinds(cls, entries, words))}
    errors += check_yaml(entries, options, str(path))
    if errors:
        raise ConfigError("\n".join(errors))

    for word in words:
        name = word[2:].split("=")[0]
        if word.startswith("--") and name not in (*options, "config", "print_config", "help"):
            raise ConfigError(f"{prog}: no such option --{name}{nearest(name, list(options))}; see --help")
    namespace = vars(_build_parser(options, prog, description).parse_args(words, config_file_contents=text))
    missing = [
        f"--{key}"
        for key, option in options.items()
        if namespace[key] is MISSING and option.default is MISSING
    ]
    if missing:
        raise ConfigError(f"{prog}: {' '.join(missing)}: required, but not given; see --help")
    values = {key: value for key, value in namespace.items() if key in options}
    given = {word[2:].split("=")[0] for word in words if word.startswith("--")}
    given |= {key for key, option in options.items() if option.is_positional and values[key]}
    try:
        config = _build(cls, values)
    except _OutOfRange as error:
        line = entries[error.key].line if error.key in entries and error.key not in given else 0
        raise ConfigError(f"{path}:{line}: {error}" if line else str(error)) from None
    if namespace["print_config"]:
        print(dump_config(config), end="")
        raise SystemExit(0)
    sources = {
        key: "command line"
        if key in given
        else f"{path}:{entries[key].line}"
        if key in entries
        else "default"
        for key in options
    }
    return Parsed(config, sources)


def load_config(cls: type[T], path: Path | str) -> T:
    """The config of a YAML file alone. Raises ConfigError as `parse_config` does."""
    return parse_config(cls, ["--config", str(path)], prog=str(path)).config


def flatten(config: Any, prefix: str = "") -> dict[str, Scalar | tuple[Scalar, ...]]:
    """Dotted key -> value of every leaf, in the order of the fields."""
    flat: dict[str, Scalar | tuple[Scalar, ...]] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            flat |= flatten(value, f"{prefix}{field.name}.")
        else:
            flat[prefix + field.name] = value
    return flat


def changed(config: T, values: Mapping[str, Any]) -> T:
    """The same config with other values under some dotted keys; a `kind` among them changes the variant, whose other fields
    are those of the same names before, else default.

    Raises ConfigError for values that a class refuses.
    """
    return _build(type(config), flatten(config) | dict(values))


def dump_config(config: Any) -> str:
    """The whole config as YAML, defaults included; `load_config` of it gives an equal config."""

    def plain(value: Any) -> Any:
        if is_dataclass(value):
            return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    return yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True, width=100)


def _underscored(word: str) -> str:
    """`--stop-stage=3` -> `--stop_stage=3`: both spellings are typed, one is documented."""
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    return "--" + name.replace("-", "_") + equals + value


def _value_of(words: Sequence[str], name: str) -> str | None:
    for word, following in zip(words, [*words[1:], None], strict=False):
        if word.startswith(name + "="):
            return word[len(name) + 1 :]
        if word == name:
            if following is None:
                raise ConfigError(f"{name}: a value is missing")
            return following
    return None


def _read_config_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {path}: cannot be read: {error}") from None


def _kinds(cls: type, entries: dict[str, Entry], words: Sequence[str]) -> dict[str, str]:
    """The chosen kind of every union: the command line's word, else the YAML's."""
    kinds = {key: entry.texts for key, entry in entries.items() if isinstance(entry.texts, str)}
    for word in words:
        key = word[2:].split("=")[0]
        if word.startswith("--") and key.endswith(".kind"):
            kinds[key] = _value_of(words, f"--{key}") or ""
    return kinds


def _build_parser(options: dict[str, Option], prog: str, description: str) -> configargparse.ArgumentParser:
    command = prog if prog.endswith(".py") else f"python -m {prog}"
    parser = _Parser(
        prog=command,
        usage=f"{command} [--config FILE] [--option value]...",
        description=description,
        config_file_parser_class=_Flattened,
        allow_abbrev=False,
        add_config_file_help=True,
        add_env_var_help=False,
        formatter_class=functools.partial(
            argparse.RawDescriptionHelpFormatter, max_help_position=36, width=110
        ),
    )
    parser.add_argument("--config", metavar="FILE", help="YAML of the options below")
    parser.add_argument("--print_config", action="store_true", help="print the whole config as YAML and exit")
    for key, option in options.items():
        item = item_type(option.type)
        hint = item or option.type
        default = "" if option.default is MISSING else f" [{_shown(option.default)}]"
        arguments: dict[str, Any] = {
            "type": _argparse_type(hint),
            "default": option.default,
            "metavar": _metavar(hint),
            "help": (
                option.help + ("" if option.default is not MISSING else " (required)") + default
            ).replace("%", "%%"),
        }
        if item is not None:
            arguments["nargs"] = "*"
        if option.is_positional:
            parser.add_argument(key, **arguments)
        else:
            parser.add_argument(f"--{key}", dest=key, **arguments)
    return parser


def _argparse_type(hint: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return convert(text, hint)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _metavar(hint: Any) -> str:
    choices = [choice for choice in alternatives(hint) if choice is not types.NoneType]
    if typing.get_origin(choices[0]) is Literal:
        return "|".join(map(str, typing.get_args(choices[0])))
    names = {bool: "true|false", int: "INT", float: "NUMBER", str: "TEXT", Path: "PATH"}
    return names[choices[0]]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


class _OutOfRange(ConfigError):
    """A value that a config class refuses; `key` is the dotted key that its message names first."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


def _build(cls: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    arguments: dict[str, Any] = {}
    hints = typing.get_type_hints(cls)
    for field in fields(typing.cast(Any, cls)):
        key = prefix + field.name
        variants: list[Any] = [
            variant for variant in alternatives(hints[field.name]) if is_dataclass(variant)
        ]
        if not variants:
            value: Any = values.get(key, field.default)
            arguments[field.name] = tuple(value) if item_type(hints[field.name]) else value
        else:
            chosen = variants[0]
            if len(variants) > 1:
                kind = values[f"{key}.kind"]
                chosen = next((variant for variant in variants if kind_of(variant) == kind), None)  # type: ignore[arg-type]
                if chosen is None:
                    known = ", ".join(str(kind_of(variant)) for variant in variants)  # type: ignore[arg-type]
                    raise _OutOfRange(f"{key}.kind: {kind}; expected one of {known}", f"{key}.kind")
            arguments[field.name] = _build(typing.cast(Any, chosen), values, key + ".")
    try:
        return cls(**arguments)
    except ConfigError as error:
        # Messages begin with the field (`lr: 0; expected ...`, `encoder.num_mels: 2; ...`), or name some in a sentence.
        message, where = str(error), prefix.rstrip(".")
        names = [word.strip(":;,'").rpartition(".")[2] for word in message.split()]
        name = next((name for name in names if name in arguments), "")
        if names and names[0] == name:
            message = prefix + name + message[len(message.split()[0].rstrip(":")) :]
        elif where and not message.startswith(f"{where}:"):
            message = f"{where}: {message}"
        raise _OutOfRange(message, prefix + name) from None
