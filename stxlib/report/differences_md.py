"""The part of RESULTS.md about sentences where systems differ."""

from __future__ import annotations

from collections.abc import Sequence

from stxlib.report.differences import Difference, find_differences
from stxlib.report.markdown import escape, table
from stxlib.report.rows import metric_title
from stxlib.report.runs import Run

_EXAMPLES, _PATTERNS = 5, 8


def differences_md(runs: Sequence[Run]) -> str:
    """`## Where systems differ`: who is right how often, and sentences; empty where no set has two systems."""
    found = find_differences(runs, num_examples=_EXAMPLES)
    if not found:
        return ""
    return "\n".join(["## Where systems differ\n", *map(_section, found)])


def _section(difference: Difference) -> str:
    parts = [f"### {escape(f'{difference.set}, {metric_title(difference.metric)}')}\n"]
    rows = [
        [*("right" if right else "wrong" for right in pattern), str(times)]
        for pattern, times in difference.patterns[:_PATTERNS]
    ]
    parts.append(
        table([*map(escape, difference.systems), "utterances"], rows, num_text=len(difference.systems))
    )
    if difference.num_left_out:
        parts.append(f"{left_out(difference)}\n")
    rows = [
        [line[0].utt, line[0].reference, *(verdict.prediction or "(nothing)" for verdict in line)]
        for line in difference.examples
    ]
    if rows:
        header = ["utterance", "reference", *map(escape, difference.systems)]
        parts.append(table(header, rows, num_text=len(header)))
    return "\n".join(parts)


def left_out(difference: Difference) -> str:
    """How many utterances were not compared, and why."""
    return (
        f"{difference.num_left_out} more utterances are not compared: a system has no prediction for them, "
        "or another reference."
    )
