"""Named entities as SLUE scores them: F1 and label-F1, from the stream `entities` or from lines with inline tags.

An entity is right when the sentence has one of the same tag with exactly the same phrase; the n-th copy of an entity
needs an n-th copy on the other side; the order says nothing. For label-F1 the phrase does not count. Raw OntoNotes tags
are mapped to the combined ones before they are compared, and the tags that have none are left out. Phrases of both sides,
from whatever file, are compared as `clean_filler` leaves them.

Source: slue-toolkit, `eval_w2v_ner.py` and `eval_utils.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stxlib.errors import DataError
from stxlib.score.classes import NOTHING, ClassColumns, Tally, mean_of, per_label
from stxlib.score.inputs import read_pairs
from stxlib.score.letter_case import case_notes, count_case_pairs
from stxlib.score.metric import Array, Counts, Inputs, Scored
from stxlib.score.utterances import dump_utterances
from stxlib.text.entity_tags import END, RAW_SYMBOLS, combine
from stxlib.text.labels import read_entities

Found = tuple[str, str]
"an entity: tag, phrase"
Numbered = tuple[str, str, int]
"an entity and the how manieth copy of it in the sentence this is, from 1"

TagSet = Literal["raw", "combined"]

DISCARD = "DISCARD"
"the toolkit's tag for what is left out"


@dataclass(frozen=True)
class NerScores:
    """Scores of a set of sentences."""

    per_tag: dict[str, Tally]
    "the tags that occur on either side"

    @property
    def micro(self) -> Tally:
        """All tags pooled."""
        return sum(self.per_tag.values(), NOTHING)

    @property
    def macro(self) -> dict[str, float]:
        """Means of precision, recall, f1 over the tags, 0..1; nan where there is none."""
        return mean_of(self.per_tag.values())

    def as_toolkit(self) -> dict[str, dict[str, float]]:
        """tag | overall_micro | overall_macro -> precision, recall, fscore, 0..1, as slue-toolkit writes them."""
        of_tag = {**self.per_tag, "overall_micro": self.micro}
        table = {
            tag: {"precision": tally.precision, "recall": tally.recall, "fscore": tally.f1}
            for tag, tally in of_tag.items()
        }
        mean = self.macro
        table["overall_macro"] = {
            "precision": mean["precision"],
            "recall": mean["recall"],
            "fscore": mean["f1"],
        }
        return table


def ner_scores(
    references: Sequence[Iterable[Numbered]], predictions: Sequence[Iterable[Numbered]]
) -> NerScores:
    """Scores of ready entities, one sequence of (tag, phrase, copy) a sentence; no tag is mapped or left out.

    Raises ValueError when the sides have different numbers of sentences.
    """
    total: dict[str, Tally] = {}
    for reference, prediction in zip(references, predictions, strict=True):
        for tag, tally in sentence_tallies(reference, prediction).items():
            total[tag] = total.get(tag, NOTHING) + tally
    return NerScores(dict(sorted(total.items())))


def ner_scores_of_lines(
    references: Sequence[str],
    predictions: Sequence[str],
    *,
    tags: TagSet = "combined",
    label_only: bool = False,
    symbols: Mapping[str, str] = RAW_SYMBOLS,
) -> NerScores:
    """Scores of lines with inline tags: slue-toolkit's `eval_ner`.

    tags: combined maps the tags before they are compared.
    label_only: the phrases do not count.
    symbols: tag -> symbol of both sides; the toolkit knows the raw ones only.
    """

    def side(lines: Sequence[str]) -> list[list[Numbered]]:
        return [
            numbered(chosen(tagged_entities(line, symbols), tags=tags, label_only=label_only))
            for line in lines
        ]

    return ner_scores(side(references), side(predictions))


def tagged_entities(line: str, symbols: Mapping[str, str] = RAW_SYMBOLS) -> list[Found]:
    """The entities of a line such as `} ada byron ] was in % paris ]`, in order.

    A ` (None-7)` at the end, which fairseq appends, is cut off. A symbol that is glued to a word is no symbol. A symbol
    inside an open entity throws away its words and opens another; an entity that is not closed, or closed without
    words, is none; a `]` without an open entity is passed over.
    """
    tag_of = {symbol: tag for tag, symbol in symbols.items()}
    words = line.strip().split(" (None")[0].replace("  ", " ").split(" ")
    found: list[Found] = []
    tag: str | None = None
    phrase: list[str] = []
    for word in words:
        if word in tag_of:
            tag, phrase = tag_of[word], []
        elif word == END:
            if tag is not None and phrase:
                found.append((tag, " ".join(phrase)))
            tag, phrase = None, []
        elif tag is not None:
            phrase.append(word)
    return found


def clean_filler(phrase: str) -> str:
    """A phrase as it is compared: no `.,!?;`, no apostrophe at the end of a word, blanks squeezed, `europe 's` as `europe's`.

    The toolkit makes its NER files so, of both sides, and leaves some of that in its texts.
    """
    words = [word.removesuffix("'") for word in re.sub(r"[.,!?;]", "", phrase).split()]
    return " ".join(word for word in words if word).replace(" '", "'")


def chosen(entities: Iterable[Found], *, tags: TagSet, label_only: bool = False) -> list[Found]:
    """What of the entities counts: tags mapped (combined), those without a combined tag left out, phrases dropped
    (label_only). A tag that SLUE does not have is kept as it is.
    """
    kept = ((combine(tag) if tags == "combined" else tag, phrase) for tag, phrase in entities)
    return [(tag, "" if label_only else phrase) for tag, phrase in kept if tag is not None and tag != DISCARD]


def numbered(entities: Iterable[Found]) -> list[Numbered]:
    """Each entity with its copy: the first is 1, an equal one after it 2."""
    copies: Counter[Found] = Counter()
    output = []
    for tag, phrase in entities:
        copies[tag, phrase] += 1
        output.append((tag, phrase, copies[tag, phrase]))
    return output


def sentence_tallies(reference: Iterable[Numbered], prediction: Iterable[Numbered]) -> dict[str, Tally]:
    """Tag -> tally of one sentence. Equal entries of one side count once, as in a set."""
    reference, prediction = set(reference), set(prediction)
    of_reference, of_prediction = Counter(e[0] for e in reference), Counter(e[0] for e in prediction)
    correct = Counter(e[0] for e in reference & prediction)
    return {
        tag: Tally(correct[tag], of_reference[tag], of_prediction[tag])
        for tag in of_reference.keys() | of_prediction.keys()
    }


def score_slue_ner(inputs: Inputs) -> Scored:
    """F1 and label-F1 of the stream `entities`: micro and macro on combined tags, micro on the tags as they are.

    Phrases are cleaned by `clean_filler` on both sides.

    Details: per_label (combined), labels_only (phrases do not count), raw (both on the tags as they are), left_out
    (reference tags without a combined one, and how often). Writes `utterances.slue_ner.jsonl`.
    """
    pairs = read_pairs(inputs, "entities")
    references = {utt: _entities(value, pairs.ref_place, utt) for utt, value in pairs.references.items()}
    predictions = {utt: _entities(value, pairs.hyp_place, utt) for utt, value in pairs.predictions.items()}

    def tally(tags: TagSet, label_only: bool) -> list[dict[str, Tally]]:
        def side(entities: list[Found]) -> list[Numbered]:
            return numbered(chosen(entities, tags=tags, label_only=label_only))

        return [sentence_tallies(side(references[utt]), side(predictions[utt])) for utt in references]

    parts = {
        "": tally("combined", False),
        "label_": tally("combined", True),
        "raw_": tally("raw", False),
        "raw_label_": tally("raw", True),
    }
    columns = {
        prefix: ClassColumns(() if prefix.startswith("raw_") else _tags(tallies), prefix)
        for prefix, tallies in parts.items()
    }
    counts: dict[str, Array] = {"utterances": np.ones(len(references))}
    for prefix, tallies in parts.items():
        counts |= columns[prefix].of(tallies)
    tables = {prefix: per_label(_total(tallies)) for prefix, tallies in parts.items()}
    left_out = Counter(
        tag for found in references.values() for tag, _ in found if combine(tag) in (None, DISCARD)
    )
    in_case = sum(count_case_pairs(found, predictions[utt]) for utt, found in references.items())
    notes = (*pairs.notes, *case_notes(in_case, "phrases"))
    if left_out:
        what = ", ".join(f"{count} {tag}" for tag, count in sorted(left_out.items()))
        notes += (f"left out, as SLUE does: reference entities of the tags {what}",)
    return Scored(
        metric="slue_ner",
        headline="ner_f1",
        lower_is_better=False,
        utts=tuple(references),
        counts=counts,
        figures=_figures(columns),
        missing=pairs.missing,
        sentences=pairs.sentences,
        main_figures=("ner_f1", "ner_precision", "ner_recall", "ner_macro_f1", "ner_label_f1", "ner_raw_f1"),
        notes=notes,
        files={"utterances.slue_ner.jsonl": _dump(references, predictions)},
        details={
            "per_label": tables[""],
            "labels_only": tables["label_"],
            "raw": {"per_label": tables["raw_"], "labels_only": tables["raw_label_"]},
            "left_out": dict(sorted(left_out.items())),
        },
    )


def _figures(columns: Mapping[str, ClassColumns]) -> Callable[[Counts], dict[str, Array]]:
    def figures(counts: Counts) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for prefix in ("", "label_"):
            micro = columns[prefix].micro(counts)
            found |= {f"ner_{prefix}{name}": micro[name] for name in ("f1", "precision", "recall")}
            found[f"ner_{prefix}macro_f1"] = columns[prefix].macro(counts)["f1"]
        for prefix in ("raw_", "raw_label_"):
            found[f"ner_{prefix}f1"] = columns[prefix].micro(counts)["f1"]
        return found

    return figures


def _entities(value: str, where: object, utt: str) -> list[Found]:
    if not value:
        return []
    try:
        return [(entity.type, clean_filler(entity.filler)) for entity in read_entities(value)]
    except ValueError as error:
        raise DataError(f"{where}: the entities of {utt}: {error}") from None


def _tags(tallies: Iterable[Mapping[str, Tally]]) -> tuple[str, ...]:
    return tuple(sorted({tag for of_utt in tallies for tag in of_utt}))


def _total(tallies: Iterable[Mapping[str, Tally]]) -> dict[str, Tally]:
    total: dict[str, Tally] = {}
    for of_utt in tallies:
        for tag, tally in of_utt.items():
            total[tag] = total.get(tag, NOTHING) + tally
    return dict(sorted(total.items()))


def _dump(references: Mapping[str, list[Found]], predictions: Mapping[str, list[Found]]) -> str:
    def side(found: list[Found]) -> list[Found]:
        return chosen(found, tags="combined")

    def shown(found: list[Found]) -> str:
        return "; ".join(f"{tag}: {phrase}" for tag, phrase in found)

    rows = []
    for utt in references:
        reference, prediction = side(references[utt]), side(predictions[utt])
        rows.append((utt, shown(reference), shown(prediction), Counter(reference) == Counter(prediction)))
    return dump_utterances(rows)
