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
import ast
import difflib
import functools
import inspect
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Generic, Literal, NoReturn, TypeVar

import configargparse
import yaml

from stxlib.errors import ConfigError

T = TypeVar("T")
Scalar = bool | int | float | str | Path | None


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """A config, and where each of its values came from."""

    config: T
    sources: dict[str, str]
    "dotted key -> 'default', 'conf/train.yaml:12' or 'command line'"


@dataclass(frozen=True)
class Option:
    """One settable value: a leaf of the tree of configs."""

    key: str
    "dotted, as in YAML and on the command line"
    type: Any
    default: Any
    "`MISSING` where the user has to say it"
    help: str
    is_positional: bool = False


# --- the schema: a class -> its options ---


def options_of(
    cls: type, kinds: Mapping[str, str], *, default: Any = MISSING, prefix: str = ""
) -> Iterator[Option]:
    """The leaves of a config class. `kinds` (dotted key of a union's kind -> its value) chooses the variants;
    `default` is an instance whose values are the defaults in place of the class's own."""
    docs, hints = field_docs(cls), typing.get_type_hints(cls)
    for field in fields(cls):
        key, hint = prefix + field.name, hints[field.name]
        value = getattr(default, field.name) if default is not MISSING else _default_of(field)
        variants: list[Any] = [variant for variant in _alternatives(hint) if is_dataclass(variant)]
        if not variants:
            is_positional = bool(field.metadata.get("positional", False))
            yield Option(key, hint, value, docs.get(field.name, ""), is_positional)
        elif len(variants) == 1:
            yield from options_of(variants[0], kinds, default=value, prefix=key + ".")
        else:
            by_kind = {_kind_of(variant): variant for variant in variants}
            fallback = value.kind if value is not MISSING else MISSING
            chosen = by_kind.get(kinds.get(f"{key}.kind", fallback))
            yield Option(f"{key}.kind", Literal[tuple(by_kind)], fallback, docs.get(field.name, ""))
            if chosen is not None:
                same = value if isinstance(value, chosen) else MISSING
                inner = options_of(chosen, kinds, default=same, prefix=key + ".")
                yield from (option for option in inner if option.key != f"{key}.kind")


@functools.cache
def field_docs(cls: type) -> dict[str, str]:
    """Field name -> the string literal under it in the source of the class (and of the classes it extends)."""
    docs: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        if not is_dataclass(owner):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for statement, below in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            ):
                docs[statement.target.id] = " ".join(below.value.value.split())
    return docs


