"""How figures are written for people: percentages to one decimal, everywhere alike."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

TITLES = {
    "wer": "WER",
    "cer": "CER",
    "sentence_error": "sentence error",
    "rare_word_miss": "missed rare words",
    "slu_f1": "SLU-F1",
    "word_f1": "word-distance F1",
    "char_f1": "char-distance F1",
    "ner_label_f1": "NER label-F1",
    "ner_raw_f1": "NER F1 on raw tags",
    "ner_raw_label_f1": "NER label-F1 on raw tags",
    "nel_frame_f1": "NEL frame-F1",
    "sa_macro_f1": "sentiment macro F1",
    "sa_macro_recall": "sentiment macro recall",
    "sa_macro_precision": "sentiment macro precision",
    "sa_weighted_f1": "sentiment weighted F1",
    "sa_accuracy": "sentiment accuracy",
    "em_tree": "EM-Tree",
    "slue": "SLUE score",
    "slue_wer": "mean WER of SLUE",
}
"figure -> its name in tables; a figure that is not here is shown by its own name"

_WORDS = {"f1": "F1", "em": "EM", "slu": "SLU", "ner": "NER", "nel": "NEL"}


def title(figure: str) -> str:
    """`rare_word_miss` -> `missed rare words`, `macro_slu_f1` -> `macro SLU-F1`, `nel_word_f1_80` -> `NEL word F1 at 80 %`."""
    if figure in TITLES:
        return TITLES[figure]
    first, _, rest = figure.partition("_")
    if first == "macro" and rest:
        return f"macro {title(rest)}"
    words = [_WORDS.get(word, word) for word in figure.split("_")]
    return " ".join([*words[:-1], f"at {words[-1]} %"] if words[-1].isdigit() else words)


def format_p(p: float) -> str:
    """Four decimals; smaller values in powers of ten, as they never are 0."""
    return f"{p:.4f}" if p >= 0.0001 else f"{p:.1e}"


def percentage(value: float | None) -> str:
    """One decimal, halves up as sclite rounds them; '-' where nothing was counted.

    value: not negative, or None.
    """
    return "-" if value is None else f"{math.floor(10 * value + 0.5) / 10:.1f}"


def span(figure: Mapping[str, Any]) -> str:
    """The interval of a figure of score.json: `21.9-25.1`."""
    if figure.get("low") is None or figure.get("high") is None:
        return "-"
    return f"{percentage(figure['low'])}-{percentage(figure['high'])}"


def display_width(text: str) -> int:
    """Columns of a terminal: East Asian wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns for a terminal: the first to the left, the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(display_width(line[i]) for line in lines) for i in range(len(header))]

    def pad(text: str, i: int) -> str:
        space = " " * (widths[i] - display_width(text))
        return text + space if i == 0 else space + text

    return "".join("  ".join(pad(cell, i) for i, cell in enumerate(line)).rstrip() + "\n" for line in lines)
