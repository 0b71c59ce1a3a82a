"""Intent classification: accuracy, and precision, recall and F1 of the classes."""

from __future__ import annotations

import numpy as np

from stxlib.score.classes import ClassColumns, confusion, per_label, tally_classes
from stxlib.score.frames import read_frames
from stxlib.score.inputs import read_pairs
from stxlib.score.metric import Array, Counts, Inputs, Scored, percent
from stxlib.score.utterances import dump_utterances


def score_ic(inputs: Inputs) -> Scored:
    """Accuracy of whole intents, of scenarios and of actions, and macro F1, precision and recall of intents.

    From the stream `intent`, on a side that has none from `semantics`; scenario and action where every reference has
    both. Accuracy is that of the utterances whose reference has an intent, null where none has. One without a prediction is wrong. Details: `per_label`, `confusion`. Writes `utterances.ic.jsonl`.
    """
    pairs = read_pairs(inputs, "intent", "semantics")
    references, predictions = read_frames(pairs)
    said, heard = (
        [frame.intent for frame in frames] if stream == "semantics" else list(values.values())
        for frames, stream, values in (
            (references, pairs.ref_stream, pairs.references),
            (predictions, pairs.hyp_stream, pairs.predictions),
        )
    )
    classes = tally_classes(said, heard)
    counts: dict[str, Array] = {"utterances": np.ones(len(said))}
    counts |= ClassColumns(tuple(classes)).of_classes(said, heard)
    if all(frame.scenario and frame.action for frame in references):
        sides = list(zip(references, predictions, strict=True))
        counts["scenario_correct"] = np.array([one.scenario == other.scenario for one, other in sides], float)
        counts["action_correct"] = np.array([one.action == other.action for one, other in sides], float)
    return Scored(
        metric="ic",
        headline="intent_accuracy",
        lower_is_better=False,
        utts=tuple(pairs.references),
        counts=counts,
        figures=_figures,
        missing=pairs.missing,
        sentences=pairs.sentences,
        notes=pairs.notes,
        files={
            "utterances.ic.jsonl": dump_utterances(
                (utt, one, other, one == other != "")
                for utt, one, other in zip(pairs.references, said, heard, strict=True)
            )
        },
        details={"per_label": per_label(classes), "confusion": confusion(said, heard)},
    )


def _figures(counts: Counts) -> dict[str, Array]:
    figures = {"intent_accuracy": percent(counts["correct"], counts["reference"])}
    for part in ("scenario", "action"):
        if f"{part}_correct" in counts:
            figures[f"{part}_accuracy"] = percent(counts[f"{part}_correct"], counts["utterances"])
    macro = ClassColumns(()).macro(counts)
    return figures | {f"intent_macro_{ratio}": macro[ratio] for ratio in ("f1", "precision", "recall")}
