"""The parts of report.html with sentences that were understood wrongly, or by one system and not by another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stxlib.data.data_dir import DataDir
from stxlib.errors import DataError
from stxlib.report.differences import Difference, find_differences
from stxlib.report.differences_md import left_out
from stxlib.report.examples import evenly, open_data
from stxlib.report.markup import Child, Markup, join, table, tag
from stxlib.report.rows import metric_title
from stxlib.report.runs import Decode, Run
from stxlib.report.verdicts import Verdict, read_verdicts, without_repeats
from stxlib.report.words import aligned, legend

_WRONG, _EXAMPLES, _PATTERNS = 8, 8, 8


def wrong_sections(decode: Decode, data: DataDir | None) -> list[Markup]:
    """For each metric that says which utterances are right: some of the wrong ones, closed."""
    found = []
    for metric in without_repeats(decode.scores):
        verdicts = read_verdicts(decode, metric)
        wrong = [verdict for verdict in verdicts.values() if not verdict.correct]
        if not wrong or any(verdict.alignment for verdict in wrong):
            continue
        title = f"{metric_title(metric)}: {len(wrong)} of {len(verdicts)} utterances wrong"
        if len(wrong) > _WRONG:
            title += ", some of them"
        chosen = evenly(wrong, _WRONG)
        articles = [article([verdict], ["prediction"], said(data, verdict.utt)) for verdict in chosen]
        found.append(tag("details", tag("summary", title), articles))
    return found


def differences_section(runs: Sequence[Run], data: Path | None) -> Markup | None:
    """Everything about sets that several systems were scored on; None where there is none."""
    found = find_differences(runs, num_examples=_EXAMPLES)
    if not found:
        return None
    parts = []
    for place, difference in enumerate(found):
        title = f"{difference.set}, {metric_title(difference.metric)}"
        parts.append(tag("details", tag("summary", title), _difference(difference, data), open=place == 0))
    return join(parts)


def _difference(difference: Difference, data: Path | None) -> Markup:
    rows: list[list[Child]] = [
        [str(times), *(_mark(right) for right in pattern)]
        for pattern, times in difference.patterns[:_PATTERNS]
    ]
    rest = sum(times for _, times in difference.patterns[_PATTERNS:])
    if rest:
        rows.append([str(rest), *("…" for _ in difference.systems)])
    opened = open_data(difference.decodes[0].scores[difference.metric].get("ref"), data, difference.set)
    is_text = difference.metric in ("wer", "cer")
    return join(
        table(["utterances", *difference.systems], rows, class_="patterns"),
        tag("p", left_out(difference), class_="note") if difference.num_left_out else None,
        legend() if is_text and difference.examples else None,
        [
            article(line, difference.systems, None if is_text else said(opened, line[0].utt))
            for line in difference.examples
        ],
        None if difference.examples else tag("p", "They do not differ on any utterance.", class_="note"),
    )


def article(verdicts: Sequence[Verdict], systems: Sequence[str], words: str | None) -> Markup:
    """One utterance: what was said, the reference, and each different prediction with the systems that made it."""
    answers: dict[str, list[str]] = {}
    of_answer: Mapping[str, Verdict] = {verdict.prediction: verdict for verdict in verdicts}
    for system, verdict in zip(systems, verdicts, strict=True):
        answers.setdefault(verdict.prediction, []).append(system)
    lines: list[Child] = [tag("dt", "reference"), tag("dd", verdicts[0].reference or "(nothing)")]
    for prediction, names in answers.items():
        verdict = of_answer[prediction]
        shown: Child = prediction or "(nothing)"
        if verdict.alignment is not None:
            shown = aligned(verdict.alignment)
        lines += [tag("dt", _mark(verdict.correct), " ", ", ".join(names)), tag("dd", shown)]
    return tag(
        "article",
        tag("header", tag("span", verdicts[0].utt, class_="mono")),
        tag("p", words, class_="said") if words else None,
        tag("dl", *lines, class_="answers"),
        class_="utt",
    )


def said(data: DataDir | None, utt: str) -> str | None:
    """The words of an utterance, or why they cannot be read; None where its data directory has none, or is not there."""
    if data is None or not data.has("text"):
        return None
    try:
        return data.table("text").get(utt)
    except DataError as error:
        return f"No words: {error}"


def _mark(right: bool) -> Markup:
    return tag("b", "right", class_="right") if right else tag("b", "wrong", class_="wrong")
