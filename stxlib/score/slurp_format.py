"""SLURP's JSON lines, as its release has them and as its official script reads predictions.

gold         {"slurp_id", "scenario", "action", "intent", "sentence", "tokens": [{"surface", ...}],
              "recordings": [{"file", ...}], "entities": [{"type", "span": [places of tokens]}]}
             in place of `tokens` and `span`, entities may have a `filler`
predictions  {"file" | "slurp_id", "scenario", "action", "entities": [{"type", "filler"}]}

One sentence of the gold is a reference for each of its recordings. The gold's `intent` is left alone: in some records
it is not `scenario_action`, and the official script never looks at it. Fillers of the gold are lower-cased and those of
predictions are not, as in that script.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from stxlib.errors import DataError
from stxlib.score.labels import Labels, Side
from stxlib.text.labels import Entity, Frame, write_entities, write_frame

_AUDIO = {".flac", ".wav", ".mp3", ".ogg"}
_GIVE_LOAD_GOLD = "records that are keyed by `slurp_id` need --load_gold true"


def read_slurp(path: Path, streams: Sequence[str], side: Side, *, load_gold: bool = False) -> Labels:
    """Streams `semantics`, `intent`, `entities`, and `text` where sentences are given.

    load_gold: ids are slurp_ids; else those of recordings (`file`). Of an id that is given twice the last counts,
    and it is listed in `repeated`.
    Raises DataError naming path and line.
    """
    values: dict[str, dict[str, str]] = {
        stream: {} for stream in streams if stream in ("semantics", "intent", "entities", "text")
    }
    sentences: dict[str, str] = {}
    repeated: dict[str, None] = {}
    seen: dict[str, Frame | None] = {}  # frames of references alone, for `conflicts`
    conflicts: dict[str, None] = {}
    for where, record in _records(path):
        frame = _frame(record, side, where)
        text = _text(record)
        parts = {"semantics": write_frame, "intent": _intent, "entities": lambda f: write_entities(f.slots)}
        written = {stream: parts[stream](frame) for stream in values if stream in parts}
        if "text" in values and text:
            written["text"] = text
        for utt in _ids(record, load_gold, where):
            if utt in seen:
                repeated[utt] = None
                if side == "ref" and seen[utt] != frame:
                    conflicts[utt] = None
            seen[utt] = frame if side == "ref" else None
            for stream, value in written.items():
                values[stream][utt] = value
            if side == "ref" and "recordings" in record:
                sentences[utt] = str(record.get("slurp_id", where))
    notes = []
    if side == "ref" and conflicts:
        ids = ", ".join(list(conflicts)[:5])
        notes.append(
            f"{len(conflicts)} recordings stand under several sentences ({ids} ...): the last one counts"
        )
    return Labels(
        source=path,
        streams={stream: table for stream, table in values.items() if table or stream != "text"},
        places=dict.fromkeys(values, path),
        ids=frozenset(seen),
        repeated=() if side == "ref" else tuple(repeated),
        sentences={} if load_gold or len(sentences) < len(seen) else sentences,
        notes=tuple(notes),
    )


def recording_name(file: str) -> str:
    """A recording without its folder and the ending of an audio file: releases differ in `.wav` and `.flac`."""
    path = PurePosixPath(file)
    return path.stem if path.suffix.lower() in _AUDIO else path.name


def begins_array(line: str) -> bool:
    """Whether a line begins a JSON array of records, which SLURP's files are not."""
    return line.lstrip().startswith("[{") or line.strip() == "["


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record with its place; empty lines are skipped."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        if begins_array(line):
            raise DataError(
                f"{where}: begins a JSON array; expected one object a line (jq -c '.[]' writes them so)"
            )
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: no JSON ({error}); expected one object a line") from None
        if not isinstance(record, dict):
            raise DataError(f"{where}: {line[:60]!r}; expected an object a line")
        yield where, record


def _ids(record: Mapping[str, Any], load_gold: bool, where: str) -> list[str]:
    if load_gold:
        if "slurp_id" not in record:
            raise DataError(f"{where}: has no `slurp_id`; leave --load_gold out for records of recordings")
        return [str(record["slurp_id"])]
    if "file" in record:
        return [str(record["file"])]
    if "recordings" not in record:
        raise DataError(f"{where}: has neither `file` nor `recordings`; {_GIVE_LOAD_GOLD}")
    try:
        return [str(recording["file"]) for recording in record["recordings"]]
    except (KeyError, TypeError):
        raise DataError(f"{where}: `recordings` is not a list of objects with `file`") from None


def _frame(record: Mapping[str, Any], side: Side, where: str) -> Frame:
    missing = [key for key in ("scenario", "action") if key not in record]
    if missing:
        raise DataError(
            f"{where}: has no `{'`, no `'.join(missing)}`; write an empty string where there is none"
        )
    entities = record.get("entities") or []
    if not isinstance(entities, list) or not all(isinstance(entity, dict) for entity in entities):
        raise DataError(f"{where}: `entities` is not a list of objects with `type` and `filler`")
    slots = tuple(_entity(entity, record, side, where) for entity in entities)
    return Frame(_word(record["scenario"]), _word(record["action"]), slots)


def _entity(entity: Mapping[str, Any], record: Mapping[str, Any], side: Side, where: str) -> Entity:
    if "filler" in entity:
        if "type" not in entity and side == "hyp":
            raise DataError(f"{where}: an entity has no `type`: {json.dumps(entity)[:60]}")
        filler = _word(entity["filler"])
        return Entity(_word(entity.get("type", "unknown")), filler.lower() if side == "ref" else filler)
    try:
        tokens = [record["tokens"][place]["surface"].lower() for place in entity["span"]]
    except (KeyError, IndexError, TypeError, AttributeError):
        raise DataError(
            f"{where}: an entity has neither a `filler` nor a `span` of places in `tokens`: {json.dumps(entity)[:60]}"
        ) from None
    return Entity(_word(entity.get("type", "unknown")), " ".join(tokens))  # the official default for the gold


def _text(record: Mapping[str, Any]) -> str:
    if isinstance(record.get("sentence"), str):
        return " ".join(record["sentence"].split())
    tokens = record.get("tokens") or []
    return " ".join(str(token.get("surface", "")) for token in tokens if isinstance(token, dict))


def _intent(frame: Frame) -> str:
    return frame.intent


def _word(value: Any) -> str:
    return "" if value is None else str(value)
