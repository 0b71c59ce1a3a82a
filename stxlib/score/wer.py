"""Word and character error rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stxlib.score.alignment import (
    SPACE,
    Alignment,
    align,
    characters,
    dump_alignments,
    words,
)
from stxlib.score.inputs import Pairs, read_pairs, read_speakers
from stxlib.score.letter_case import case_notes, count_case_pairs
from stxlib.score.metric import Array, Counts, Inputs, Scored, percent
from stxlib.score.rare_words import count_rare_words, read_vocabulary
from stxlib.score.result_txt import format_result, format_trn


def score_wer(inputs: Inputs) -> Scored:
    """Word error rate: (substitutions + deletions + insertions) / words of the reference.

    With `inputs.train_text` also how many occurrences of words unseen in training were missed. Writes
    `result.txt`, `ref.trn`, `hyp.trn` (as sclite reads them) and `alignment.wer.jsonl`.
    """
    pairs = read_pairs(inputs, "text")
    alignments = align(pairs.references, pairs.predictions, words)
    counts = edit_counts(alignments, "words")
    details: dict[str, object] = {}
    if inputs.train_text is not None:
        rare = count_rare_words(alignments, read_vocabulary(inputs.train_text))
        counts |= {"rare_words": rare.occurred, "rare_words_missed": rare.missed}
        details["rare_words_most_missed"] = dict(rare.missed_words.most_common(50))
    speakers = read_speakers(inputs.ref, pairs.references, inputs.format)
    files = {
        "result.txt": format_result(alignments, speakers),
        "ref.trn": format_trn(pairs.references, speakers),
        "hyp.trn": format_trn(pairs.predictions, speakers),
        "alignment.wer.jsonl": dump_alignments(alignments),
    }
    return _scored("wer", pairs, counts, _figures("wer", "words"), files, details)


def score_cer(inputs: Inputs) -> Scored:
    """Character error rate; a blank between words is a character. Writes `result.cer.txt` and
    `alignment.cer.jsonl`.
    """
    pairs = read_pairs(inputs, "text")
    alignments = align(pairs.references, pairs.predictions, characters)
    files = {
        "result.cer.txt": format_result(
            alignments, read_speakers(inputs.ref, pairs.references, inputs.format)
        ),
        "alignment.cer.jsonl": dump_alignments(alignments),
    }
    counts, figures = (
        edit_counts(alignments, "characters"),
        _figures("cer", "characters"),
    )
    return _scored("cer", pairs, counts, figures, files, {"blank": SPACE})


def edit_counts(alignments: list[Alignment], unit: str) -> dict[str, Array]:
    """Per utterance: sentences (1), `unit` (of the reference), correct, substituted, deleted, inserted, wrong
    sentences.
    """
    letters = {"correct": "C", "substituted": "S", "deleted": "D", "inserted": "I"}
    columns: dict[str, list[int]] = {
        "sentences": [1] * len(alignments),
        unit: [len(item.reference) for item in alignments],
        **{name: [item.ops.count(letter) for item in alignments] for name, letter in letters.items()},
        "wrong_sentences": [int(item.num_errors > 0) for item in alignments],
    }
    return {name: np.array(values, np.float64) for name, values in columns.items()}


def _figures(name: str, unit: str) -> Callable[[Counts], dict[str, Array]]:
    def figures(counts: Counts) -> dict[str, Array]:
        errors = counts["substituted"] + counts["deleted"] + counts["inserted"]
        found = {
            name: percent(errors, counts[unit]),
            "sentence_error": percent(counts["wrong_sentences"], counts["sentences"]),
        }
        if "rare_words" in counts:
            found["rare_word_miss"] = percent(counts["rare_words_missed"], counts["rare_words"])
        return found

    return figures


def _scored(
    metric: str,
    pairs: Pairs,
    counts: dict[str, Array],
    figures: Callable[[Counts], dict[str, Array]],
    files: dict[str, str],
    details: dict[str, object],
) -> Scored:
    in_case = sum(
        count_case_pairs(_words_of(said), _words_of(pairs.predictions[utt]))
        for utt, said in pairs.references.items()
    )
    return Scored(
        metric=metric,
        headline=metric,
        lower_is_better=True,
        utts=tuple(pairs.references),
        counts=counts,
        figures=figures,
        missing=pairs.missing,
        sentences=pairs.sentences,
        notes=(*pairs.notes, *case_notes(in_case, "words")),
        files=files,
        details=details,
    )


def _words_of(text: str) -> list[tuple[str, str]]:
    return [("", word) for word in words(text)]
