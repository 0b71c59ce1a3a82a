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
        cells = line.split("\t")
        if not line.strip():
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            missing = [name for name in ("id", *needed) if name not in header]
            if missing:
                seen = f"{path}:{number}: has no column {' '.join(missing)} (it has {' '.join(header)[:80] or 'none'})"
                stop(f"{seen}; expected a header with {' and '.join(['id', *needed])}")
            if len({*header}) < len(header):
                stop(f"{path}:{number}: {' '.join(header)[:80]!r}; expected a header with each name but once")
            continue
        if len(cells) != len(header):
            report(
                f"{path}:{number}: {len(cells)} columns, not the {len(header)} of the header; set them apart by tabs"
            )
            continue
        # Entities count the characters of the text, blanks at its ends among them.
        columns = {
            name: cell if name == "normalized_text" else cell.strip()
            for name, cell in zip(header, cells, strict=True)
        }
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
        values["entities"] = write_entities(slue_entities(row))
    if row.get("sentiment") in SENTIMENTS:
        values["sentiment"] = row["sentiment"]
    if speaker := slue_speaker(row):
        values["utt2spk"] = speaker
    return values


def slue_speaker(row: Mapping[str, str]) -> str | None:
    """None where the table says `None`, nothing, or has no such column."""
    speaker = row.get("speaker_id", "")
    return None if speaker in ("", "None", "nan") else speaker


def slue_entities(row: Mapping[str, str], column: str = "normalized_ner") -> tuple[Entity, ...]:
    """The entities of a row, with `start` in its text (blanks squeezed) where they have one. ValueError says what is wrong."""
    text = row.get("normalized_text", "")
    return tuple(_slue_entity(item, text, column) for item in read_literal(row[column], column))


def unquoted(cell: str) -> str:
    """A cell that pandas has quoted, as it does where a phrase has an apostrophe (`europe's` stands in `"` then)."""
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '""' in cell:
        return cell[1:-1].replace('""', '"')
    return cell


def read_literal(cell: str, column: str = "normalized_ner") -> Sequence[object]:
    """The items of a cell that holds a Python list; none of `None`, `nan` or nothing. ValueError says what is wrong.

    column: for the message.
    """
    if cell in ("", "None", "none", "nan"):
        return ()
    try:
        items = ast.literal_eval(unquoted(cell))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        items = None
    if not isinstance(items, list | tuple):
        form = "'words'" if column.startswith("pred_") else "start, length"
        raise ValueError(f"{column}: {cell[:60]!r}; expected [['TYPE', {form}], ...] or None")
    return items


def _slue_entity(item: object, text: str, column: str) -> Entity:
    match item:
        case [str(kind), int(start), int(length)] if (
            start >= 0 and length > 0 and start + length <= len(text)
        ):
            return squeeze_entity(Entity(kind, text[start : start + length], start), text)
        case [str(kind), str(phrase)]:
            return squeeze_entity(Entity(kind, phrase), text)
    seen = f"{column}: {item!r} in a text of {len(text)} characters"
    raise ValueError(f"{seen}; expected ['TYPE', start, length] inside of it, or ['TYPE', 'words']")
