"""The part of report.html about one set: figures, groups, confusions, and utterances to read and to hear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from stxlib.data.data_dir import DataDir
from stxlib.errors import DataError
from stxlib.report.examples import Clips, evenly, open_data, worst
from stxlib.report.html_labels import label_sections
from stxlib.report.html_verdicts import wrong_sections
from stxlib.report.markup import Child, Markup, join, table, tag
from stxlib.report.runs import Decode
from stxlib.report.verdicts import read_alignments
from stxlib.report.words import aligned, legend
from stxlib.score.alignment import Alignment, confusions
from stxlib.score.score_json import Entry
from stxlib.score.table import percentage, title

_WORST, _SPREAD, _CONFUSIONS = 10, 3, 12
_HEARD_WORST, _HEARD_SPREAD = 3, 2
"so many of them with audio"


def decode_section(decode: Decode, clips: Clips, data: Path | None, *, is_open: bool) -> Markup:
    """Everything about one `decode_<how>_<set>`."""
    parts: list[Child] = [tag("h3", f"{decode.set}, {decode.how} decoding" if decode.how else decode.set)]
    parts.append(speed(decode))
    parts.append(group_tables(decode.scores))
    audio = open_data(next(iter(decode.scores.values())).get("ref"), data, decode.set)
    alignments = read_alignments(decode, "wer") or read_alignments(decode, "cer")
    if alignments:
        parts.append(
            tag(
                "details",
                tag("summary", "Worst utterances, and some picked blindly"),
                utterances(alignments, clips, audio),
                open=is_open,
            )
        )
        rare = decode.scores.get("wer", {}).get("details", {}).get("rare_words_most_missed", {})
        parts.append(
            tag(
                "details",
                tag("summary", "Words: what was taken for what"),
                confusion_tables(alignments, rare),
            )
        )
    return join(parts, label_sections(decode), wrong_sections(decode, audio))


def speed(decode: Decode) -> Markup | None:
    """Real-time factors and unreadable files, where the decoding wrote them into summary.json."""
    factors = {
        key: value for key, value in decode.summary.items() if key.startswith("rtf") and value is not None
    }
    if not factors:
        return None
    words = ", ".join(
        f"{key.replace('_', ' ').replace('rtf', 'RTF')} {value:.3f}" for key, value in factors.items()
    )
    unreadable = decode.summary.get("num_unreadable", 0)
    lost = f" {unreadable} files could not be read: their hypotheses are empty." if unreadable else ""
    return tag("p", f"{words}.{lost}", class_="note")


def group_tables(scores: Mapping[str, Entry]) -> Markup | None:
    """The first figure of each metric by accent, gender or whatever else is known of the utterances."""
    # Metrics of the same utterances share a table.
    shared: dict[tuple[str, tuple[tuple[str, int], ...]], list[str]] = {}
    for metric, entry in scores.items():
        for attribute, groups in entry["groups"].items():
            sizes = tuple((name, group["utterances"]) for name, group in groups.items())
            shared.setdefault((attribute, sizes), []).append(metric)
    tables = []
    for (attribute, sizes), metrics in shared.items():
        header = [f"{title(scores[metric]['headline'])} %" for metric in metrics]
        rows: list[list[Child]] = []
        for name, size in sizes:
            found = [scores[metric]["groups"][attribute][name]["figures"] for metric in metrics]
            values = [
                tag("b", percentage(figures[scores[metric]["headline"]]))
                for metric, figures in zip(metrics, found, strict=True)
            ]
            rows.append([name, str(size), *values])
        tables.append(tag("div", table([attribute, "utterances", *header], rows)))
    return tag("div", tables, class_="columns") if tables else None


def confusion_tables(alignments: Sequence[Alignment], rare: dict[str, int]) -> Markup:
    """Most frequent substitutions, deletions, insertions and missed rare words."""
    found = confusions(alignments)

    def ranked(counts: Counter[tuple[str, str]]) -> list[tuple[tuple[str, str], int]]:
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_CONFUSIONS]

    blocks = []
    pairs = [[said, heard, str(count)] for (said, heard), count in ranked(found["S"])]
    if pairs:
        blocks.append(("Substitutions", table(["reference", "hypothesis", "times"], pairs, class_="words")))
    for letter, name in (("D", "Deletions"), ("I", "Insertions")):
        rows = [[said or heard, str(count)] for (said, heard), count in ranked(found[letter])]
        if rows:
            blocks.append((name, table(["word", "times"], rows, class_="words")))
    if rare:
        rows = [[word, str(count)] for word, count in list(rare.items())[:_CONFUSIONS]]
        blocks.append(("Missed rare words", table(["word", "times"], rows, class_="words")))
    return tag("div", [tag("div", tag("h4", name), content) for name, content in blocks], class_="columns")


def utterances(alignments: Sequence[Alignment], clips: Clips, data: DataDir | None) -> Markup:
    """The worst utterances, and some that were picked without looking at the result."""
    blind = evenly(alignments, _SPREAD)
    return join(
        legend(),
        [
            utterance(item, clips, data if place < _HEARD_WORST else None)
            for place, item in enumerate(worst(alignments, _WORST))
        ],
        tag("p", "Picked without looking at the result:", class_="note"),
        [utterance(item, clips, data if place < _HEARD_SPREAD else None) for place, item in enumerate(blind)],
    )


def utterance(item: Alignment, clips: Clips, data: DataDir | None) -> Markup:
    """One utterance: id, errors, aligned words, and audio while the page has room for it."""
    try:
        address = clips.clip(data, item.utt)
        trouble = None
    except (DataError, KeyError) as error:
        address, trouble = None, f"No audio: {error}"
    errors = f"{item.num_errors} of {len(item.reference)} wrong" if item.num_errors else "all correct"
    return tag(
        "article",
        tag("header", tag("span", item.utt, class_="mono"), tag("span", errors)),
        aligned(item),
        tag("audio", controls=True, preload="metadata", src=address) if address else None,
        tag("p", trouble, class_="note") if trouble else None,
        class_="utt",
    )
