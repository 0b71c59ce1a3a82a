"""Frames and entities in the streams of a data directory."""

from __future__ import annotations

import pytest

from stxlib.text.labels import (
    Entity,
    Frame,
    join_intent,
    read_entities,
    read_frame,
    split_intent,
    write_entities,
    write_frame,
)


@pytest.mark.parametrize(
    ("intent", "parts"),
    [
        ("calendar_set", ("calendar", "set")),
        ("audio_volume_up", ("audio", "volume_up")),
        ("GetWeather", ("GetWeather", "")),
        ("_x", ("_x", "")),
        ("x_", ("x_", "")),
        ("", ("", "")),
    ],
)
def test_intents_of_two_parts(intent: str, parts: tuple[str, str]) -> None:
    assert split_intent(intent) == parts
    assert join_intent(*parts) == intent


@pytest.mark.parametrize(
    "frame",
    [
        Frame("calendar", "set", (Entity("date", "tomorrow"), Entity("date", "tomorrow"), Entity("who", ""))),
        Frame("a_b", "c"),  # what `intent` alone would not tell
        Frame("a_b", ""),
        Frame("", "set"),
        Frame("", "", (Entity("x", 'quo"ted {} \u2028 ж', 3),)),
    ],
)
def test_frames_come_back(frame: Frame) -> None:
    assert read_frame(write_frame(frame)) == frame
    assert "\n" not in write_frame(frame)


def test_forms_of_frames() -> None:
    slots = (Entity("size", "large"), Entity("milk", "oat"), Entity("milk", "soy"))
    mapping = '{"intent": "order_drink", "slots": {"size": "large", "milk": ["oat", "soy"]}}'
    assert read_frame(mapping) == Frame("order", "drink", slots)
    # SLURP's 67 records whose intent is something else
    other = '{"intent": "set", "scenario": "audio", "action": "volume_up", "slots": []}'
    assert read_frame(other).intent == "audio_volume_up"
    assert read_frame('{"intent": "hello"}') == Frame("hello", "")
    assert write_frame(Frame("a", "b")) == '{"intent": "a_b", "slots": []}'


def test_entities_come_back() -> None:
    entities = (Entity("PERSON", "ada byron", 5), Entity("DATE", "today"))
    assert read_entities(write_entities(entities)) == entities
    assert '"start": 5, "length": 9' in write_entities(entities)
    assert read_entities('[{"type": "n", "filler": 3}]') == (Entity("n", "3"),)
    assert read_entities("[]") == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("tomorrow", "no JSON"),
        ("{}", "expected a list of objects"),
        ('["x"]', "expected an object with `type` and `filler`"),
        ('[{"type": "x"}]', "expected an object with `type` and `filler`"),
        ('[{"type": "x", "filler": null}]', "expected words"),
        ('[{"type": ["x"], "filler": "y"}]', "expected words"),
        ('[{"type": "x", "filler": "y", "start": "3"}]', "count of characters"),
        ('[{"type": "x", "filler": "y", "start": -1}]', "count of characters"),
        ('[{"type": "x", "filler": "y", "start": true}]', "count of characters"),
    ],
)
def test_bad_entities(value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_entities(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[]", "expected an object"),
        ("{", "no JSON"),
        ('{"slots": "x"}', "expected a list of objects"),
        (
            '{"intnet": "a_b"}',
            "key 'intnet': a frame has intent, scenario, action, slots; did you mean 'intent'",
        ),
        ('{"intent": "a_b", "slot": []}', "key 'slot': .*; did you mean 'slots'"),
        (
            '{"scenario": "a", "action": "b", "entities": []}',
            "key 'entities': .*; SLURP's entities are `slots` here",
        ),
        ('{"intent": "a_b", "text": "x"}', "key 'text': a frame has"),
    ],
)
def test_bad_frames(value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_frame(value)
