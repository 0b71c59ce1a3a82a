"""SLUE's tables: tab-separated with a header and no quoting.

VoxPopuli   id raw_text normalized_text speaker_id split raw_ner normalized_ner
VoxCeleb    id normalized_text speaker_id split sentiment start_second end_second
submission  id pred_text pred_ner pred_sentiment [set_name]

Columns go by their names. `None` is a word of these files (a reader that takes it for a missing value fails, or drops
rows): in an entity column it says that there are none, in `pred_text` and `pred_sentiment` that nothing was predicted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stxlib.data.slue_table import SENTIMENTS, slue_entities, slue_rows, slue_speaker, unquoted
from stxlib.errors import DataError
from stxlib.score.labels import Labels
from stxlib.text.labels import write_entities

_SOURCES = {
    "text": ("pred_text", "normalized_text"),
    "entities": ("pred_ner", "normalized_ner", "normalized_combined_ner"),
    "sentiment": ("pred_sentiment", "sentiment"),
}

COLUMNS = frozenset(column for columns in _SOURCES.values() for column in columns)
"columns that a stream can be read from"

Row = Mapping[str, str]


def read_slue_speakers(path: Path) -> dict[str, str]:
    """Utterance -> speaker, of the rows that tell one."""
    speakers = {row["id"]: slue_speaker(row) for _, row in slue_rows(path, ())}
    return {utt: speaker for utt, speaker in speakers.items() if speaker}


def read_slue(path: Path, streams: Sequence[str]) -> Labels:
    """Streams `text`, `entities` and `sentiment`, of the columns that there are.

    The text of VoxPopuli is cleaned as the toolkit does before it counts word errors: `.;?!` removed, blanks squeezed.
    Raises DataError naming path and line.
    """
    rows = {row["id"]: (f"{path}:{number}", row) for number, row in slue_rows(path, ())}
    header = next(iter(rows.values()))[1].keys() if rows else ()
    is_submission = any(column.startswith("pred_") for column in header)
    values: dict[str, dict[str, str]] = {}
    for stream in streams:
        column = next((name for name in _SOURCES.get(stream, ()) if name in header), None)
        if column is None:
            continue
        read = _reader(column, tuple(header))
        found = {utt: read(row, place) for utt, (place, row) in rows.items()}
        values[stream] = {utt: value for utt, value in found.items() if value is not None}
    return Labels(
        source=path,
        streams=values,
        places=dict.fromkeys(values, path),
        ids=frozenset(rows),
        has_other_sets=is_submission,
    )


def _reader(column: str, header: tuple[str, ...]) -> Callable[[Row, str], str | None]:
    """What makes a value of a row; None where the row has none. The second argument is its place, for messages."""
    is_voxpopuli = any(name.endswith("_ner") for name in header)

    def text(row: Row, place: str) -> str | None:
        if column == "pred_text":
            return None if row[column] == "None" else " ".join(unquoted(row[column]).split())
        said = re.sub(r"[.;?!]", "", row[column]) if is_voxpopuli else row[column]
        return " ".join(said.split())

    def entities(row: Row, place: str) -> str | None:
        if "voxceleb" in row.get("set_name", "").lower():
            return None
        try:
            return write_entities(slue_entities(row, column))
        except ValueError as error:
            raise DataError(f"{place}: {error}") from None

    def sentiment(row: Row, place: str) -> str | None:
        if column == "sentiment":
            # Rows of the gold with another class (<mixed>, Disagreement) are left out, as officially.
            return row[column] if row[column] in SENTIMENTS else None
        return None if row[column] in ("None", "none") else row[column]

    return {"text": text, "ner": entities, "sentiment": sentiment}[column.rpartition("_")[2]]
