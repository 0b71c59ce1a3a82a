"""Where named entities are in time, as SLUE scores it (NEL): frame-F1 and word-F1.

Frames are 10 ms long. A word of the reference is found when predicted entities cover at least a share of it, the overlap.
Neither tags nor phrases count. Predictions are gone through once, in order of time, beside the words of the reference: after the
last of them no word is looked at any more, so that entities there are not counted as missed. This is what slue-toolkit does
(`eval_nel.py`, `eval_utils_nel.py`), and published figures rest on it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from stxlib.score.classes import NOTHING, Tally

Utt = TypeVar("Utt", bound=Hashable)

Span = tuple[str, float, float]
"a word or a phrase, where it begins and ends, in seconds"

OVERLAPS = (1, 0.9, 0.8, 0.7, 0.6, 0.5)
"shares of a word that have to be covered"
INSIDE = "#"
"stands before each word of an entity, and alone for silence inside one; silence elsewhere is an empty word"

_FRAME = 0.01


@dataclass(frozen=True)
class NelScores:
    """Scores of a set of utterances; a tally counts frames or words."""

    frame: Tally
    word: dict[float, Tally]
    "overlap -> tally"

    def as_toolkit(self) -> dict[str, dict[str, object]]:
        """What slue-toolkit writes: word -> f1 | prec | recall -> overlap, and frame -> f1 | prec | recall; 0..1."""
        names = {"f1": "f1", "prec": "precision", "recall": "recall"}
        return {
            "word": {
                short: {overlap: getattr(tally, name) for overlap, tally in self.word.items()}
                for short, name in names.items()
            },
            "frame": {short: getattr(self.frame, name) for short, name in names.items()},
        }


def nel_scores(
    words: Mapping[Utt, Sequence[Span]],
    predictions: Mapping[Utt, Sequence[Span]],
    references: Mapping[Utt, Sequence[Span]],
    overlaps: Sequence[float] = OVERLAPS,
) -> NelScores:
    """Scores of all utterances that occur on any side.

    words: the aligned words of the reference, those of an entity with `#` before them; silence is an empty word.
    predictions, references: entities in the order of time; utterances without any may be left out.
    """
    frame, word = NOTHING, dict.fromkeys(overlaps, NOTHING)
    for utt in dict.fromkeys([*words, *predictions, *references]):
        sides = words.get(utt, ()), predictions.get(utt), references.get(utt, ())
        frame += frame_tally(*sides)
        for overlap in overlaps:
            word[overlap] += word_tally(*sides, overlap)
    return NelScores(frame, word)


def frame_tally(words: Sequence[Span], predicted: Sequence[Span] | None, reference: Sequence[Span]) -> Tally:
    """Frames of one utterance that are inside of entities, in the prediction and in the (words of the) reference.

    words: empty where they are not known: what is predicted is then wrong.
    predicted: empty or None: all frames of `reference` are missed.
    """
    if not predicted:
        return Tally(0, sum(_frame(end) - _frame(start) for _, start, end in reference), 0)
    if not words:
        return Tally(0, 0, sum(_frame(end) - _frame(start) for _, start, end in predicted))
    length = _frame(max(predicted[-1][2], words[-1][2]))
    entities = [span for span in words if span[0].startswith(INSIDE)]
    in_either = _num_frames([*predicted, *entities], length)
    in_prediction, in_reference = _num_frames(predicted, length), _num_frames(entities, length)
    return Tally(in_prediction + in_reference - in_either, in_reference, in_prediction)


def _num_frames(spans: Sequence[Span], length: int) -> int:
    """How many of the first `length` frames lie in any of the spans."""
    count = covered = 0  # frames below `covered` are counted
    for first, last in sorted((_frame(start), min(_frame(end), length)) for _, start, end in spans):
        count += max(0, last - max(first, covered))
        covered = max(covered, last)
    return count


def word_tally(
    words: Sequence[Span], predicted: Sequence[Span] | None, reference: Sequence[Span], overlap: float
) -> Tally:
    """Words of one utterance: those of entities that are covered, missed, and other words that are covered.

    overlap: the least share of a word that counts as covered, above 0.
    predicted: empty or None: all words of the phrases of `reference` are missed.
    """
    if predicted is None or (not predicted and words):
        return Tally(0, sum(len(phrase.split(" ")) for phrase, _, _ in reference), 0)
    found = missed = wrong = at = 0
    for word, start, end in words:
        if at == len(predicted):
            break
        _, from_, to = predicted[at]
        is_entity = word.startswith(INSIDE)
        if word in ("", INSIDE):
            at += to <= end
            continue
        if from_ >= end:
            missed += is_entity
            continue
        covered = min(to, end) - max(from_, start)
        while to <= end:
            at += 1
            if at == len(predicted):
                break
            _, from_, to = predicted[at]
            if from_ < end:
                covered += min(to, end) - max(from_, start)
        is_covered = covered / (end - start) >= overlap if end > start else covered >= 0
        if is_entity:
            found, missed = found + is_covered, missed + (not is_covered)
        else:
            wrong += is_covered
    return Tally(found, found + missed, found + wrong)


def mark_words(words: Sequence[Span], entities: Sequence[Span]) -> list[Span]:
    """The words with `#` before each that lies within one of the entities."""
    marked = []
    for word, start, end in words:
        if any(first - _TOUCH <= start and end <= last + _TOUCH for _, first, last in entities):
            word = INSIDE + word
        elif word.startswith(INSIDE):
            word = "\\" + word
        marked.append((word, start, end))
    return marked


_TOUCH = 1e-6  # seconds; times that were written and read again


def _frame(second: float) -> int:
    return int(second / _FRAME)  # the toolkit's rounding, downwards: 0.29 s is frame 28
