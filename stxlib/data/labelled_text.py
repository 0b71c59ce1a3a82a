"""Labelled text as corpora pass it around, read into the streams of a data directory.

.jsonl   objects with `text` (or `sentence`) and any of `intent` (or `scenario` and `action`), `slots`, `entities`, `sentiment`, `parse`
.tsv     SLUE's tables: a header with `id`, `normalized_text`, and any of `normalized_ner`, `sentiment`, `speaker_id`; no quoting
folder   `seq.in`, `seq.out` and `label`, a line an utterance: words, BIO tags, intent

Blanks in texts and fillers become single ones, and the `start` of an entity is moved along. A row keeps its own `id` (or `slurp_id`)
where every row of the file has one, no two the same; else it is called `<name>-<line, 8 digits>`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stxlib.data.slue_table import read_slue_tsv
from stxlib.data.text_rows import (
    STREAMS,
    Report,
    Row,
    Tables,
    read_lines,
    squeeze,
    squeeze_entity,
    stop,
    tables_of,
)
from stxlib.text.labels import (
    Entity,
    Frame,
    read_entities,
    read_frame,
    split_intent,
    write_entities,
    write_frame,
)
from stxlib.text.parse_tree import read_tree

BIO_FILES = ("seq.in", "seq.out", "label")
_CHECKS: Mapping[str, Callable[[str], object]] = {
    "semantics": read_frame,
    "entities": read_entities,
    "parse": read_tree,
}
_KEYS = {"semantics": "slots"}  # what makes the stream, in a message


def is_labelled_text(path: Path) -> bool:
    """Whether `read_labelled_text` reads it, by its name: a .jsonl, .jsonl.gz or .tsv, or a folder with seq.in."""
    return (path / BIO_FILES[0]).is_file() or (
        path.is_file() and not {".jsonl", ".tsv"}.isdisjoint(path.suffixes)
    )


def read_labelled_text(path: Path, name: str = "", report: Report = stop) -> Tables:
    """Read any of the formats. See `read_jsonl`, `read_slue_tsv` and `read_bio`."""
    if path.is_dir():
        return read_bio(path, name, report)
    return (read_slue_tsv if ".tsv" in path.suffixes else read_jsonl)(path, name, report)


def read_jsonl(path: Path, name: str = "", report: Report = stop) -> Tables:
    """Read JSON objects, one a line. All rows have the same labels: one that lacks what others have is reported.

    `scenario` and `action` go before `intent`, which SLURP has wrong in places. `slots`, or `entities` where there are none, go with
    the intent into `semantics`; from SLURP's records (`slurp_id`, `tokens`) in lower case. name: begins the ids that are made; the file's, if empty. Raises DataError naming file and line.
    """
    rows = []
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            record = _record(line)
            key = next((key for key in ("id", "slurp_id") if key in record), "")
            own = record[key] if key and type(record[key]) in (str, int) else ""
            rows.append(Row(number, str(own), _values(record)))
        except ValueError as error:
            report(f"{path}:{number}: {error}")
    for stream in STREAMS:
        having = sum(stream in row.values for row in rows)
        if 0 < having < len(rows):
            for row in rows:
                if stream not in row.values:
                    seen = f"has no {_KEYS.get(stream, stream)}, while {having} other lines have"
                    report(f"{path}:{row.line}: {seen}; label all lines or none")
            rows = [row for row in rows if stream in row.values]
    return tables_of(rows, path, name)


def read_bio(folder: Path, name: str = "", report: Report = stop) -> Tables:
    """Read `seq.in`, `seq.out` and `label`: `text`, `intent`, and the slots as `semantics` and as `entities`.

    An I- tag after O or after another type begins a slot, as conlleval has it. Raises DataError naming file and line.
    """
    for file in BIO_FILES:
        if not (folder / file).is_file():
            stop(f"{folder}: has {BIO_FILES[0]} and no {file}; add it, a line for each utterance")
    columns = [[line.strip() for _, line in read_lines(folder / file)] for file in BIO_FILES]
    for column in columns:
        while column and not column[-1]:
            column.pop()
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        counts = ", ".join(f"{file} {length}" for file, length in zip(BIO_FILES, lengths, strict=True))
        stop(f"{folder}: the files differ in lines ({counts}); give each a line for each utterance")
    rows = []
    for number, (text, tags, intent) in enumerate(zip(*columns, strict=True), start=1):
        if not text or not intent:
            report(
                f"{folder / ('label' if text else 'seq.in')}:{number}: the line is empty; fill or delete it in all"
            )
            continue
        try:
            words = text.split()
            slots = _slots_of_tags(words, tags.split())
        except ValueError as error:
            report(f"{folder / 'seq.out'}:{number}: {error}")
            continue
        intent = " ".join(intent.split())
        frame = Frame(*split_intent(intent), slots)
        values = {"text": " ".join(words), "intent": intent, "semantics": write_frame(frame)}
        rows.append(Row(number, "", values | {"entities": write_entities(slots)}))
    return tables_of(rows, folder, name)


def check_label(stream: str, value: str) -> None:
    """Raises ValueError, saying what is wrong, for a value that its stream cannot have. Streams of classes take any."""
    if stream in _CHECKS:
        _CHECKS[stream](value)


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ValueError("is no JSON object; give one a line")
    return record


def _values(record: Mapping[str, Any]) -> dict[str, str]:
    given = _word(record, "text") or _word(record, "sentence")
    text = squeeze(given)
    if not text:
        raise ValueError("has no `text` (nor `sentence`); add it")
    values = {"text": text}
    named = _with_fillers(record)
    slots = _as_slots(record, named) if record.get("slots") is None else record["slots"]
    keys = ("scenario", "action") if _word(record, "scenario") or _word(record, "action") else ("intent",)
    frame = read_frame(json.dumps({key: squeeze(_word(record, key)) for key in keys} | {"slots": slots}))
    if frame.intent:
        values["intent"] = frame.intent
        if slots is not None:
            frame = replace(frame, slots=tuple(squeeze_entity(slot, given) for slot in frame.slots))
            values["semantics"] = write_frame(frame)
    elif record.get("slots") is not None:
        raise ValueError("has `slots` and no `intent`; add it, or call them `entities`")
    if named is not None:
        entities = read_entities(json.dumps(named))
        values["entities"] = write_entities(tuple(squeeze_entity(entity, given) for entity in entities))
    if sentiment := squeeze(_word(record, "sentiment")):
        values["sentiment"] = sentiment
    if parse := squeeze(_word(record, "parse")):
        read_tree(parse)
        values["parse"] = parse
    "".join(values.values()).encode()  # half a surrogate pair is a ValueError here, and has no line later
    return values


def _as_slots(record: Mapping[str, Any], entities: Any) -> Any:
    """Entities as slots: those of SLURP's records with lower-cased fillers, as its official scorer has them."""
    is_slurp = "slurp_id" in record or "tokens" in record
    if not is_slurp or not isinstance(entities, list):
        return entities
    return [
        {**entity, "filler": entity["filler"].lower()}
        if isinstance(entity, dict) and isinstance(entity.get("filler"), str)
        else entity
        for entity in entities
    ]


