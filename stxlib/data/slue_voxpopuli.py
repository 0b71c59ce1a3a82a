"""SLUE-VoxPopuli (named entities) as released, v0.2.

    slue-voxpopuli/slue-voxpopuli_{fine-tune,dev,test_blind,test}.tsv   id raw_text normalized_text speaker_id split raw_ner normalized_ner
    slue-voxpopuli/{fine-tune,dev,test}/<id>.ogg                        utterances; ids hold `:`

The text is normalized_text without `.;?!`, blanks squeezed, commas kept: SLUE counts word errors on it so. Entities
([type, start, length] in characters of normalized_text) move along.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from stxlib.data.corpus_set import LEAVE_OUT, CorpusSet, count_text
from stxlib.data.slue_corpus import (
    PARTS,
    RELEASE_SOURCE,
    SetName,
    SlueRow,
    find_recordings,
    find_table,
    is_blind,
    read_rows,
    tell_unknown_speakers,
)
from stxlib.data.slue_table import read_literal
from stxlib.data.text_rows import read_lines
from stxlib.errors import DataError
from stxlib.text.entity_tags import RAW_SYMBOLS, combine
from stxlib.text.labels import Entity, write_entities

NAME = "slue-voxpopuli"
RELEASED: Mapping[SetName, int] = MappingProxyType({"train": 5000, "dev": 1753, "test": 1842})
"rows of the tables (Shon et al. 2022 as of v0.2; slue-toolkit, README)"
REMOVED = ".;?!"
"characters that the text loses"

EntityTypes = Literal["raw", "combined"]
"the 18 of OntoNotes, or SLUE's 7, which lack those that it does not score"
Span = tuple[str, int, int]
"type, and where it begins and ends in a text, in characters"


BAD_ENTITIES = "its entities are not inside of its text"


def read_voxpopuli(
    root: Path, which: SetName, table: Path | None = None, types: EntityTypes = "raw", *, fix: bool = False
) -> CorpusSet:
    """A set: audio, `utt2spk`, `text` where the table has it, and `entities` where it is not blind.

    root: the folder slue-voxpopuli. table: of the set, in place of the one there. Dropped: rows without words; with `fix` those with
    entities outside of their text. Prints what is unlike the release, and what became of entities. Raises DataError naming file and line.
    """
    table = table or find_table(root, NAME, which)
    blind = is_blind(table)
    rows = read_rows(table, () if blind else ("normalized_text", "normalized_ner"))
    has_text = "normalized_text" in rows[0].cells
    if warning := count_text(f"{NAME} {which}", "rows", len(rows), RELEASED[which], RELEASE_SOURCE):
        print(warning)
    if blind:
        lacking = "no entities" if has_text else "no text and no entities"
        print(f"note: {NAME} {which}: {table.name} is blind: {lacking} to be scored")
    found = CorpusSet(num_rows=len(rows))
    recordings = find_recordings(root / PARTS[which], ".ogg", rows)
    counts: Counter[str] = Counter()
    for row in rows:
        values = {"utt2spk": row.speaker or row.utt}
        if has_text:
            text, places = clean(row.cells["normalized_text"])
            if text in ("", "None"):
                found.dropped.add(row.utt, "no words", row.place)
                continue
            values["text"] = text
            if not blind:
                try:
                    spans = _spans(row)
                except ValueError as error:
                    if not fix:
                        raise DataError(f"{row.place}: {error}, {LEAVE_OUT}") from None
                    found.dropped.add(row.utt, BAD_ENTITIES, row.place)
                    continue
                entities = move_entities(spans, text, places, types, counts)
                values["entities"] = write_entities(tuple(entity for entity in entities if entity))
        found.add(row.utt, row.place, values, recordings[row.utt])
    tell_unknown_speakers(f"{NAME} {which}", (row for row in rows if row.utt in found.places))
    tell_entities(f"{NAME} {which}", counts)
    return found


def tell_entities(name: str, counts: Counter[str]) -> None:
    """Print what `move_entities` counted."""
    for what, count in sorted(counts.items()):
        print(f"note: {name}: {count} entities {what}")


def clean(text: str) -> tuple[str, list[int]]:
    """The text without `.;?!` and with single blanks, and the place in `text` of each of its characters."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character in REMOVED:
            continue
        if character.isspace():
            if not characters or characters[-1] == " ":
                continue
            character = " "
        characters.append(character)
        places.append(place)
    if characters and characters[-1] == " ":
        characters.pop()
        places.pop()
    return "".join(characters), places


def move_entities(
    spans: Iterable[Span], text: str, places: Sequence[int], types: EntityTypes, counts: Counter[str]
) -> list[Entity | None]:
    """Entities of the text before `clean` as they stand in the cleaned one; None for each that is lost.

    counts: gets how many were lost, and why, and how many have a type that SLUE has not.
    """
    entities: list[Entity | None] = []
    for kind, start, end in spans:
        first, last = bisect_left(places, start), bisect_left(places, end)
        filler = text[first:last]
        name = combine(kind) if types == "combined" else kind
        counts["have a type that is none of SLUE's 18"] += kind not in RAW_SYMBOLS
        if not filler.strip():
            counts["left out: without punctuation nothing of them is left"] += 1
            entities.append(None)
        elif name is None:
            counts["left out, of types that SLUE does not score"] += 1
            entities.append(None)
        else:
            blanks = len(filler) - len(filler.lstrip())
            entities.append(Entity(name, filler.strip(), first + blanks))
    for what in [what for what, count in counts.items() if not count]:
        del counts[what]
    return entities


