"""Exact match of parses as STOP counts it: EM and EM-Tree, from the stream `parse`.

EM: the parse as a whole is the reference's (blanks squeezed). EM-Tree: the trees are equal when the words that stand in
slots are taken out of both, so that a misheard value does not count. A prediction that is no tree is wrong in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stxlib.errors import DataError
from stxlib.score.classes import confusion, per_label, tally_classes
from stxlib.score.inputs import list_ids, read_pairs
from stxlib.score.metric import Array, Counts, Inputs, Scored, percent
from stxlib.score.utterances import dump_utterances
from stxlib.text.parse_tree import Tree, read_tree, without_slot_words

_NO_TREE = "(no tree)"


class Match(NamedTuple):
    """What is right about one prediction."""

    exact: bool
    tree: bool
    root: str
    "label of the prediction's root, such as IN:GET_WEATHER; `(no tree)` where the prediction is none"


@dataclass(frozen=True)
class _Parse:
    text: str
    tree: Tree | None

    @property
    def root(self) -> str:
        return _NO_TREE if self.tree is None else self.tree.label


def match_parses(reference: str, prediction: str) -> Match:
    """Compare two bracketed parses. Raises ValueError when the reference is no tree."""
    wanted = _Parse(_squeezed(reference), without_slot_words(read_tree(reference)))
    return _match(wanted, _predicted(prediction))


def score_stop_em(inputs: Inputs) -> Scored:
    """EM and EM-Tree of the stream `parse`, in percent of the utterances.

    Details: confusion and per_label of the root intents. Writes `utterances.stop_em.jsonl`.
    Raises DataError naming the utterance whose reference is no tree.
    """
    pairs = read_pairs(inputs, "parse")
    references: dict[str, _Parse] = {}
    for utt, value in pairs.references.items():
        try:
            references[utt] = _Parse(_squeezed(value), without_slot_words(read_tree(value)))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{pairs.ref_place}: the parse of {utt}: {error or 'too deep'}") from None
    matches = {utt: _match(references[utt], _predicted(value)) for utt, value in pairs.predictions.items()}
    counts: dict[str, Array] = {
        "utterances": np.ones(len(matches)),
        "exact": np.array([float(match.exact) for match in matches.values()]),
        "tree": np.array([float(match.tree) for match in matches.values()]),
        "no_tree": np.array([float(match.root == _NO_TREE) for match in matches.values()]),
    }

    def figures(counts: Counts) -> dict[str, Array]:
        return {
            "em": percent(counts["exact"], counts["utterances"]),
            "em_tree": percent(counts["tree"], counts["utterances"]),
        }

    roots = [references[utt].root for utt in matches], [match.root for match in matches.values()]
    no_tree = [utt for utt, match in matches.items() if match.root == _NO_TREE]
    notes = pairs.notes
    if no_tree:
        notes += (f"{len(no_tree)} predictions are no tree: {list_ids(no_tree)}",)
    return Scored(
        metric="stop_em",
        headline="em",
        lower_is_better=False,
        utts=tuple(matches),
        counts=counts,
        figures=figures,
        missing=pairs.missing,
        sentences=pairs.sentences,
        notes=notes,
        files={
            "utterances.stop_em.jsonl": dump_utterances(
                (utt, pairs.references[utt], pairs.predictions[utt], match.exact)
                for utt, match in matches.items()
            )
        },
        details={"confusion": confusion(*roots), "per_label": per_label(tally_classes(*roots))},
    )


def _match(reference: _Parse, prediction: _Parse) -> Match:
    exact = prediction.tree is not None and reference.text == prediction.text
    return Match(exact, reference.tree == prediction.tree, prediction.root)


def _predicted(parse: str) -> _Parse:
    try:
        return _Parse(_squeezed(parse), without_slot_words(read_tree(parse)))
    except (ValueError, RecursionError):  # a decoder may open hundreds of brackets
        return _Parse(_squeezed(parse), None)


def _squeezed(parse: str) -> str:
    return " ".join(parse.split())
