"""What is understood in an utterance, and how it stands in the label streams of a data directory.

semantics   {"intent": "calendar_set", "slots": [{"type": "date", "filler": "tomorrow"}, ...]}
entities    [{"type": "PERSON", "filler": "ada byron", "start": 5, "length": 9}, ...]; start and length count characters of `text`
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from stxlib.config_options import nearest


@dataclass(frozen=True)
class Entity:
    """A slot or a named entity."""

    type: str
    filler: str
    "its words as they are spoken"
    start: int | None = None
    "where the filler begins in the text of the utterance, in characters; None where that is not known"


@dataclass(frozen=True)
class Frame:
    """What a speaker wants: an intent, and what it needs."""

    scenario: str
    action: str
    "empty where an intent is not made of two parts"
    slots: tuple[Entity, ...] = ()

    @property
    def intent(self) -> str:
        """`scenario_action`, or the scenario where there is no action."""
        return join_intent(self.scenario, self.action)


def split_intent(intent: str) -> tuple[str, str]:
    """Scenario and action: what stands before and after the first `_`. The action of an intent without one is empty."""
    scenario, _, action = intent.partition("_")
    return (scenario, action) if scenario and action else (intent, "")


def join_intent(scenario: str, action: str) -> str:
    """`scenario_action`; one of them alone where the other is empty."""
    return "_".join(part for part in (scenario, action) if part)


_FRAME_KEYS = ("intent", "scenario", "action", "slots")


def read_frame(value: str) -> Frame:
    """A frame from a value of the stream `semantics`. ValueError says what is wrong with it.

    A key that a frame does not have is an error, as what stands under it would be lost. A `scenario` and an `action`, where both are given, go before an `intent`; slots are read from a list of `type` and `filler`, or from a mapping.
    """
    data = read_json(value, dict, "an object with `intent` and `slots`")
    for key in data:
        if key not in _FRAME_KEYS:
            hint = "; SLURP's entities are `slots` here" if key == "entities" else nearest(key, _FRAME_KEYS)
            raise ValueError(f"key '{key}': a frame has {', '.join(_FRAME_KEYS)}{hint}")
    names = {key: data.get(key) or "" for key in ("scenario", "action", "intent")}
    for key, name in names.items():
        if not isinstance(name, str):
            raise ValueError(f"{key} {str(name)[:60]!r}: expected a name")
    scenario, action = split_intent(names["intent"])
    if {"scenario", "action"} <= data.keys() and (names["scenario"] or names["action"]):
        scenario, action = names["scenario"], names["action"]
    slots = data.get("slots") or []
    if isinstance(slots, dict):
        slots = [
            {"type": slot, "filler": filler}
            for slot, fillers in slots.items()
            for filler in (fillers if isinstance(fillers, list) else [fillers])
        ]
    return Frame(scenario, action, _entities_of(slots))


def write_frame(frame: Frame) -> str:
    """The value of the stream `semantics`. Scenario and action are written where the intent does not tell them."""
    parts: dict[str, Any] = {"intent": frame.intent}
    if split_intent(frame.intent) != (frame.scenario, frame.action):
        parts |= {"scenario": frame.scenario, "action": frame.action}
    return json.dumps(parts | {"slots": [_as_json(slot) for slot in frame.slots]}, ensure_ascii=False)


def read_entities(value: str) -> tuple[Entity, ...]:
    """Entities from a value of the stream `entities`. ValueError says what is wrong with it."""
    return _entities_of(read_json(value, list, "a list of objects with `type` and `filler`"))


def write_entities(entities: tuple[Entity, ...]) -> str:
    """The value of the stream `entities`."""
    return json.dumps([_as_json(entity) for entity in entities], ensure_ascii=False)


def read_json(value: str, kind: type, expected: str) -> Any:
    """The JSON of a label, which is to be of this kind (list, dict). ValueError says what was seen, and what was `expected`."""
    try:
        data = json.loads(value)
    except ValueError as error:
        raise ValueError(f"no JSON ({error}); expected {expected}") from None
    if not isinstance(data, kind):
        raise ValueError(f"{value[:60]!r}: expected {expected}")
    return data


def _entities_of(items: Any) -> tuple[Entity, ...]:
    if not isinstance(items, list):
        raise ValueError(f"{str(items)[:60]!r}: expected a list of objects with `type` and `filler`")
    entities = []
    for item in items:
        if not isinstance(item, dict) or not {"type", "filler"} <= item.keys():
            raise ValueError(f"{json.dumps(item)[:60]}: expected an object with `type` and `filler`")
        start = item.get("start")
        if not all(isinstance(item[key], str | int | float) for key in ("type", "filler")):
            raise ValueError(f"{json.dumps(item)[:60]}: expected words as `type` and `filler`")
        if not (start is None or (type(start) is int and start >= 0)):
            raise ValueError(f"{json.dumps(item)[:60]}: expected a count of characters as `start`")
        entities.append(Entity(str(item["type"]), str(item["filler"]), start))
    return tuple(entities)


def _as_json(entity: Entity) -> dict[str, Any]:
    where = {} if entity.start is None else {"start": entity.start, "length": len(entity.filler)}
    return {"type": entity.type, "filler": entity.filler, **where}
