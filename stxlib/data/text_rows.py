"""Rows of labelled text on their way to the streams of a data directory: their ids, blanks, and what is done about bad ones."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from stxlib.errors import DataError
from stxlib.text.labels import Entity

STREAMS = ("text", "intent", "semantics", "entities", "sentiment", "parse")
"what is said in an utterance, and what it means"

Tables = dict[str, dict[str, str]]
"""stream -> id -> value"""
Report = Callable[[str], None]
"""told of a row that cannot be used: where, what was seen, what to do"""


@dataclass
class Row:
    """One utterance."""

    line: int
    id: str
    "its own; empty where it has none that can be one"
    values: dict[str, str] = field(default_factory=dict)


def stop(problem: str) -> NoReturn:
    """Raise DataError: the report of readers that accept no row that cannot be used."""
    raise DataError(problem)


def tables_of(rows: Sequence[Row], path: Path, name: str) -> Tables:
    """The streams of some rows, by id. name: begins the ids that are made; that of the file, if empty."""
    own = [row.id for row in rows]
    name = "_".join((name or path.name.split(".")[0]).split())
    usable = len({*own}) == len(own) and all(utt and utt.split() == [utt] for utt in own)
    tables: Tables = {stream: {} for stream in (*STREAMS, "utt2spk")}
    for row in rows:
        utt = row.id if usable else f"{name}-{row.line:08d}"
        for stream, value in row.values.items():
            tables[stream][utt] = value
    return {stream: table for stream, table in tables.items() if table}


def common_rows(tables: Tables) -> tuple[Tables, dict[str, list[str]]]:
    """The tables with those ids alone that all of them have, as a data directory needs it; and by stream the ids that it lacks."""
    ids = {utt for table in tables.values() for utt in table}
    lacking = {name: sorted(ids - table.keys()) for name, table in tables.items() if table.keys() != ids}
    dropped = {utt for utts in lacking.values() for utt in utts}
    kept = {
        name: {utt: value for utt, value in table.items() if utt not in dropped}
        for name, table in tables.items()
    }
    return kept, lacking


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers and lines, without what ends them, of a plain or gzipped UTF-8 file. Raises DataError."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; correct the path") from None
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}; give UTF-8 text, plain or gzipped") from None


def squeeze(text: str) -> str:
    """The text with single blanks, and none at its ends."""
    return " ".join(text.split())


def squeeze_entity(entity: Entity, text: str) -> Entity:
    """The entity with single blanks, and its start in the squeezed `text`. ValueError where it has no type, or starts outside."""
    if not entity.type.strip():
        raise ValueError(f"an entity has no type: {entity.filler[:60]!r}; name one")
    filler = squeeze(entity.filler)
    if entity.start is None:
        return Entity(squeeze(entity.type), filler)
    if entity.start >= len(text):
        raise ValueError(
            f"{filler[:60]!r} starts at {entity.start}, and the text has {len(text)} characters; correct it"
        )
    start = entity.start + len(entity.filler) - len(entity.filler.lstrip())
    before = text[:start]
    apart = bool(before.strip()) and before[-1].isspace()
    return Entity(squeeze(entity.type), filler, len(squeeze(before)) + apart)