def _default_of(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _alternatives(hint: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return typing.get_args(hint) if is_union else (hint,)


def _kind_of(variant: type) -> str:
    kind = {field.name: field.default for field in fields(variant)}.get("kind")
    assert isinstance(kind, str), (
        f"{variant.__name__} stands in a union and needs a field `kind` with a default"
    )
    return kind


# --- values: text -> a field's type ---


def convert(text: str, hint: Any) -> Any:
    """Read one value by its field's type; raises ValueError with a sentence about what was expected."""
    choices = _alternatives(hint)
    if types.NoneType in choices:
        if text.lower() in ("none", "null", "~", ""):
            return None
        choices = tuple(choice for choice in choices if choice is not types.NoneType)
    (kind,) = choices
    if typing.get_origin(kind) is Literal:
        allowed = typing.get_args(kind)
        for value in allowed:
            if str(value) == text:
                return value
        raise ValueError(
            f"expected one of {', '.join(map(str, allowed))}, not '{text}'{_nearest(text, allowed)}"
        )
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ValueError(f"expected true or false, not '{text}'")
    try:
        value = kind(text)
        if value != value:  # "nan": no option means anything by it, and no comparison would stop it
            raise ValueError(text)
        return value
    except ValueError:
        names = {int: "a whole number", float: "a number"}
        raise ValueError(f"expected {names.get(kind, kind.__name__)}, not '{text}'") from None


def _item_type(hint: Any) -> Any | None:
    """The item type of a `tuple[x, ...]` field, None for a single value."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None


def _nearest(name: str, names: Sequence[Any]) -> str:
    close = difflib.get_close_matches(name, [str(known) for known in names], n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


# --- YAML ---


@dataclass(frozen=True)
class _Entry:
    texts: str | list[str]
    line: int


def _read_yaml(text: str, where: str) -> tuple[dict[str, _Entry], list[str]]:
    """Flatten a YAML into dotted keys with their lines; nothing in it is executed. Returns entries and errors."""
    entries: dict[str, _Entry] = {}
    errors: list[str] = []

    def walk(node: yaml.Node, prefix: str) -> None:
        line = node.start_mark.line + 1
        if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
            errors.append(f"{where}:{line}: tag {node.tag} is not allowed: a config holds plain values")
        elif isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                key = prefix + str(name.value)
                if key in entries:
                    errors.append(f"{where}:{name.start_mark.line + 1}: key '{key}' stands twice")
                walk(value, key + "." if isinstance(value, yaml.MappingNode) else key)
                if not isinstance(value, yaml.MappingNode) and key in entries:
                    entries[key] = _Entry(entries[key].texts, name.start_mark.line + 1)
        elif isinstance(node, yaml.SequenceNode):
            if all(isinstance(item, yaml.ScalarNode) for item in node.value):
                entries[prefix] = _Entry([item.value for item in node.value], line)
            else:
                errors.append(f"{where}:{line}: '{prefix}' may hold plain values only")
        else:
            entries[prefix] = _Entry(node.value, line)

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        return {}, [f"{where}:{mark.line + 1 if mark else 1}: not YAML: {problem}"]
    if root is not None:
        if not isinstance(root, yaml.MappingNode):
            return {}, [f"{where}:1: expected 'key: value' lines"]
        walk(root, "")
    return entries, errors


def _check_yaml(entries: dict[str, _Entry], options: dict[str, Option], where: str) -> list[str]:
    """One message for each key that does not exist and each value that cannot be read."""
    errors = []
    for key, entry in entries.items():
        at = f"{where}:{entry.line}"
        if key not in options:
            errors.append(f"{at}: no such key '{key}'{_nearest(key, list(options))}")
            continue
        item = _item_type(options[key].type)
        if (item is None) == isinstance(entry.texts, list):
            errors.append(f"{at}: '{key}' expects {'a list [a, b]' if item else 'one value, not a list'}")
            continue
        for text in [entry.texts] if isinstance(entry.texts, str) else entry.texts:
            try:
                convert(text, item or options[key].type)
            except ValueError as error:
                errors.append(f"{at}: '{key}': {error}")
    return errors


class _Parser(configargparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog}: {message}; see --help")


class _Flattened(configargparse.ConfigFileParser):
    """Hands configargparse the dotted keys of a YAML."""

    def parse(self, stream: Any) -> dict[str, str | list[str]]:
        return {key: entry.texts for key, entry in _read_yaml(stream.read(), "")[0].items()}

    def get_syntax_description(self) -> str:
        return (
            "--config takes a YAML of the options below, nested at the dots; the command line overrides it."
        )


# --- the entrance ---


def parse_config(
    cls: type[T], argv: Sequence[str] | None = None, *, prog: str, description: str = ""
) -> Parsed[T]:
    """Read a command's config from `--config FILE` and options; `--print_config` prints it as YAML and exits.

    argv: the words after the command's name; None: those of this process.
    prog: `stxlib.bin.train`; named in `--help` and errors.
    Raises ConfigError: everything wrong with the YAML at once, or what is wrong with the command line.
    """
    words = [_underscored(word) for word in (sys.argv[1:] if argv is None else argv)]
    path = _value_of(words, "--config")
    text = _read_config_file(path) if path is not None else ""
    entries, errors = _read_yaml(text, str(path))
    options = {option.key: option for option in options_of(cls, _kinds(cls, entries, words))}
    errors += _check_yaml(entries, options, str(path))
    if errors:
        raise ConfigError("\n".join(errors))

    for word in words:
        name = word[2:].split("=")[0]
        if word.startswith("--") and name not in (*options, "config", "print_config", "help"):
            raise ConfigError(f"{prog}: no such option --{name}{_nearest(name, list(options))}; see --help")
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


def _kinds(cls: type, entries: dict[str, _Entry], words: Sequence[str]) -> dict[str, str]:
    """The chosen kind of every union: the command line's word, else the YAML's."""
    kinds = {key: entry.texts for key, entry in entries.items() if isinstance(entry.texts, str)}
    for word in words:
        key = word[2:].split("=")[0]
        if word.startswith("--") and key.endswith(".kind"):
            kinds[key] = _value_of(words, f"--{key}") or ""
    return kinds


def _build_parser(options: dict[str, Option], prog: str, description: str) -> configargparse.ArgumentParser:
    parser = _Parser(
        prog=f"python -m {prog}",
        usage=f"python -m {prog} [--config FILE] [--option value]...",
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
        item = _item_type(option.type)
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
    choices = [choice for choice in _alternatives(hint) if choice is not types.NoneType]
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
            variant for variant in _alternatives(hints[field.name]) if is_dataclass(variant)
        ]
        if not variants:
            value: Any = values.get(key, field.default)
            arguments[field.name] = tuple(value) if _item_type(hints[field.name]) else value
        else:
            chosen = variants[0]
            if len(variants) > 1:
                chosen = next(variant for variant in variants if _kind_of(variant) == values[f"{key}.kind"])  # type: ignore[arg-type]
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
