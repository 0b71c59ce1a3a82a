"""SLUE's tables: tab-separated with a header and no quoting.

VoxPopuli   id raw_text normalized_text speaker_id split raw_ner normalized_ner
VoxCeleb    id normalized_text speaker_id split sentiment start_second end_second
submission  id pred_text pred_ner pred_sentiment [set_name]

Columns go by their names. `None` is a word of these files (a reader that takes it for a missing value fails, or drops
rows): in an entity column it says that there are none, in `pred_text` and `pred_sentiment` that nothing was predicted.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stxlib.data.slue_table import SENTIMENTS
from stxlib.errors import DataError
from stxlib.score.labels import Labels
from stxlib.text.labels import Entity, write_entities

_SOURCES = {
    "text": ("pred_text", "normalized_text"),
    "entities": ("pred_ner", "normalized_ner", "normalized_combined_ner"),
    "sentiment": ("pred_sentiment", "sentiment"),
}
_QUOTED = {"pred_text", *_SOURCES["entities"]}

COLUMNS = frozenset(column for columns in _SOURCES.values() for column in columns)
"columns that a stream can be read from"

Row = Mapping[str, str]


def read_slue(path: Path, streams: Sequence[str]) -> Labels:
    """Streams `text`, `entities` and `sentiment`, of the columns that there are.

    The text of VoxPopuli is cleaned as the toolkit does before it counts word errors: `.;?!` removed, blanks squeezed.
    Raises DataError naming path and line.
    """
    rows = _rows(path)
    header = next(iter(rows.values()))[1].keys() if rows else ()
    repeated = tuple(utt for utt, found in rows.items() if found[2])
    is_submission = any(column.startswith("pred_") for column in header)
    values: dict[str, dict[str, str]] = {}
    for stream in streams:
        column = next((name for name in _SOURCES.get(stream, ()) if name in header), None)
        if column is None:
            continue
        read = _reader(column, tuple(header))
        found = {utt: read(row, f"{path}:{number}") for utt, (number, row, _) in rows.items()}
        values[stream] = {utt: value for utt, value in found.items() if value is not None}
    return Labels(
        source=path,
        streams=values,
        places=dict.fromkeys(values, path),
        ids=frozenset(rows),
        repeated=repeated,
        has_other_sets=is_submission,
    )


def _rows(path: Path) -> dict[str, tuple[int, Row, bool]]:
    """Id -> (line, columns by name, whether it is there twice); the last of those with one id."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    numbered = [(n, line.rstrip("\r")) for n, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise DataError(f"{path}: is empty; expected a header and rows")
    header = [name.strip() for name in numbered[0][1].split("\t")]
    if "id" not in header or len(set(header)) != len(header):
        raise DataError(f"{path}:{numbered[0][0]}: expected a header with `id`, each name once; saw {header}")
    rows: dict[str, tuple[int, Row, bool]] = {}
    for number, line in numbered[1:]:
        cells = line.split("\t")
        if len(cells) != len(header):
            raise DataError(
                f"{path}:{number}: {len(cells)} columns, but the header has {len(header)}; separate them by single tabs"
            )
        row = {name: _unquoted(name, cell.strip()) for name, cell in zip(header, cells, strict=True)}
        if not row["id"]:
            raise DataError(f"{path}:{number}: the id is empty")
        rows[row["id"]] = (number, row, row["id"] in rows)
    return rows


def _unquoted(column: str, cell: str) -> str:
    """A cell that pandas has quoted, as it does where a phrase has an apostrophe (`europe's` stands in `"` then)."""
    if column in _QUOTED and len(cell) > 1 and cell[0] == cell[-1] == '"' and '""' in cell:
        return cell[1:-1].replace('""', '"')
    return cell


def _reader(column: str, header: tuple[str, ...]) -> Callable[[Row, str], str | None]:
    """What makes a value of a row; None where the row has none. The second argument is its place, for messages."""
    is_voxpopuli = any(name.endswith("_ner") for name in header)

    def text(row: Row, place: str) -> str | None:
        if column == "pred_text":
            return None if row[column] == "None" else " ".join(row[column].split())
        said = re.sub(r"[.;?!]", "", row[column]) if is_voxpopuli else row[column]
        return " ".join(said.split())

    def entities(row: Row, place: str) -> str | None:
        if "voxceleb" in row.get("set_name", "").lower():
            return None
        found = [_entity(item, row, place) for item in _literal(row[column], f"{place}: {column}")]
        return write_entities(tuple(found))

    def sentiment(row: Row, place: str) -> str | None:
        if column == "sentiment":
            # Rows of the gold with another class (<mixed>, Disagreement) are left out, as officially.
            return row[column] if row[column] in SENTIMENTS else None
        return None if row[column] in ("None", "none") else row[column]

    return {"text": text, "ner": entities, "sentiment": sentiment}[column.rpartition("_")[2]]


def _literal(cell: str, place: str) -> Sequence[object]:
    if cell in ("", "None", "none", "nan"):
        return ()
    try:
        items = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise DataError(f"{place}: {cell[:60]!r}; expected [['TAG', 'phrase'], ...] or None") from None
    if items is None:
        return ()
    if not isinstance(items, list | tuple):
        raise DataError(f"{place}: {cell[:60]!r}; expected a list")
    return items


def _entity(item: object, row: Row, place: str) -> Entity:
    match item:
        case [str(tag), str(phrase)]:
            return Entity(tag, phrase)
        case [str(tag), int(start), int(length)] if start >= 0 and length > 0:
            text = row.get("normalized_text", "")
            if start + length > len(text):
                raise DataError(
                    f"{place}: {item} lies outside of the {len(text)} characters of normalized_text"
                )
            return Entity(tag, text[start : start + length])
    raise DataError(f"{place}: {item!r}; expected ['TAG', 'phrase'] or ['TAG', start, length]")
