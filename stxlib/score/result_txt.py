"""`result.txt` in the layout of NIST sclite, so that scripts written for its output go on working.

`grep -e Avg -e SPKR -m 2 result.txt` prints the header and the row of the whole set. Counts come from
alignments with the fewest edits; sclite weighs a substitution 4 and a deletion or insertion 3, so its split
of the same errors may differ a little.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from stxlib.score.alignment import Alignment, confusions
from stxlib.score.table import display_width, percentage

_COLUMNS = ("Corr", "Sub", "Del", "Ins", "Err", "S.Err")
_CONFUSIONS_SHOWN = 100

Row = tuple[int, int, int, int, int, int, int, int]
"""sentences, words, correct, substituted, deleted, inserted, errors, wrong sentences"""


def format_result(alignments: Sequence[Alignment], speakers: Mapping[str, str] | None) -> str:
    """Percentages and counts by speaker, the confusions, and every utterance aligned.

    speakers: utterance -> speaker; None gives the row of the whole set alone.
    """
    by_speaker: dict[str, list[Alignment]] = {}
    if speakers is not None:
        for alignment in alignments:
            by_speaker.setdefault(speakers[alignment.utt], []).append(alignment)
    rows = {speaker: _row(by_speaker[speaker]) for speaker in sorted(by_speaker)}
    total = _row(alignments)
    parts = [
        _percentages(rows, total),
        _raw_counts(rows, total),
        *_confusion_lists(alignments),
        "DUMP OF SYSTEM ALIGNMENT STRUCTURE\n",
        *(format_alignment(item, None if speakers is None else speakers[item.utt]) for item in alignments),
    ]
    return "\n".join(parts)


def format_alignment(alignment: Alignment, speaker: str | None = None) -> str:
    """Reference above hypothesis in columns; deletions and insertions as stars, `Eval` marks S, D and I."""
    reference, hypothesis, marks = "REF: ", "HYP: ", "Eval:"
    for op, said, heard in alignment.steps():
        width = max(display_width(said or ""), display_width(heard or ""))
        reference += " " + _padded(said if said is not None else "*" * width, width)
        hypothesis += " " + _padded(heard if heard is not None else "*" * width, width)
        marks += " " + _padded("" if op == "C" else op, width)
    counts = alignment.counts
    scores = " ".join(str(counts[letter]) for letter in "CSDI")
    return (
        f"id: ({_trn_id(alignment.utt, speaker)})\nScores: (#C #S #D #I) {scores}\n"
        f"{reference.rstrip()}\n{hypothesis.rstrip()}\n{marks.rstrip()}\n"
    )


def format_trn(texts: Mapping[str, str], speakers: Mapping[str, str] | None) -> str:
    """One `WORDS IN ORDER (speaker-utterance)` a line, what sclite reads with `-r ref.trn trn -h hyp.trn trn
    -i rm`.
    """
    return "".join(
        f"{' '.join(text.split())} ({_trn_id(utt, speakers[utt] if speakers else None)})\n"
        for utt, text in texts.items()
    )


def _padded(text: str, width: int) -> str:
    return text + " " * (width - display_width(text))


def _trn_id(utt: str, speaker: str | None) -> str:
    return utt if speaker is None else f"{speaker}-{utt}"


def _row(alignments: Iterable[Alignment]) -> Row:
    ops: Counter[str] = Counter()
    sentences = wrong = words = 0
    for alignment in alignments:
        ops.update(alignment.counts)
        sentences += 1
        words += len(alignment.reference)
        wrong += alignment.num_errors > 0
    errors = ops["S"] + ops["D"] + ops["I"]
    return sentences, words, ops["C"], ops["S"], ops["D"], ops["I"], errors, wrong


def _rates(row: Row) -> list[float]:
    sentences, words, *edits, wrong = row
    return [100.0 * edit / words if words else 0.0 for edit in edits] + [100.0 * wrong / (sentences or 1)]


def _percentages(rows: Mapping[str, Row], total: Row) -> str:
    body = [(speaker, row[:2], _rates(row)) for speaker, row in rows.items()]
    summary: list[tuple[str, Sequence[float], Sequence[float]]] = [("Sum/Avg", total[:2], _rates(total))]
    if len(rows) > 1:
        columns = list(zip(*([*row[:2], *_rates(row)] for row in rows.values()), strict=True))
        for name, of in (
            ("Mean", statistics.mean),
            ("S.D.", statistics.stdev),
            ("Median", statistics.median),
        ):
            values = [float(of(column)) for column in columns]
            summary.append((name, values[:2], values[2:]))
    return _box("SYSTEM SUMMARY PERCENTAGES by SPEAKER", body, summary)


def _raw_counts(rows: Mapping[str, Row], total: Row) -> str:
    body = [(speaker, row[:2], list(row[2:])) for speaker, row in rows.items()]
    return _box(
        "SYSTEM SUMMARY COUNTS by SPEAKER",
        body,
        [("Sum", total[:2], list(total[2:]))],
    )


def _box(
    title: str,
    body: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    summary: Sequence[tuple[str, Sequence[float], Sequence[float]]],
) -> str:
    lines = [*body, *summary]
    name_width = max(7, *(display_width(name) for name, _, _ in lines))
    sizes = [[_number(value) for value in size] for _, size, _ in lines]
    widths = [max(low, *(len(size[i]) for size in sizes)) for i, low in enumerate((4, 6))]
    cells = [[_number(value) for value in values] for _, _, values in lines]
    # sclite's own widths: the first number has 5 places, each other 7.
    cell_widths = [max(5, *(len(cell[0]) for cell in cells))] + [
        max(7, *(len(cell[i]) + 1 for cell in cells)) for i in range(1, len(_COLUMNS))
    ]

    def line(name: str, left: str, cell: Sequence[str]) -> str:
        right = "".join(f"{text:>{width}}" for text, width in zip(cell, cell_widths, strict=True))
        return f"| {_padded(name, name_width)} | {left} |{right} |"

    lefts = [f"{size[0]:>{widths[0]}} {size[1]:>{widths[1]}}" for size in sizes]
    header = line("SPKR", "# Snt # Wrd".rjust(len(lefts[0])), _COLUMNS)
    inside = len(header) - 2
    rule = {character: f"|{character * inside}|" for character in "-="}
    text = [
        title.center(len(header)).rstrip(),
        "",
        f",{'-' * inside}.",
        header,
        rule["-"],
    ]
    formatted = [line(name, lefts[i], cells[i]) for i, (name, _, _) in enumerate(lines)]
    text += formatted[: len(body)]
    if body:
        text.append(rule["="])
    text += formatted[len(body) :]
    return "\n".join([*text, f"`{'-' * inside}'", ""])


def _number(value: float) -> str:
    """A rate or a mean with one decimal, a count as it is."""
    return percentage(value) if isinstance(value, float) else str(value)


def _confusion_lists(alignments: Iterable[Alignment]) -> list[str]:
    found = confusions(alignments)
    lists = []
    for letter, title in (
        ("S", "CONFUSION PAIRS"),
        ("I", "INSERTIONS"),
        ("D", "DELETIONS"),
    ):
        counts = found[letter]
        lines = [
            f"{title}  Total ({len(counts)})  Occurrences ({sum(counts.values())})",
            "",
        ]
        # by count, then by name: the same scores give the same file.
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_CONFUSIONS_SHOWN]
        for rank, ((said, heard), count) in enumerate(ranked, start=1):
            what = f"{said} ==> {heard}" if letter == "S" else said or heard
            lines.append(f"{rank:4}: {count:4} -> {what}")
        lists.append("\n".join([*lines, ""]))
    return lists
