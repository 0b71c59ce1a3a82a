"""The rows of tables, the same in RESULTS.md, report.html and the committed record."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stxlib.report.runs import Decode, Run
from stxlib.score.score_json import Entry
from stxlib.score.table import percentage, span, title

EDIT_COLUMNS = ("Snt", "Wrd", "Corr", "Sub", "Del", "Ins", "Err", "S.Err", "95 %")
"the columns that scripts know; more may follow"


@dataclass(frozen=True)
class Cell:
    """A figure of a row on a set, over the seeds that there are."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over seeds; None for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def __str__(self) -> str:
        spread = "" if self.deviation is None else f" ± {percentage(self.deviation)}"
        return percentage(self.mean) + spread


def metrics_of(runs: Iterable[Run]) -> list[str]:
    """Every metric that was computed anywhere, in the order in which they turn up."""
    return list(dict.fromkeys(m for run in runs for decode in run.decodes for m in decode.scores))


def order_sets(sets: Iterable[str]) -> list[str]:
    """`dev` first, then `test`, then the others by name."""
    return sorted(set(sets), key=lambda name: (name != "dev", name != "test", name))


def order_decodes(decodes: Iterable[Decode]) -> list[Decode]:
    """By set; of one set, greedy decoding, the quick look, comes last."""
    known = list(decodes)
    sets = order_sets(decode.set for decode in known)
    return sorted(known, key=lambda d: (sets.index(d.set), "greedy" in d.how, d.how))


def summary_figures(runs: Iterable[Run], metric: str) -> list[str]:
    """The figures of a metric that stand in summaries: the first one, and what sclite does not have.

    A figure that nothing was counted for anywhere is left out.
    """
    found: dict[str, None] = {}
    for entry in (d.scores[metric] for run in runs for d in run.decodes if metric in d.scores):
        names = [entry["headline"], *extra_figures(entry)]
        found |= dict.fromkeys(name for name in names if entry["figures"][name]["value"] is not None)
    return list(found)


def edit_unit(entry: Entry) -> str | None:
    """`words` or `characters` for an error rate of edits; None for any other metric."""
    counts = entry["counts"]
    if not {"correct", "substituted", "deleted", "inserted"} <= counts.keys():
        return None
    return next((unit for unit in ("words", "characters") if unit in counts), None)


def entry_header(entry: Entry) -> list[str]:
    """Column names for `entry_cells` of the same metric."""
    others = [title(name) for name in extra_figures(entry)]
    return [*EDIT_COLUMNS, *others] if edit_unit(entry) else ["Snt", *others]


def entry_cells(entry: Entry) -> list[str]:
    """One set of one run: sclite's columns for an error rate, else every figure with its interval."""
    unit, figures, counts = edit_unit(entry), entry["figures"], entry["counts"]
    others = []
    for name in extra_figures(entry):
        figure = figures.get(name, {})
        others.append(f"{percentage(figure.get('value'))} ({span(figure)})" if figure else "-")
    if unit is None:
        return [str(entry["utterances"]), *others]
    whole = counts[unit] or float("nan")
    rates = [100 * counts[name] / whole for name in ("correct", "substituted", "deleted", "inserted")]
    headline = figures[entry["headline"]]
    return [
        str(counts["sentences"]),
        str(counts[unit]),
        *map(percentage, rates),
        percentage(headline["value"]),
        percentage(figures["sentence_error"]["value"]),
        span(headline),
        *others,
    ]


def extra_figures(entry: Entry) -> list[str]:
    """Figures that are not in sclite's columns."""
    known = {entry["headline"], "sentence_error"} if edit_unit(entry) else set()
    return [name for name in entry["figures"] if name not in known]


def over_seeds(
    results: Sequence[Mapping[str, Any]], metric: str, figure: str
) -> dict[tuple[str, str], dict[str, Cell]]:
    """(row, how) -> set -> the figure over seeds.

    results: one for each run, {"row", "seed", "scores": {how: {set: {metric: entry}}}}.
    """
    values: dict[tuple[str, str], dict[str, list[float]]] = {}
    for result in results:
        for how, sets in result["scores"].items():
            for name, entries in sets.items():
                value = entries.get(metric, {}).get("figures", {}).get(figure, {}).get("value")
                if value is not None:
                    values.setdefault((result["row"], how), {}).setdefault(name, []).append(value)
    return {
        key: {name: Cell(tuple(found)) for name, found in sets.items()}
        for key, sets in sorted(
            values.items(), key=lambda item: (item[0][0], "greedy" in item[0][1], item[0][1])
        )
    }
