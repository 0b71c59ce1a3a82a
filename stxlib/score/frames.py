"""Frames of references and predictions, read for a metric, and written for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stxlib.data.tables import line_of
from stxlib.errors import DataError
from stxlib.score.inputs import Pairs
from stxlib.score.letter_case import case_notes, count_case_pairs
from stxlib.text.labels import Frame, read_frame, split_intent

NO_FRAME = Frame("", "")
"of an empty prediction"


def read_frames(pairs: Pairs) -> tuple[list[Frame], list[Frame]]:
    """References and predictions in the order of `pairs`. DataError with file, line and id."""
    return (
        _frames(pairs.references, pairs.ref_stream, pairs.ref_place),
        _frames(pairs.predictions, pairs.hyp_stream, pairs.hyp_place),
    )


def format_frame(frame: Frame) -> str:
    """`calendar_set(date: tomorrow, person: ada byron)`."""
    slots = ", ".join(f"{slot.type}: {slot.filler}" for slot in frame.slots)
    return f"{frame.intent}({slots})" if slots else frame.intent


def notes_on_case(references: Sequence[Frame], predictions: Sequence[Frame]) -> tuple[str, ...]:
    """A note where fillers differ in letter case alone."""
    sides = zip(references, predictions, strict=True)
    return case_notes(
        sum(count_case_pairs(_phrases(one), _phrases(other)) for one, other in sides), "fillers"
    )


def _phrases(frame: Frame) -> list[tuple[str, str]]:
    return [(slot.type, slot.filler) for slot in frame.slots]


def _frames(values: Mapping[str, str], stream: str, place: Path) -> list[Frame]:
    frames: dict[str, Frame] = {"": NO_FRAME}  # by value: recordings of one sentence have the same
    for utt, value in values.items():
        if value in frames:
            continue
        if stream == "intent":
            frames[value] = Frame(*split_intent(value))
            continue
        try:
            frames[value] = read_frame(value)
        except ValueError as error:
            line = f":{line_of(place, utt)}" if place.name == stream else ""
            raise DataError(f"{place}{line}: the {stream} of {utt!r} cannot be read: {error}") from None
    return [frames[value] for value in values.values()]
