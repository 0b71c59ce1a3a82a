"""NEL from data directories: reads the streams `entity_times` and `word_times`, and scores them.

entity_times   [{"type": "PERSON", "filler": "ada byron", "start_second": 0.31, "end_second": 0.92}, ...], or [[start, end], ...], or
               [[filler, start, end], ...]; on both sides
word_times     [["ada", 0.31, 0.55], ...]; of the references; words within an entity of the reference belong to it
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stxlib.data.tables import read_table
from stxlib.errors import DataError
from stxlib.score.classes import ClassColumns
from stxlib.score.inputs import list_ids, read_pairs
from stxlib.score.metric import Array, Counts, Inputs, Scored
from stxlib.score.nel_overlap import INSIDE, OVERLAPS, Span, frame_tally, mark_words, word_tally
from stxlib.score.utterances import dump_utterances
from stxlib.text.labels import read_json

_EXPECTED = "a list of [start, end], of [filler, start, end], or of objects with start_second and end_second"
_LONGEST = (
    1_000_000  # seconds: no utterance is so long, and other units (milliseconds since 1970) are noticed
)


def score_slue_nel(inputs: Inputs) -> Scored:
    """Frame-F1, and word-F1 at six overlaps (`nel_word_f1_80`: 80 % of a word), of the stream `entity_times`.

    Without `word_times` beside the references there is no word-F1. Writes `utterances.slue_nel.jsonl`.
    """
    pairs = read_pairs(inputs, "entity_times")
    references = {utt: _read(value, pairs.ref_place, utt) for utt, value in pairs.references.items()}
    predictions = {utt: _read(value, pairs.hyp_place, utt) for utt, value in pairs.predictions.items()}
    words = _read_words(inputs.ref, references)
    tallies = {
        "frame": [
            frame_tally(_frames_of(found, (words or {}).get(utt, [])), predictions[utt], found)
            for utt, found in references.items()
        ]
    }
    if words is not None:
        marked = {utt: mark_words(words[utt], found) for utt, found in references.items()}
        named = {utt: [_named(span, words[utt]) for span in found] for utt, found in references.items()}
        for overlap in OVERLAPS:
            tallies[f"word_{_name(overlap)}"] = [
                word_tally(marked[utt], predictions[utt], named[utt], overlap) for utt in references
            ]
    columns = {measure: ClassColumns((), f"{measure}_") for measure in tallies}
    counts: dict[str, Array] = {"utterances": np.ones(len(references))}
    for measure, column in columns.items():
        counts |= column.of([{"": tally} for tally in tallies[measure]])
    no_words = () if words is not None else (f"{inputs.ref} has no word_times: no word-F1",)
    return Scored(
        metric="slue_nel",
        headline="nel_frame_f1",
        lower_is_better=False,
        utts=tuple(references),
        counts=counts,
        figures=_figures(columns),
        missing=pairs.missing,
        main_figures=tuple(_figure(measure, "f1") for measure in columns),
        sentences=pairs.sentences,
        notes=(*pairs.notes, *no_words),
        files={
            "utterances.slue_nel.jsonl": dump_utterances(
                (
                    utt,
                    _shown(references[utt]),
                    _shown(predictions[utt]),
                    tally.correct == tally.reference == tally.predicted,
                )
                for utt, tally in zip(references, tallies["frame"], strict=True)
            )
        },
    )


def read_entity_times(value: str) -> list[Span]:
    """Phrase (empty where it is not given), start and end of each entity, in the order of time.

    ValueError says what is wrong: no JSON, another form, or times that are negative or end before they start.
    """
    spans = []
    for item in read_json(value, list, _EXPECTED):
        if isinstance(item, dict):
            parts = [item.get("filler", ""), item.get("start_second"), item.get("end_second")]
        elif isinstance(item, list) and len(item) in (2, 3):
            parts = ["", *item][-3:]
        else:
            raise ValueError(f"{json.dumps(item)[:60]}: expected {_EXPECTED}")
        spans.append(_span(parts, item))
    return sorted(spans, key=lambda span: span[1])


def _span(parts: list[Any], item: object) -> Span:
    phrase, start, end = parts
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (start, end))
    if not isinstance(phrase, str) or not numbers:
        raise ValueError(f"{json.dumps(item)[:60]}: expected {_EXPECTED}")
    if not 0 <= start <= end <= _LONGEST:
        raise ValueError(f"{json.dumps(item)[:60]}: expected 0 <= start <= end <= {_LONGEST:,}, in seconds")
    return " ".join(phrase.split()), float(start), float(end)


def _read(value: str, where: Path, utt: str) -> list[Span]:
    try:
        return read_entity_times(value) if value else []
    except ValueError as error:
        raise DataError(f"{where}: the entity_times of {utt}: {error}") from None


def _read_words(ref: Path, utts: Mapping[str, object]) -> dict[str, list[Span]] | None:
    path = ref / "word_times"
    if not path.is_file():
        return None
    table = read_table(path)
    unknown = [utt for utt in utts if utt not in table]
    if unknown:
        raise DataError(
            f"{path}: {len(unknown)} utterances have no word times: {list_ids(unknown)}; "
            "add them, or take the table away to score frames only"
        )
    words = {}
    for utt in utts:
        try:
            items = read_json(table[utt], list, _EXPECTED)
            if not all(isinstance(item, list) and len(item) == 3 for item in items):
                raise ValueError("expected a list of [word, start, end]")
            words[utt] = [_span(item, item) for item in items]
        except ValueError as error:
            raise DataError(f"{path}: the word times of {utt}: {error}") from None
    return words


def _named(span: Span, words: list[Span]) -> Span:
    """The span with a phrase: its own, or the words within it."""
    phrase, start, end = span
    inside = (
        word.removeprefix(INSIDE) for word, _, _ in mark_words(words, [span]) if word.startswith(INSIDE)
    )
    return phrase or " ".join(filter(None, inside)), start, end


def _frames_of(entities: list[Span], words: list[Span]) -> list[Span]:
    """The entities as words, pauses within them included, and the end of the utterance after them."""
    last = max((end for _, _, end in [*entities, *words]), default=0.0)
    return [*((INSIDE, start, end) for _, start, end in entities), ("", last, last)]


def _figures(columns: Mapping[str, ClassColumns]) -> Callable[[Counts], dict[str, Array]]:
    def figures(counts: Counts) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for measure, column in columns.items():
            micro = column.micro(counts)
            found |= {_figure(measure, name): micro[name] for name in ("f1", "precision", "recall")}
        return found

    return figures


def _figure(measure: str, name: str) -> str:
    """word_80, f1 -> nel_word_f1_80."""
    kind, *overlap = measure.split("_")
    return "_".join(("nel", kind, name, *overlap))


def _name(overlap: float) -> str:
    return f"{100 * overlap:.0f}"


def _shown(spans: list[Span]) -> str:
    return "; ".join(f"{phrase} {start:.2f}-{end:.2f}".strip() for phrase, start, end in spans)
