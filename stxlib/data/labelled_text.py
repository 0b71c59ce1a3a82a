"""Labelled text as corpora pass it around, read into the streams of a data directory.

.jsonl   objects with `text` (or `sentence`) and any of `intent` (or `scenario` and `action`), `slots`, `entities`, `sentiment`, `parse`
.tsv     SLUE's tables: a header with `id`, `normalized_text`, and any of `normalized_ner`, `sentiment`, `speaker_id`; no quoting
folder   `seq.in`, `seq.out` and `label`, a line an utterance: words, BIO tags, intent

Blanks in texts and fillers become single ones, and the `start` of an entity is moved along. A row keeps its own `id` (or `slurp_id`)
where every row of the file has one, no two the same; else it is called `<name>-<line, 8 digits>`.
"""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from stxlib.errors import DataError
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

STREAMS = ("text", "intent", "semantics", "entities", "sentiment", "parse")
"what is said in an utterance, and what it means"
BIO_FILES = ("seq.in", "seq.out", "label")
SENTIMENTS = ("Negative", "Neutral", "Positive")
"SLUE's classes; its tables have others (<mixed>, Disagreement), whose rows it leaves out"

Tables = dict[str, dict[str, str]]
"""stream -> id -> value"""
Report = Callable[[str], None]
"""told of a row that cannot be used: where, what was seen, what to do"""

_CHECKS: Mapping[str, Callable[[str], object]] = {
    "semantics": read_frame,
    "entities": read_entities,
    "parse": read_tree,
}
_KEYS = {"semantics": "slots"}  # what makes the stream, in a message


@dataclass
class _Row:
    line: int
    id: str
    "its own; empty where it has none that can be one"
    values: dict[str, str] = field(default_factory=dict)


