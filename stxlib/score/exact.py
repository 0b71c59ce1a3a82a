"""Exact match of frames, and F1 of their slots without regard to order."""

from __future__ import annotations

import numpy as np

from stxlib.score.classes import ClassColumns, per_label
from stxlib.score.frames import format_frame, notes_on_case, read_frames
from stxlib.score.inputs import read_pairs
from stxlib.score.metric import Array, Counts, Inputs, Scored, percent
from stxlib.score.slurp import RATIOS, entity_tallies, is_exact, total
from stxlib.score.utterances import dump_utterances


def score_exact(inputs: Inputs) -> Scored:
    """How often a whole frame is right (intent, and the multiset of type and filler of the slots), and slot F1.

    From the stream `semantics`. An utterance without a prediction is wrong, also where its reference is empty; intent accuracy is that of
    `ic`. Details: `per_label` (types of slots).
    Writes `utterances.exact.jsonl`.
    """
    pairs = read_pairs(inputs, "semantics")
    references, predictions = read_frames(pairs)
    sides = list(zip(references, predictions, strict=True))
    tallies = [entity_tallies(one.slots, other.slots) for one, other in sides]
    right = [
        value != "" and is_exact(*frames)
        for value, frames in zip(pairs.predictions.values(), sides, strict=True)
    ]
    said, heard = ([frame.intent for frame in frames] for frames in (references, predictions))
    intents = ClassColumns(()).of_classes(said, heard)
    counts: dict[str, Array] = {
        "utterances": np.ones(len(sides)),
        "exact": np.array(right, float),
        "intents_correct": intents["correct"],
        "intents": intents["reference"],
    }
    types = total(tallies)
    counts |= ClassColumns(tuple(types), "slot_").of(tallies)
    return Scored(
        metric="exact",
        headline="exact_match",
        lower_is_better=False,
        utts=tuple(pairs.references),
        counts=counts,
        figures=_figures,
        missing=pairs.missing,
        sentences=pairs.sentences,
        notes=(*pairs.notes, *notes_on_case(references, predictions)),
        files={
            "utterances.exact.jsonl": dump_utterances(
                (utt, format_frame(one), format_frame(other), correct)
                for utt, (one, other), correct in zip(pairs.references, sides, right, strict=True)
            )
        },
        details={"per_label": per_label(types)},
    )


def _figures(counts: Counts) -> dict[str, Array]:
    columns = ClassColumns((), "slot_")
    micro, macro = columns.micro(counts), columns.macro(counts)
    return {
        "exact_match": percent(counts["exact"], counts["utterances"]),
        **{f"slot_{ratio}": micro[ratio] for ratio in RATIOS},
        "slot_macro_f1": macro["f1"],
        "intent_accuracy": percent(counts["intents_correct"], counts["intents"]),
    }
