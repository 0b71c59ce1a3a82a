"""The schema of a config class: its options, and how the text of a value is read. `stxlib.config` is what commands use."""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Literal


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


def options_of(
    cls: type, kinds: Mapping[str, str], *, default: Any = MISSING, prefix: str = ""
) -> Iterator[Option]:
    """The leaves of a config class. `kinds` (dotted key of a union's kind -> its value) chooses the variants;
    `default` is an instance whose values are the defaults in place of the class's own."""
    docs, hints = field_docs(cls), typing.get_type_hints(cls)
    for field in fields(cls):
        key, hint = prefix + field.name, hints[field.name]
        value = getattr(default, field.name) if default is not MISSING else default_of(field)
        variants: list[Any] = [variant for variant in alternatives(hint) if is_dataclass(variant)]
        if not variants:
            is_positional = bool(field.metadata.get("positional", False))
            yield Option(key, hint, value, docs.get(field.name, ""), is_positional)
        elif len(variants) == 1:
            yield from options_of(variants[0], kinds, default=value, prefix=key + ".")
        else:
            by_kind = {kind_of(variant): variant for variant in variants}
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


def default_of(field: Any) -> Any:
    """The default of a dataclass field; `MISSING` where it has none."""
    return field.default_factory() if field.default_factory is not MISSING else field.default


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union type; the type itself where it is none."""
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return typing.get_args(hint) if is_union else (hint,)


def kind_of(variant: type) -> str:
    """The word that names a variant of a union: the default of its field `kind`."""
    kind = {field.name: field.default for field in fields(variant)}.get("kind")
    assert isinstance(kind, str), (
        f"{variant.__name__} stands in a union and needs a field `kind` with a default"
    )
    return kind


def convert(text: str, hint: Any) -> Any:
    """Read one value by its field's type; raises ValueError with a sentence about what was expected."""
    choices = alternatives(hint)
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
            f"expected one of {', '.join(map(str, allowed))}, not '{text}'{nearest(text, allowed)}"
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


def item_type(hint: Any) -> Any | None:
    """The item type of a `tuple[x, ...]` field, None for a single value."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None


def nearest(name: str, names: Sequence[Any]) -> str:
    """A question to end an error with, if one of the names is much like the one that was typed; else nothing."""
    close = difflib.get_close_matches(name, [str(known) for known in names], n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""