def _spans(row: SlueRow) -> list[Span]:
    text = row.cells["normalized_text"]
    spans: list[Span] = []
    for item in read_literal(row.cells["normalized_ner"]):
        match item:
            case [str(kind), int(start), int(length)] if (
                start >= 0 and length > 0 and start + length <= len(text)
            ):
                spans.append((kind, start, start + length))
            case _:
                seen = f"normalized_ner: {item!r} in a text of {len(text)} characters"
                raise ValueError(f"{seen}; expected ['TYPE', start, length] inside of it")
    return spans


def read_voxpopuli_nel(
    path: Path, root: Path, which: SetName, types: EntityTypes = "raw", *, fix: bool = False
) -> CorpusSet:
    """A set of SLUE-NEL (phase 2): as `read_voxpopuli`, with `entity_times` and `word_times` in seconds.

    path: the records of the dataset `vp_nel`, a JSON object a line: `id`, `text`, `speaker_id`, `word_timestamps` and `ne_timestamps`, the
    latter two an object of columns each, or a list of objects. root: the folder slue-voxpopuli, for the audio. Dropped: rows without words;
    with `fix` those with entities outside of their text, or without times. Raises DataError naming file, line and key.
    """
    found = CorpusSet()
    counts: Counter[str] = Counter()
    folder = root / PARTS[which]
    for number, line in read_lines(path):
        place = f"{path}:{number}"
        if not line.strip():
            continue
        found.num_rows += 1
        utt = ""
        try:
            record = json.loads(line)
            utt = record["id"]
            row = SlueRow(place, utt, {"speaker_id": str(record.get("speaker_id", ""))})
            values = {"utt2spk": row.speaker or utt} | _nel_values(record, types, counts)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            if fix and utt and isinstance(error, _BadRecord):
                found.dropped.add(utt, str(error.args[1]), place)
                continue
            what, left_out = f"no {error}" if isinstance(error, KeyError) else str(error), ""
            if isinstance(error, _BadRecord):
                what, left_out = str(error.args[0]), f", {LEAVE_OUT}"
            raise DataError(
                f"{place}: {what}; expected a record of vp_nel of asapp/slue-phase-2{left_out}"
            ) from None
        if utt in found.places:
            raise DataError(f"{place}: the id {utt!r} is at {found.places[utt]} as well; give each row once")
        if not values["text"]:
            found.dropped.add(utt, "no words", place)
            continue
        found.add(utt, place, values, folder.resolve() / f"{utt}.ogg")
    tell_entities(f"{NAME} {which}_nel", counts)
    return found


class _BadRecord(ValueError):
    """Labels of a record that cannot be: what was seen, and the reason to leave it out."""


def _nel_values(record: Any, types: EntityTypes, counts: Counter[str]) -> dict[str, str]:
    text, places = clean(record["text"])
    names = ("ne_label", "start_char_idx", "char_offset", "start_sec", "end_sec")
    named = _rows(record, "ne_timestamps", names)
    spans: list[Span] = []
    for kind, start, length, *_ in named:
        try:
            is_inside = isinstance(kind, str) and 0 <= start < start + length <= len(record["text"])
        except TypeError:
            is_inside = False
        if not is_inside:
            seen = f"ne_timestamps: {kind!r} at {start}, {length} characters: not inside of the text"
            raise _BadRecord(seen, BAD_ENTITIES)
        spans.append((kind, start, start + length))
    times = [_times("ne_timestamps", start, end) for _, _, _, start, end in named]
    words = [
        [str(word), *_times("word_timestamps", start, end)]
        for word, start, end in _rows(record, "word_timestamps", ("word", "start_sec", "end_sec"))
    ]
    entities = move_entities(spans, text, places, types, counts)
    both = [
        (entity, start, end)
        for entity, (start, end) in zip(entities, times, strict=True)
        if entity is not None
    ]
    return {
        "text": text,
        "entities": write_entities(tuple(entity for entity, _, _ in both)),
        "entity_times": json.dumps(
            [
                {"type": entity.type, "filler": entity.filler, "start_second": start, "end_second": end}
                for entity, start, end in both
            ],
            ensure_ascii=False,
        ),
        "word_times": json.dumps(words, ensure_ascii=False),
    }


def _rows(record: Any, key: str, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows of an object of columns, or of a list of objects. ValueError where columns are missing, or of different lengths."""
    table = record[key]
    try:
        if isinstance(table, dict):
            return list(zip(*(table[name] for name in names), strict=True))
        return [tuple(row[name] for name in names) for row in table]
    except KeyError as error:
        raise ValueError(f"{key}: no {error}") from None
    except (TypeError, ValueError):
        expected = "an object of columns of one length, or a list of objects"
        raise ValueError(f"{key}: {str(table)[:60]}; expected {expected}") from None


def _times(key: str, start: Any, end: Any) -> tuple[float, float]:
    """Both as seconds. Raises _BadRecord."""
    for name, value in (("start_sec", start), ("end_sec", end)):
        if not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise _BadRecord(f"{key}: {name} {value!r} is no time in seconds", "it lacks times")
    return float(start), float(end)
