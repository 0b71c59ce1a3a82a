"""The part of RESULTS.md about labels: F1 of each, and what was taken for what, by system."""

from __future__ import annotations

from collections.abc import Sequence

from stxlib.report.labels import MAX_LABELS, LabelScore, number, read_confusion, read_labels
from stxlib.report.markdown import escape, table
from stxlib.report.rows import Cell, metric_title, metrics_of, order_sets
from stxlib.report.runs import Decode, Run

_CONFUSIONS = 12

Decodes = dict[str, list[Decode]]
"name of a system -> its decodings of one set, one for each seed"


def labels_md(runs: Sequence[Run]) -> str:
    """`## Labels`: for each set and metric, systems across; empty where no metric says anything of single labels."""
    parts: list[str] = []
    for name in order_sets(decode.set for run in runs for decode in run.decodes):
        for metric in metrics_of(runs):
            systems: Decodes = {}
            for run in runs:
                for decode in run.decodes:
                    if decode.set == name and metric in decode.scores:
                        system = f"{run.row}, {decode.how}" if decode.how else run.row
                        systems.setdefault(system, []).append(decode)
            tables = [_f1(systems, metric), _confused(systems, metric)]
            if any(tables):
                heading = f"### {escape(f'{name}, {metric_title(metric)}')}\n"
                parts.append("\n".join([heading, *filter(None, tables)]))
    return "\n".join(["## Labels\n", *parts]) if parts else ""


def _f1(systems: Decodes, metric: str) -> str:
    scores = {
        system: [read_labels(decode.scores[metric], _source(decode)) for decode in decodes]
        for system, decodes in systems.items()
    }
    scores = {system: tables for system, tables in scores.items() if any(tables)}
    if not scores:
        return ""
    # Every run has the same references; a label that only one of them predicts has no support in any.
    support: dict[str, float] = {}
    for tables in scores.values():
        for score in (score for found in tables for score in found):
            support[score.label] = max(support.get(score.label, 0.0), score.support)
    labels = sorted(support, key=lambda label: (-support[label], label))
    rows = [
        [label, number(support[label]), *(_mean_f1(label, tables) for tables in scores.values())]
        for label in labels[:MAX_LABELS]
    ]
    rest = len(labels) - len(rows)
    more = f"\n{rest} rarer labels are in report.html.\n" if rest else ""
    return table(["F1 %", "n", *map(escape, scores)], rows) + more


def _mean_f1(label: str, tables: Sequence[Sequence[LabelScore]]) -> str:
    values = [score.f1 for found in tables for score in found if score.label == label]
    known = tuple(value for value in values if value is not None)
    return str(Cell(known)) if known else "-"


def _confused(systems: Decodes, metric: str) -> str:
    counts: dict[tuple[str, str], dict[str, int]] = {}
    columns: dict[str, int] = {}
    for system, decodes in systems.items():
        for decode in decodes:
            confusion = read_confusion(decode.scores[metric], _source(decode))
            if confusion is None:
                continue
            columns[system] = columns.get(system, 0) + 1
            for reference, prediction, times in confusion.confused():
                cells = counts.setdefault((reference, prediction), {})
                cells[system] = cells.get(system, 0) + times
    if not counts:
        return ""
    ranked = sorted(counts.items(), key=lambda item: (-sum(item[1].values()), item[0]))[:_CONFUSIONS]
    rows = [
        [reference, prediction, *(str(cells.get(system, 0)) for system in columns)]
        for (reference, prediction), cells in ranked
    ]
    header = [
        escape(f"{system} ({seeds} seeds together)" if seeds > 1 else system)
        for system, seeds in columns.items()
    ]
    return table(["reference", "taken for", *header], rows, num_text=2)


def _source(decode: Decode) -> str:
    return str(decode.path / "score.json")