def stop(problem: str) -> NoReturn:
    """Raise DataError: the report of readers that accept no row that cannot be used."""
    raise DataError(problem)


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
    the intent into `semantics`. name: begins the ids that are made; the file's, if empty. Raises DataError naming file and line.
    """
    rows = []
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            record = _record(line)
            key = next((key for key in ("id", "slurp_id") if key in record), "")
            own = record[key] if key and type(record[key]) in (str, int) else ""
            rows.append(_Row(number, str(own), _values(record)))
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
    return _tables(rows, path, name)


def read_slue_tsv(path: Path, name: str = "", report: Report = stop) -> Tables:
    """Read a table of SLUE: `text`, `entities`, `sentiment`, and `utt2spk` where every row has a `speaker_id`.

    `None` says that there are no entities. `sentiment` lacks the rows of another class than SLUE's three: see `common_rows`.
    Raises DataError naming file and line.
    """
    rows: list[_Row] = []
    lines: dict[str, int] = {}
    header: list[str] | None = None
    for number, line in read_lines(path):
        cells = [cell.strip(" ") for cell in line.split("\t")]
        if not line.strip():
            continue
        if header is None:
            header = cells
            if not {"id", "normalized_text"} <= {*header}:
                stop(
                    f"{path}:{number}: {' '.join(header)[:80]!r}; expected a header with id and normalized_text"
                )
            continue
        try:
            if len(cells) != len(header):
                raise ValueError(
                    f"{len(cells)} columns, not the {len(header)} of the header; set them apart by tabs"
                )
            columns = dict(zip(header, cells, strict=True))
            utt = columns["id"]
            if not utt or utt in lines:
                seen = f"the id {utt!r} is on line {lines[utt]} as well" if utt else "the id is empty"
                raise ValueError(f"{seen}; give each row one of its own")
            rows.append(_Row(number, utt, _slue_values(columns)))
            lines[utt] = number
        except ValueError as error:
            report(f"{path}:{number}: {error}")
    if any("utt2spk" not in row.values for row in rows):
        for row in rows:
            row.values.pop("utt2spk", None)
    return _tables(rows, path, name)


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
        rows.append(_Row(number, "", values | {"entities": write_entities(slots)}))
    return _tables(rows, folder, name)


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


def check_label(stream: str, value: str) -> None:
    """Raises ValueError, saying what is wrong, for a value that its stream cannot have. Streams of classes take any."""
    if stream in _CHECKS:
        _CHECKS[stream](value)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers and lines, without what ends them, of a plain or gzipped UTF-8 file. Raises DataError."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}; give UTF-8 text, plain or gzipped") from None


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
    text = _squeeze(given)
    if not text:
        raise ValueError("has no `text` (nor `sentence`); add it")
    values = {"text": text}
    slots = record.get("slots") if record.get("slots") is not None else record.get("entities")
    keys = ("scenario", "action") if _word(record, "scenario") or _word(record, "action") else ("intent",)
    frame = read_frame(json.dumps({key: _squeeze(_word(record, key)) for key in keys} | {"slots": slots}))
    if frame.intent:
        values["intent"] = frame.intent
        if slots is not None:
            frame = replace(frame, slots=tuple(_squeezed(slot, given) for slot in frame.slots))
            values["semantics"] = write_frame(frame)
    elif record.get("slots") is not None:
        raise ValueError("has `slots` and no `intent`; add it, or call them `entities`")
    if record.get("entities") is not None:
        entities = read_entities(json.dumps(record["entities"]))
        values["entities"] = write_entities(tuple(_squeezed(entity, given) for entity in entities))
    if sentiment := _squeeze(_word(record, "sentiment")):
        values["sentiment"] = sentiment
    if parse := _squeeze(_word(record, "parse")):
        read_tree(parse)
        values["parse"] = parse
    "".join(values.values()).encode()  # half a surrogate pair is a ValueError here, and has no line later
    return values


def _word(record: Mapping[str, Any], key: str) -> str:
    """A value of a record that is to be a string; empty where it is missing or null."""
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"`{key}` is {json.dumps(value)[:60]}; expected a string")
    return value or ""


def _slue_values(row: Mapping[str, str]) -> dict[str, str]:
    given = row["normalized_text"]
    text = _squeeze(given)
    if text in ("", "None"):
        raise ValueError("has no normalized_text; add it, or delete the row")
    values = {"text": text}
    if "normalized_ner" in row:
        entities = tuple(_slue_entity(item, given) for item in _literal(row["normalized_ner"]))
        values["entities"] = write_entities(entities)
    if row.get("sentiment") in SENTIMENTS:
        values["sentiment"] = row["sentiment"]
    if row.get("speaker_id", "None") not in ("", "None"):
        values["utt2spk"] = row["speaker_id"]
    return values


def _literal(cell: str) -> Sequence[object]:
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
            return _squeezed(Entity(kind, text[start : start + length], start), text)
        case [str(kind), str(phrase)]:
            return _squeezed(Entity(kind, phrase), text)
    seen = f"normalized_ner: {item!r} in a text of {len(text)} characters"
    raise ValueError(f"{seen}; expected ['TYPE', start, length] inside of it, or ['TYPE', 'words']")


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


def _squeeze(text: str) -> str:
    return " ".join(text.split())


def _squeezed(entity: Entity, text: str) -> Entity:
    """The entity with single blanks, and its start in the squeezed `text`. ValueError where it has no type, or starts outside."""
    if not entity.type.strip():
        raise ValueError(f"an entity has no type: {entity.filler[:60]!r}; name one")
    filler = _squeeze(entity.filler)
    if entity.start is None:
        return Entity(_squeeze(entity.type), filler)
    if entity.start >= len(text):
        raise ValueError(
            f"{filler[:60]!r} starts at {entity.start}, and the text has {len(text)} characters; correct it"
        )
    start = entity.start + len(entity.filler) - len(entity.filler.lstrip())
    before = text[:start]
    apart = bool(before.strip()) and before[-1].isspace()
    return Entity(_squeeze(entity.type), filler, len(_squeeze(before)) + apart)


def _tables(rows: Sequence[_Row], path: Path, name: str) -> Tables:
    own = [row.id for row in rows]
    name = "_".join((name or path.name.split(".")[0]).split())
    usable = len({*own}) == len(own) and all(utt and utt.split() == [utt] for utt in own)
    tables: Tables = {stream: {} for stream in (*STREAMS, "utt2spk")}
    for row in rows:
        utt = row.id if usable else f"{name}-{row.line:08d}"
        for stream, value in row.values.items():
            tables[stream][utt] = value
    return {stream: table for stream, table in tables.items() if table}
