"""SLUE's tables as labelled text: tab-separated with a header, no quoting, and `None` where there is nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stxlib.data.text_rows import Report, Row, Tables, read_lines, squeeze, squeeze_entity, stop, tables_of
from stxlib.text.labels import Entity, write_entities

SENTIMENTS = ("Negative", "Neutral", "Positive")
"SLUE's classes; its tables have others (<mixed>, Disagreement), whose rows it leaves out"


def read_slue_tsv(path: Path, name: str = "", report: Report = stop) -> Tables:
    """Read a table of SLUE: `text`, `entities`, `sentiment`, and `utt2spk` where every row has a `speaker_id`.

    `None` says that there are no entities. `sentiment` lacks the rows of another class than SLUE's three: see `common_rows`.
    Raises DataError naming file and line.
    """
    rows: list[Row] = []
    for number, columns in slue_rows(path, ("normalized_text",), report):
        try:
            rows.append(Row(number, columns["id"], _slue_values(columns)))
        except ValueError as error:
            report(f"{path}:{number}: {error}")
    if any("utt2spk" not in row.values for row in rows):
        for row in rows:
            row.values.pop("utt2spk", None)
    return tables_of(rows, path, name)


def slue_rows(
    path: Path, needed: Sequence[str], report: Report = stop
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and cells by column. A quote is a character like another, and `None` a word.

    needed: columns that the header has to have, beside `id`. Raises DataError naming file and line for a header without them;
    rows of another length, and ids that are empty or there twice, are reported and left out.
    """
    header: list[str] | None = None
    lines: dict[str, int] = {}
    for number, line in read_lines(path):
        cells = [cell.strip(" ") for cell in line.split("\t")]
        if not line.strip():
            continue
        if header is None:
            header = cells
            missing = [name for name in ("id", *needed) if name not in header]
            if missing:
                expected = " and ".join(["id", *needed])
                stop(f"{path}:{number}: {' '.join(header)[:80]!r}; expected a header with {expected}")
            continue
        if len(cells) != len(header):
            report(
                f"{path}:{number}: {len(cells)} columns, not the {len(header)} of the header; set them apart by tabs"
            )
            continue
        columns = dict(zip(header, cells, strict=True))
        utt = columns["id"]
        if not utt or utt in lines:
            seen = f"the id {utt!r} is on line {lines[utt]} as well" if utt else "the id is empty"
            report(f"{path}:{number}: {seen}; give each row one of its own")
            continue
        lines[utt] = number
        yield number, columns
    if header is None:
        stop(f"{path}: is empty; expected a header with {' and '.join(['id', *needed])}")


def _slue_values(row: Mapping[str, str]) -> dict[str, str]:
    given = row["normalized_text"]
    text = squeeze(given)
    if text in ("", "None"):
        raise ValueError("has no normalized_text; add it, or delete the row")
    values = {"text": text}
    if "normalized_ner" in row:
        entities = tuple(_slue_entity(item, given) for item in read_literal(row["normalized_ner"]))
        values["entities"] = write_entities(entities)
    if row.get("sentiment") in SENTIMENTS:
        values["sentiment"] = row["sentiment"]
    if row.get("speaker_id", "None") not in ("", "None"):
        values["utt2spk"] = row["speaker_id"]
    return values


def read_literal(cell: str) -> Sequence[object]:
    """The items of a cell that holds a Python list; none of `None`, `nan` or nothing. ValueError says what is wrong."""
    if cell in ("", "None", "nan"):
        return ()
    try:
        items = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        items = None
    if not isinstance(items, list | tuple):
        raise ValueError(f"normalized_ner: {cell[:60]!r}; expected [['TYPE', start, length], ...] or None")
    return items


def _slue_entity(item: object, text: str) -> Entity:
    match item:
        case [str(kind), int(start), int(length)] if (
            start >= 0 and length > 0 and start + length <= len(text)
        ):
            return squeeze_entity(Entity(kind, text[start : start + length], start), text)
        case [str(kind), str(phrase)]:
            return squeeze_entity(Entity(kind, phrase), text)
    seen = f"normalized_ner: {item!r} in a text of {len(text)} characters"
    raise ValueError(f"{seen}; expected ['TYPE', start, length] inside of it, or ['TYPE', 'words']")