def _with_fillers(record: Mapping[str, Any]) -> Any:
    """The `entities`; those of SLURP's release have a `span`, places in `tokens`, which becomes the filler."""
    entities = record.get("entities")
    if not isinstance(entities, list):
        return entities
    filled = []
    for entity in entities:
        if isinstance(entity, dict) and "span" in entity and "filler" not in entity:
            try:
                words = [record["tokens"][place]["surface"] for place in entity["span"]]
                entity = {"type": entity["type"], "filler": " ".join(words)}
            except (KeyError, IndexError, TypeError):
                seen = f"{json.dumps(entity)[:60]}: its `span` does not tell places in `tokens`"
                raise ValueError(f"{seen}; give a `filler`") from None
        filled.append(entity)
    return filled


def _word(record: Mapping[str, Any], key: str) -> str:
    """A value of a record that is to be a string; empty where it is missing or null."""
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"`{key}` is {json.dumps(value)[:60]}; expected a string")
    return value or ""


def _slots_of_tags(words: Sequence[str], tags: Sequence[str]) -> tuple[Entity, ...]:
    if len(words) != len(tags):
        raise ValueError(f"{len(tags)} tags for {len(words)} words of seq.in; give one a word")
    slots: list[Entity] = []
    start, last = 0, "O"
    for word, tag in zip(words, tags, strict=True):
        if tag != "O" and not (tag[:2] in ("B-", "I-") and tag[2:]):
            raise ValueError(f"tag {tag!r}; expected O, B-<type> or I-<type>")
        if tag[:2] == "I-" and last[2:] == tag[2:]:
            slots[-1] = replace(slots[-1], filler=f"{slots[-1].filler} {word}")
        elif tag != "O":
            slots.append(Entity(tag[2:], word, start))
        last = tag
        start += len(word) + 1
    return tuple(slots)
