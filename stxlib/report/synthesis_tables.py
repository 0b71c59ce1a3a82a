"""Figures of judged.json as tables: the same on the screen and in report.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stxlib.score.table import percentage, text_table

_WORST = 10

# What is counted, and of which part of an utterance.
_ROWS = {
    "unit": "unit, to the next one",
    "label": "its frames with a label",
    "blank": "its blank frames",
    "first_silence": "before the first unit",
    "last_unit": "last unit, to the end",
    "utterance": "utterance",
}
_AGAINST = {
    "synthesized_against_ctc": (
        "Durations: synthesized, and on the CTC paths of the speech",
        "synthesized",
        "CTC",
    ),
    "synthesized_against_true": ("Durations: synthesized, and true", "synthesized", "true"),
    "ctc_against_true": ("Durations: on the CTC paths, and true", "CTC", "true"),
}
_STATISTICS = {
    "mean_distance": "distance of the means, in standard deviations",
    "std_ratio": "standard deviation / real",
    "variance_ratio": "variance / real",
    "frechet": "Fréchet distance / variance",
}


@dataclass(frozen=True)
class Table:
    """Rows below a header; the first column holds names."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def judged_tables(judged: Mapping[str, Any]) -> list[Table]:
    """The tables of a judged.json: errors, distribution, durations, and the units that are read least well."""
    tables = [_errors(judged["errors"]), _statistics(judged["statistics"])]
    tables += [
        _durations(*_AGAINST[name], rows) for name, rows in judged["durations"].items() if rows is not None
    ]
    return [*tables, _units(judged["unit_errors"])]


def share_notes(tables: Sequence[Table]) -> list[Table]:
    """Those that have rows; a note that several share is kept under the last of them."""
    shown = [table for table in tables if table.rows]
    notes = [table.note for table in shown]
    return [
        replace(table, note="") if table.note in notes[place + 1 :] else table
        for place, table in enumerate(shown)
    ]


def as_text(tables: Sequence[Table]) -> str:
    """For a terminal."""
    return "\n".join(
        f"{table.title}\n{text_table(table.header, table.rows)}" + (f"{table.note}\n" if table.note else "")
        for table in share_notes(tables)
    )


def _errors(errors: Mapping[str, Any]) -> Table:
    rows = []
    has_timed = any("real_durations" in sides for sides in errors.values())
    for name, sides in errors.items():
        made = sides["synthesized"]
        kinds = " / ".join(str(made[kind]) for kind in ("substituted", "deleted", "inserted"))
        rates = [_rate(sides[side]) for side in ("real", "synthesized", "real_durations") if side in sides]
        rows.append((f"{name[:-1]} errors, %", *rates, kinds, str(made["reference"])))
    sides_named = ("real", "synthesized", *(("with real durations",) if has_timed else ()))
    header = ("", *sides_named, "S / D / I of synthesized", "of")
    return Table("What the frozen layers read in latents", header, tuple(rows))


def _rate(side: Mapping[str, Any]) -> str:
    if side["low"] is None:
        return percentage(side["error_rate"])
    return f"{percentage(side['error_rate'])} ({percentage(side['low'])}–{percentage(side['high'])})"


def _statistics(statistics: Mapping[str, Any]) -> Table:
    made, halves = statistics["synthesized"], statistics["halves_of_real"] or {}
    rows = [(name, "", _figure(made[key]), _figure(halves.get(key))) for key, name in _STATISTICS.items()]
    for key, name in (
        ("norm", "length of a latent"),
        ("neighbour_correlation", "correlation with the next latent"),
    ):
        rows.append((name, _figure(statistics["real_" + key]), _figure(made[key]), ""))
    if statistics["explained"] is not None:
        name = "variance of real latents explained, with their durations"
        rows.append((name, "", _figure(statistics["explained"]), ""))
    header = ("", "real", "synthesized", "half of real, other half")
    return Table("Distribution of the latents", header, tuple(rows))


def _durations(title: str, one: str, two: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    lines = []
    for key, figures in rows.items():
        if figures["pairs"]:
            lines.append(
                (
                    _ROWS[key],
                    str(figures["pairs"]),
                    f"{figures['mean']:.0f} ± {figures['deviation']:.0f}",
                    f"{figures['reference_mean']:.0f} ± {figures['reference_deviation']:.0f}",
                    "–" if figures["correlation"] is None else f"{figures['correlation']:.2f}",
                    f"{figures['mean_absolute_difference']:.0f}",
                    f"{figures['distribution_distance']:.0f}",
                )
            )
    header = ("milliseconds", "pairs", one, two, "correlation", "difference", "of sorted")
    note = (
        "Mean ± standard deviation; difference: mean absolute one, pair by pair; of sorted: the same after both were sorted, "
        "0 where they are distributed alike."
    )
    return Table(title, header, tuple(lines), note)


def _units(units: Mapping[str, Mapping[str, int]]) -> Table:
    """Units with most errors that real latents do not have."""
    worst = sorted(units.items(), key=lambda item: (item[1]["real"] - item[1]["synthesized"], item[0]))[
        :_WORST
    ]
    rows = tuple(
        (unit, str(one["count"]), str(one["real"]), str(one["synthesized"]))
        for unit, one in worst
        if one["synthesized"] > one["real"]
    )
    return Table(
        "Units that are misread most beyond those of real latents",
        ("unit", "times", "misread, real", "misread, synthesized"),
        rows,
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
