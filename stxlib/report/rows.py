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


_METRICS = {
    "wer": "WER",
    "cer": "CER",
    "ic": "Intent",
    "slurp": "SLURP",
    "exact": "Exact frame",
    "slue_ner": "SLUE NER",
    "slue_nel": "SLUE NEL",
    "slue_sa": "SLUE SA",
    "slue": "SLUE",
    "stop_em": "STOP",
}
"metric -> its name in headings; a metric that is not here is shown by its own name"

_SUMMARY = {
    "ic": ("intent_macro_f1",),
    "slurp": ("intent_f1", "entity_f1"),
    "exact": ("slot_f1",),
    "slue_ner": ("ner_label_f1",),
    "slue_nel": ("nel_word_f1_80",),
    "slue_sa": ("sa_accuracy",),
    "stop_em": ("em_tree",),
}
"metric -> figures that stand in summaries and in the committed table beside the first one; the others are in each run's part"


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


def metric_title(metric: str) -> str:
    """`slue_ner` -> `SLUE NER`."""
    return _METRICS.get(metric, metric.replace("_", " "))


def summary_figures(runs: Iterable[Run], metric: str) -> list[str]:
    """The figures of a metric that stand in summaries, the first one first.

    A figure that nothing was counted for anywhere is left out.
    """
    found: dict[str, None] = {}
    for entry in (d.scores[metric] for run in runs for d in run.decodes if metric in d.scores):
        names = [name for name in key_figures(metric, entry) if name != "sentence_error"]
        found |= dict.fromkeys(name for name in names if entry["figures"][name]["value"] is not None)
    return list(found)


def key_figures(metric: str, entry: Entry) -> list[str]:
    """The figures of the committed table: of an error rate all, of another metric the first one and those that sum it up."""
    if edit_unit(entry):
        return list(entry["figures"])
    names = [entry["headline"], *_SUMMARY.get(metric, ())]
    return [name for name in dict.fromkeys(names) if name in entry["figures"]]


def main_figures(entry: Entry) -> list[str]:
    """Those that a metric itself puts first; all of an error rate, and where a metric does not say."""
    if edit_unit(entry):
        return list(entry["figures"])
    names = dict.fromkeys([entry["headline"], *(entry.get("main_figures") or entry["figures"])])
    return [name for name in names if name in entry["figures"]]


def edit_unit(entry: Entry) -> str | None:
    """`words` or `characters` for an error rate of edits; None for any other metric."""
    counts = entry["counts"]
    if not {"correct", "substituted", "deleted", "inserted"} <= counts.keys():
        return None
    return next((unit for unit in ("words", "characters") if unit in counts), None)


def run_table(entries: Mapping[str, Entry], *, whole: bool = False) -> tuple[list[str], list[list[str]]]:
    """Header and rows for one metric of one run; the first column has no name.

    Sets down and sclite's columns across for an error rate; figures down and sets across for any other metric.
    entries: name of a set -> its entry.
    whole: every figure, and not the main ones alone.
    """
    found = list(entries.values())
    figures = list(
        dict.fromkeys(
            name for entry in found for name in (entry["figures"] if whole else main_figures(entry))
        )
    )
    if edit_unit(found[0]):
        extra = [name for name in figures if name not in (found[0]["headline"], "sentence_error")]
        rows = [
            [name, *_edit_cells(entry), *(_figure(entry, figure) for figure in extra)]
            for name, entry in entries.items()
        ]
        return ["", *EDIT_COLUMNS, *map(title, extra)], rows
    sizes = ["-" if entry["utterances"] is None else str(entry["utterances"]) for entry in found]
    return ["", *entries], [
        ["utterances", *sizes],
        *([title(figure), *(_figure(entry, figure) for entry in found)] for figure in figures),
    ]


def _edit_cells(entry: Entry) -> list[str]:
    unit, figures, counts = edit_unit(entry), entry["figures"], entry["counts"]
    if unit is None:
        return ["-"] * len(EDIT_COLUMNS)
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
    ]


def _figure(entry: Entry, name: str) -> str:
    figure = entry["figures"].get(name)
    return f"{percentage(figure.get('value'))} ({span(figure)})" if figure else "-"


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
