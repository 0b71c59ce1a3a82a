"""Which format a file of references or predictions has: one reader a format.

data_dir  a folder of sorted tables, or one table of it (docs/architecture.md, "Data directories")
slurp     SLURP's JSON lines, gold and predictions: `stxlib.score.slurp_format`
slue      SLUE's tables with a header, and its submission file: `stxlib.score.slue_format`
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stxlib.data.tables import read_table
from stxlib.errors import DataError
from stxlib.score.labels import Format, Labels, Side
from stxlib.score.slue_format import COLUMNS, read_slue
from stxlib.score.slurp_format import begins_array, read_slurp


def read_labels(
    where: Path,
    streams: Sequence[str],
    side: Side,
    *,
    format: Format = "auto",
    load_gold: bool = False,
) -> Labels:
    """Read those of `streams` that `where` has. DataError when it has none, or cannot be read.

    load_gold: SLURP files are keyed by `slurp_id`, and not by recordings.
    """
    found = format_of(where, format)
    if where.suffix == ".gz" and where.is_file():
        raise DataError(f"{where}: is compressed; unpack it (gunzip -k {where}) and give that file")
    if found == "data_dir":
        labels = read_data_dir(where, streams, side)
    elif not where.is_file():
        kind = "SLURP's JSON lines" if found == "slurp" else "a SLUE table"
        raise DataError(
            f"{where}: is no file; --format {found} expects {kind}, --format auto looks at each side"
        )
    elif found == "slurp":
        labels = read_slurp(where, streams, side, load_gold=load_gold)
    else:
        labels = read_slue(where, streams)
    if not labels.streams:
        raise DataError(
            f"{where}: has no {' or '.join(streams)}, read as {found}; check --format and --metric"
        )
    return labels


def format_of(where: Path, format: Format) -> Format:
    """The format that was given, or what the path looks like: never `auto`."""
    return look(where) if format == "auto" else format


def look(where: Path) -> Format:
    """The format of a path by what it holds: never `auto`."""
    if not where.is_file():
        return "data_dir"
    try:
        with where.open(encoding="utf-8-sig", errors="replace") as lines:
            first = next((line for line in lines if line.strip()), "")
    except OSError as error:
        raise DataError(f"{where}: {error.strerror or error}; check the path and its permissions") from None
    if first.lstrip().startswith("{") or begins_array(first):
        return "slurp"
    columns = first.rstrip("\r\n").split("\t")
    return "slue" if "id" in columns and not COLUMNS.isdisjoint(columns) else "data_dir"


def read_data_dir(where: Path, streams: Sequence[str], side: Side) -> Labels:
    """The tables of a folder; a file stands for the table that it is named after, else for the first stream."""
    if where.is_dir():
        places = {stream: where / stream for stream in streams if (where / stream).is_file()}
    else:
        places = {where.name if where.name in streams else streams[0]: where} if where.is_file() else {}
    if not places:
        path = where / streams[0] if where.is_dir() or not where.suffix else where
        others = f", nor {' or '.join(streams[1:])}" if len(streams) > 1 else ""
        if not (path.exists() or path.parent.exists()) or path.suffix in (".jsonl", ".tsv", ".gz"):
            raise DataError(f"{path}: there is no such file or folder; check the path")
        raise DataError(f"{path}: no such table{others}; expected lines of '<utterance> <{streams[0]}>'")
    tables = {stream: read_table(path, allow_empty=side == "hyp") for stream, path in places.items()}
    return Labels(source=where, streams=tables, places=places)
