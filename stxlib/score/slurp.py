"""SLURP's figures: F1 of scenario, action and intent, of entities, and SLU-F1 with its word and character parts.

An entity is right when one of the same type and filler is left in the reference. The distance measures forgive
misheard fillers: each predicted entity, in the order of the prediction, takes the nearest filler of its type that is
left in the reference and counts as right, with its distance added to both the made-up and the missed; without one of
its type it is made up. SLU-F1 adds up the counts of the word and the character distance.

Source: Bastianelli et al., "SLURP", EMNLP 2020, and `scripts/evaluation` of its repository.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stxlib.score.classes import NOTHING, Cells, ClassColumns, Tally, confusion, mean_of, per_label
from stxlib.score.distances import char_distance, word_distance
from stxlib.score.frames import format_frame, notes_on_case, read_frames
from stxlib.score.inputs import read_pairs
from stxlib.score.metric import Array, Counts, Inputs, Scored
from stxlib.score.utterances import dump_utterances
from stxlib.text.labels import Entity, Frame

KINDS = ("slu", "word", "char", "entity", "intent", "scenario", "action")
RATIOS = ("f1", "precision", "recall")

NONE = "(none)"
"the label of an empty scenario, action, intent or type; officially that is a label as well"

Tallies = dict[str, Tally]
"label -> tally"


@dataclass(frozen=True)
class SlurpScores:
    """One of `KINDS` over a set."""

    per_label: Tallies

    @property
    def micro(self) -> Tally:
        """All labels pooled: the official `--average micro`."""
        return sum(self.per_label.values(), NOTHING)

    @property
    def macro(self) -> dict[str, float]:
        """Means of precision, recall and f1 over the labels that occur, 0..1: the official `--average macro`."""
        return mean_of(self.per_label.values())


def slurp_scores(
    references: Sequence[Frame | Mapping[str, Any]], predictions: Sequence[Frame | Mapping[str, Any]]
) -> dict[str, SlurpScores]:
    """Scores of frames, or of SLURP's objects with `scenario`, `action` and `entities` ({"type", "filler"}): by kind.

    Raises ValueError when the sides have different lengths.
    """
    of_utts = [
        frame_tallies(_frame(reference), _frame(prediction))
        for reference, prediction in zip(references, predictions, strict=True)
    ]
    return {kind: SlurpScores(total([of_utt[kind] for of_utt in of_utts])) for kind in KINDS}


def frame_tallies(reference: Frame, prediction: Frame) -> dict[str, Tallies]:
    """Tallies of one utterance, by kind."""
    slots = slot_tallies(reference.slots, prediction.slots)
    return {
        "slu": {label: tally + slots["char"][label] for label, tally in slots["word"].items()},
        **slots,
        "intent": _label_tallies(reference.intent, prediction.intent),
        "scenario": _label_tallies(reference.scenario, prediction.scenario),
        "action": _label_tallies(reference.action, prediction.action),
    }


def slot_tallies(references: Sequence[Entity], predictions: Sequence[Entity]) -> dict[str, Tallies]:
    """Tallies of the slots of one utterance: `word`, `char` and `entity`."""
    entity = entity_tallies(references, predictions)
    if all(tally.correct == tally.reference == tally.predicted for tally in entity.values()):
        return {
            "word": entity,
            "char": entity,
            "entity": entity,
        }  # every filler finds its own, at no distance
    return {
        "word": distance_tallies(references, predictions, word_distance),
        "char": distance_tallies(references, predictions, char_distance),
        "entity": entity,
    }


def entity_tallies(references: Sequence[Entity], predictions: Sequence[Entity]) -> Tallies:
    """Entities that match exactly, as multisets of (type, filler), by type."""
    left = [(entity.type, entity.filler) for entity in references]
    correct: list[str] = []
    for entity in predictions:
        if (entity.type, entity.filler) in left:
            left.remove((entity.type, entity.filler))
            correct.append(entity.type or NONE)
    said, heard = _types(references), _types(predictions)
    return {
        label: Tally(correct.count(label), said.count(label), heard.count(label))
        for label in dict.fromkeys((*said, *heard))
    }


def distance_tallies(
    references: Sequence[Entity], predictions: Sequence[Entity], distance: Callable[[str, str], float]
) -> Tallies:
    """Entities matched by type, in the order of the predictions, each with the nearest filler that is left.

    A match counts whole, whatever its distance; the distance counts as made up and as missed.
    """
    left: dict[str, list[str]] = {}
    for entity in references:
        left.setdefault(entity.type or NONE, []).append(entity.filler)
    matched: list[str] = []
    distances: dict[str, float] = {}
    for entity in predictions:
        label = entity.type or NONE
        if not (fillers := left.get(label)):
            continue
        away = [distance(filler, entity.filler) for filler in fillers]
        nearest = away.index(min(away))  # the first of equally near ones
        del fillers[nearest]
        matched.append(label)
        distances[label] = distances.get(label, 0.0) + away[nearest]
    said, heard = _types(references), _types(predictions)
    return {
        label: Tally(
            matched.count(label),
            said.count(label) + distances.get(label, 0.0),
            heard.count(label) + distances.get(label, 0.0),
        )
        for label in dict.fromkeys((*said, *heard))
    }


def score_slurp(inputs: Inputs) -> Scored:
    """SLURP's seven figures of the stream `semantics`, each as F1, precision and recall, micro and macro.

    With `allow_missing` utterances without a prediction are left out, as officially. Details: `per_label` (SLU-F1 of
    entity types), `kinds` (labels of each of the seven), `totals` (tp, fp and fn of each), `confusion` (intents). Writes `utterances.slurp.jsonl`.
    """
    pairs = read_pairs(inputs, "semantics", drop_missing=True)
    references, predictions = read_frames(pairs)
    counts: dict[str, Array] = {"utterances": np.ones(len(references))}
    for kind, said, heard in (
        ("intent", [frame.intent for frame in references], [frame.intent for frame in predictions]),
        ("scenario", [frame.scenario for frame in references], [frame.scenario for frame in predictions]),
        ("action", [frame.action for frame in references], [frame.action for frame in predictions]),
    ):
        sides = [label or NONE for label in said], [label or NONE for label in heard]
        counts |= ClassColumns(tuple(sorted({*sides[0], *sides[1]})), f"{kind}_").of_classes(*sides)
        if kind == "intent":
            confused = confusion(*sides)
    cells = {kind: Cells() for kind in ("word", "char", "entity")}
    for row, (one, other) in enumerate(zip(references, predictions, strict=True)):
        for kind, of_utt in slot_tallies(one.slots, other.slots).items():
            cells[kind].add(row, of_utt)
    for kind, found in cells.items():
        counts |= ClassColumns(tuple(sorted(set(found.labels))), f"{kind}_").of_cells(found, len(references))
    sums = _with_slu({name: column.sum() for name, column in counts.items()})
    tables = {kind: per_label(_of_kind(sums, kind)) for kind in KINDS}
    return Scored(
        metric="slurp",
        headline="slu_f1",
        lower_is_better=False,
        utts=tuple(pairs.references),
        counts=counts,
        figures=_figures,
        missing=pairs.missing,
        drops_missing=True,
        sentences=pairs.sentences,
        main_figures=tuple(f"{kind}_f1" for kind in KINDS),
        notes=(*pairs.notes, *notes_on_case(references, predictions)),
        files={
            "utterances.slurp.jsonl": dump_utterances(
                (utt, format_frame(one), format_frame(other), is_exact(one, other))
                for utt, one, other in zip(pairs.references, references, predictions, strict=True)
            )
        },
        details={
            "per_label": tables["slu"],
            "confusion": confused,
            "kinds": tables,
            "totals": {
                kind: {part: sum(row[part] for row in table.values()) for part in ("tp", "fp", "fn")}
                for kind, table in tables.items()
            },
        },
    )


def is_exact(reference: Frame, prediction: Frame) -> bool:
    """The same intent, and the same slots in any order."""
    return (reference.scenario, reference.action) == (prediction.scenario, prediction.action) and (
        Counter((slot.type, slot.filler) for slot in reference.slots)
        == Counter((slot.type, slot.filler) for slot in prediction.slots)
    )


def total(tallies: Sequence[Tallies]) -> Tallies:
    """Tallies of a set, sorted by label."""
    sums: dict[str, tuple[float, float, float]] = {}
    for of_utt in tallies:
        for label, tally in of_utt.items():
            correct, reference, predicted = sums.get(label, (0, 0, 0))
            sums[label] = correct + tally.correct, reference + tally.reference, predicted + tally.predicted
    return {label: Tally(*sums[label]) for label in sorted(sums)}


def _figures(counts: Counts) -> dict[str, Array]:
    counts = _with_slu(counts)
    figures: dict[str, Array] = {}
    for average in ("", "macro_"):
        for kind in KINDS:
            columns = ClassColumns((), f"{kind}_")
            values = columns.macro(counts) if average else columns.micro(counts)
            figures |= {f"{average}{kind}_{ratio}": values[ratio] for ratio in RATIOS}
    return figures


def _with_slu(counts: Counts) -> Counts:
    """SLU-F1 adds up what the word and the character distance count."""
    slu = {
        "slu" + name.removeprefix("word"): counts[name] + counts["char" + name.removeprefix("word")]
        for name in counts
        if name.startswith("word_")
    }
    return {**counts, **slu}


def _of_kind(sums: Counts, kind: str) -> Tallies:
    start = f"{kind}_correct:"
    return {
        label: Tally(
            *(float(sums[f"{kind}_{part}:{label}"]) for part in ("correct", "reference", "predicted"))
        )
        for label in (name.removeprefix(start) for name in sums if name.startswith(start))
    }


def _frame(value: Frame | Mapping[str, Any]) -> Frame:
    if isinstance(value, Frame):
        return value
    slots = tuple(Entity(str(item["type"]), str(item["filler"])) for item in value["entities"])
    return Frame(str(value["scenario"]), str(value["action"]), slots)


def _label_tallies(reference: str, prediction: str) -> Tallies:
    """One label a side."""
    reference, prediction = reference or NONE, prediction or NONE
    if reference == prediction:
        return {reference: Tally(1, 1, 1)}
    return {reference: Tally(0, 1, 0), prediction: Tally(0, 0, 1)}


def _types(entities: Sequence[Entity]) -> list[str]:
    return [entity.type or NONE for entity in entities]
