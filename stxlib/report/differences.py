"""Where systems differ: utterances of one set that some recognize or understand and others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stxlib.report.examples import evenly
from stxlib.report.rows import metrics_of, order_decodes, order_sets
from stxlib.report.runs import Decode, Run
from stxlib.report.verdicts import Verdict, read_verdicts, without_repeats


@dataclass(frozen=True)
class Difference:
    """Systems compared on one set by one metric."""

    set: str
    metric: str
    systems: tuple[str, ...]
    "`<row>`, with the seed where it has several and the decoding where a row is compared with itself"
    decodes: tuple[Decode, ...]
    "of the systems, in their order"
    num_compared: int
    "utterances that all of them have, with the same reference"
    num_left_out: int
    "utterances that one of them lacks, or has another reference for"
    patterns: tuple[tuple[tuple[bool, ...], int], ...]
    "which systems were right, and on how many utterances; most frequent first"
    examples: tuple[tuple[Verdict, ...], ...]
    "utterances to read, with a verdict of each system: those on which they differ most"


def find_differences(runs: Sequence[Run], *, num_examples: int) -> list[Difference]:
    """Every set that two or more systems were scored on by the same metric; by set, then by metric."""
    metrics = without_repeats(metrics_of(runs))
    sets = order_sets(decode.set for run in runs for decode in run.decodes)
    found = [compare(runs, name, metric, num_examples=num_examples) for name in sets for metric in metrics]
    return [difference for difference in found if difference is not None]


def compare(runs: Sequence[Run], name: str, metric: str, *, num_examples: int) -> Difference | None:
    """One set and metric; None where fewer than two systems have it.

    Of each row its first seed and its first way of decoding; where there is one row alone, its ways of decoding are compared.
    """
    verdicts: dict[tuple[str, str], dict[str, Verdict]] = {}
    decodes: dict[tuple[str, str], tuple[Run, Decode]] = {}
    for run in runs:
        for decode in order_decodes(d for d in run.decodes if d.set == name):
            if (run.row, decode.how) not in decodes and (read := read_verdicts(decode, metric)):
                verdicts[run.row, decode.how], decodes[run.row, decode.how] = read, (run, decode)
    rows = {row for row, _ in decodes}
    chosen = (
        list(decodes)
        if len(rows) == 1
        else [next(key for key in decodes if key[0] == row) for row in sorted(rows)]
    )
    if len(chosen) < 2:
        return None
    common = _common([verdicts[key] for key in chosen])
    everything = set().union(*(verdicts[key] for key in chosen))
    seeds = Counter(run.row for run in {run.path: run for run in runs}.values())
    return Difference(
        set=name,
        metric=metric,
        systems=tuple(
            " ".join(
                [
                    row,
                    *([f"seed {decodes[row, how][0].seed}"] if seeds[row] > 1 else []),
                    *([how] if len(rows) == 1 else []),
                ]
            )
            for row, how in chosen
        ),
        decodes=tuple(decodes[key][1] for key in chosen),
        num_compared=len(common),
        num_left_out=len(everything) - len(common),
        patterns=tuple(
            sorted(Counter(_pattern(line) for line in common).items(), key=lambda item: (-item[1], item[0]))
        ),
        examples=tuple(choose(common, num_examples)),
    )


def choose(lines: Sequence[tuple[Verdict, ...]], number: int) -> list[tuple[Verdict, ...]]:
    """Up to `number` utterances on which systems differ: the widest differences first.

    Of equals, each pattern of right and wrong has its turn, and of one pattern they are taken evenly from the whole set.
    """
    groups: dict[int, dict[tuple[bool, ...], list[tuple[Verdict, ...]]]] = {}
    for line in lines:
        width = max(verdict.errors for verdict in line) - min(verdict.errors for verdict in line)
        if width:
            groups.setdefault(width, {}).setdefault(_pattern(line), []).append(line)
    chosen: list[tuple[Verdict, ...]] = []
    for _, by_pattern in sorted(groups.items(), reverse=True):
        queues = [
            evenly(found, number) for _, found in sorted(by_pattern.items(), key=lambda i: (-len(i[1]), i[0]))
        ]
        for turn in range(number):
            chosen += [queue[turn] for queue in queues if turn < len(queue)]
    return chosen[:number]


def _common(tables: Sequence[dict[str, Verdict]]) -> list[tuple[Verdict, ...]]:
    first, *others = tables
    return [
        (verdict, *(table[utt] for table in others))
        for utt, verdict in first.items()
        if all(utt in table and table[utt].reference == verdict.reference for table in others)
    ]


def _pattern(line: Sequence[Verdict]) -> tuple[bool, ...]:
    return tuple(verdict.correct for verdict in line)
