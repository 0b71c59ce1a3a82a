"""Sentiment as SLUE scores it: macro F1 and macro recall over the classes, from the stream `sentiment`.

Source: slue-toolkit, `eval_nlp_sentiment.py`, which calls scikit-learn: a class counts in the mean when it occurs in the
references or in the predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stxlib.score.classes import ClassColumns, Tally, confusion, mean_of, per_label, tally_classes
from stxlib.score.inputs import list_ids, read_pairs
from stxlib.score.metric import Array, Counts, Inputs, Scored, percent
from stxlib.score.utterances import dump_utterances

CLASSES = ("Negative", "Neutral", "Positive")
"SLUE's classes, in the order of its label file"


@dataclass(frozen=True)
class SentimentScores:
    """All in percent; nan where there is no utterance."""

    macro: dict[str, float]
    "precision, recall, f1: means over the classes seen"
    weighted: dict[str, float]
    "the same, each class weighted by its references; slue-toolkit calls it `micro`"
    accuracy: float
    per_class: dict[str, Tally]
    "sorted; the classes seen on either side"

    def as_toolkit(self) -> dict[str, dict[str, float]]:
        """What slue-toolkit writes to its json.

        It names the F1 of the classes by position: where a class occurs on neither side, the ones after it stand under
        the names of those before. `per_class` has the right names.
        """
        scores = [100 * tally.f1 for tally in self.per_class.values()]
        names = CLASSES if len(scores) <= len(CLASSES) else tuple(self.per_class)
        return {
            "macro": self.macro,
            "micro": self.weighted,
            "per_classes": dict(zip(names, scores, strict=False)),
        }


def sentiment_scores(references: Sequence[str], predictions: Sequence[str]) -> SentimentScores:
    """Scores of one class an utterance; an empty prediction is wrong, and no class of its own.

    Raises ValueError when the sides have different lengths.
    """
    classes = tally_classes(references, predictions)
    total = sum(tally.reference for tally in classes.values())
    weighted = {
        name: 100 * sum(tally.reference * getattr(tally, name) for tally in classes.values()) / total
        if total
        else float("nan")
        for name in ("precision", "recall", "f1")
    }
    return SentimentScores(
        macro={name: 100 * value for name, value in mean_of(classes.values()).items()},
        weighted=weighted,
        accuracy=100 * sum(tally.correct for tally in classes.values()) / total if total else float("nan"),
        per_class=classes,
    )


def score_slue_sa(inputs: Inputs) -> Scored:
    """Macro F1, recall and precision, weighted F1, and accuracy of the stream `sentiment`.

    Writes `utterances.slue_sa.jsonl`.
    """
    pairs = read_pairs(inputs, "sentiment")
    references, predictions = list(pairs.references.values()), list(pairs.predictions.values())
    classes = tally_classes(references, predictions)
    columns = ClassColumns(tuple(classes))
    counts: dict[str, Array] = {"utterances": np.ones(len(references))}
    counts |= columns.of_classes(references, predictions)

    def figures(counts: Counts) -> dict[str, Array]:
        macro = columns.macro(counts)
        return {
            "sa_macro_f1": macro["f1"],
            "sa_macro_recall": macro["recall"],
            "sa_macro_precision": macro["precision"],
            "sa_weighted_f1": columns.weighted(counts)["f1"],
            "sa_accuracy": percent(counts["correct"], counts["utterances"]),
        }

    return Scored(
        metric="slue_sa",
        headline="sa_macro_f1",
        lower_is_better=False,
        utts=tuple(pairs.references),
        counts=counts,
        figures=figures,
        missing=pairs.missing,
        sentences=pairs.sentences,
        notes=(*pairs.notes, *_notes(pairs.references, pairs.predictions)),
        files={
            "utterances.slue_sa.jsonl": dump_utterances(
                (utt, one, pairs.predictions[utt], one == pairs.predictions[utt])
                for utt, one in pairs.references.items()
            )
        },
        details={"per_label": per_label(classes), "confusion": confusion(references, predictions)},
    )


def _notes(references: dict[str, str], predictions: dict[str, str]) -> tuple[str, ...]:
    known = set(references.values())
    foreign = {utt: value for utt, value in predictions.items() if value and value not in known}
    if not foreign:
        return ()
    classes = ", ".join(sorted(set(foreign.values()))[:10])
    return (
        f"{len(foreign)} predictions are of classes that no reference has ({classes}), "
        f"and each such class counts in the macro figures: {list_ids(foreign)}",
    )
