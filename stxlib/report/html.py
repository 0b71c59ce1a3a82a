"""`report.html`: one self-contained file, without scripts and without anything to load from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stxlib.report.curves import NO_MATPLOTLIB, draw, has_matplotlib, read_curves
from stxlib.report.examples import Clips
from stxlib.report.html_decode import decode_section
from stxlib.report.html_synthesis import synthesis_section
from stxlib.report.html_verdicts import differences_section
from stxlib.report.markup import Child, Markup, join, table, tag
from stxlib.report.record import as_result
from stxlib.report.results_md import duration, remarks
from stxlib.report.rows import (
    metric_title,
    metrics_of,
    order_decodes,
    order_sets,
    over_seeds,
    run_table,
    summary_figures,
)
from stxlib.report.runs import Decode, Run
from stxlib.report.style import CSS
from stxlib.score.score_json import Entry
from stxlib.score.table import percentage, title

AUDIO_BUDGET = 2_400_000
"bytes of base64 on a page"

# Nothing may be loaded or run, whatever the data says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'"


def report_html(runs: Sequence[Run], environment: Mapping[str, str], *, name: str, data: Path | None) -> str:
    """The page.

    name: what is reported on, for the title.
    data: folder of the data directories, for audio where a score.json does not lead to it.
    """
    clips = Clips(AUDIO_BUDGET)
    scored = [run for run in runs if run.decodes]
    others = [run for run in runs if not run.decodes]
    # Audio goes to the runs at the top first; pretraining, with curves alone, comes last.
    sections = [run_section(run, clips, data, is_open=place == 0) for place, run in enumerate(scored)]
    sections += [run_section(run, clips, data, is_open=False) for run in others]
    names = [run.name for run in (*scored, *others)]
    differences = differences_section(scored, data)
    body = tag(
        "main",
        tag("h1", f"Results of {name}"),
        tag(
            "p",
            f"{environment['date']} · stxlib {environment['stxlib version']} · {environment['Git hash']}",
            class_="soft",
        ),
        tag(
            "nav",
            tag("a", "Results", href="#results"),
            tag("a", "Where systems differ", href="#differences") if differences is not None else None,
            [tag("a", n, href=f"#run{i}") for i, n in enumerate(names)],
        )
        if len(names) > 1
        else None,
        tag("h2", "Results", id="results"),
        tag(
            "div",
            [
                summary(scored, metric, figure)
                for metric in metrics_of(scored)
                for figure in summary_figures(scored, metric)
            ],
            class_="summaries",
        ),
        range_note(scored),
        tag("section", tag("h2", "Where systems differ", id="differences"), differences)
        if differences is not None
        else None,
        [
            tag("section", tag("h2", n, id=f"run{i}"), section)
            for i, (n, section) in enumerate(zip(names, sections, strict=True))
        ],
        tag("footer", tag("h3", "Environment"), facts(environment)),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", f"Results of {name}"),
        tag("style", Markup(CSS)),
    )
    return "<!doctype html>\n" + tag("html", head, tag("body", body), lang="en") + "\n"


def summary(runs: Sequence[Run], metric: str, figure: str) -> Markup:
    """Systems down, sets across; mean and deviation where a system ran with several seeds, else the interval."""
    entries = {
        (run.row, decode.how, decode.set): decode.scores[metric]
        for run in runs
        for decode in run.decodes
        if decode.scores.get(metric, {}).get("figures", {}).get(figure, {}).get("value") is not None
    }
    by_row = over_seeds([as_result(run) for run in runs], metric, figure)
    sets = order_sets(name for cells in by_row.values() for name in cells)
    highs = (entry["figures"].get(figure, {}).get("high") for entry in entries.values())
    scale = max((high for high in highs if high is not None), default=0.0)
    rows: list[list[Child]] = []
    for (row, how), cells in by_row.items():
        line: list[Child] = [[tag("b", row), " ", tag("span", how, class_="soft")]]
        for name in sets:
            cell = cells.get(name)
            if cell is None:
                line.append("–")
            elif cell.deviation is not None:
                note = f"± {percentage(cell.deviation)}, {len(cell.values)} seeds"
                line.append(figure_cell(cell.mean, note, min(cell.values), max(cell.values), scale))
            else:
                line.append(entry_cell(entries[row, how, name], figure, scale))
        rows.append(line)
    better = "lower is better" if next(iter(entries.values()))["lower_is_better"] else "higher is better"
    return tag(
        "div",
        tag("h3", f"{title(figure)}, % ", tag("span", better, class_="soft")),
        table(["", *sets], rows),
    )


def range_note(runs: Sequence[Run]) -> Markup:
    """What the small numbers and the bars in the summaries are."""
    entries = [entry for run in runs for decode in run.decodes for entry in decode.scores.values()]
    if not entries:
        return tag("p", "Nothing is scored yet.", class_="note")
    # Where a figure is put together from others, its own note says how its interval came about.
    over = sorted({entry["interval"]["over"] for entry in entries} - {"part"})
    seeds = [run.row for run in runs]
    several = "; of several seeds: mean, and standard deviation" if len(set(seeds)) < len(seeds) else ""
    drawn = f" over {' or '.join(f'{kind}s' for kind in over)}" if over else ""
    return tag("p", f"Ranges: 95 % bootstrap intervals{drawn}{several}.", class_="note")


def entry_cell(entry: Entry, figure: str, scale: float) -> Markup:
    """A figure of score.json with its interval."""
    found = entry["figures"][figure]
    value, low, high = found["value"], found["low"], found["high"]
    if value is None:
        return join("–")
    if low is None or high is None:
        return tag("b", percentage(value))
    return figure_cell(value, f"{percentage(low)}–{percentage(high)}", low, high, scale)


def figure_cell(value: float, note: str, low: float, high: float, scale: float) -> Markup:
    """A figure, its range in words and as a bar; `scale` is the figure at the bar's right end."""

    def at(number: float) -> float:
        return round(100 * min(max(number / scale, 0.0), 1.0), 2) if scale else 0.0

    return join(
        tag("b", percentage(value)),
        tag("span", note, class_="range"),
        tag(
            "span",
            tag("i", style=f"left:{at(low)}%;width:{round(at(high) - at(low), 2)}%"),
            tag("u", style=f"left:{at(value)}%"),
            class_="bar",
            aria_hidden="true",
        ),
    )


def facts(values: Mapping[str, Child]) -> Markup:
    """A list of names and values; what has no value is left out."""
    pairs = [(tag("dt", name), tag("dd", value)) for name, value in values.items() if value]
    return tag("dl", *pairs, class_="facts")


def run_section(run: Run, clips: Clips, data: Path | None, *, is_open: bool) -> Markup:
    """Facts, curves and sets of one training."""
    progress = run.progress
    trained = (
        f"{progress['step']} steps in {duration(progress['seconds'])}"
        if {"step", "seconds"} <= progress.keys()
        else None
    )
    about = facts(
        {
            "folder": tag("code", run.label),
            "trained": trained,
            "code": run.head.get("code"),
            "device": run.head.get("device"),
            "config hash": tag("code", run.config_hash) if run.config_hash else None,
            "command": tag("code", run.head["command"]) if "command" in run.head else None,
            "not scored yet": ", ".join(run.unscored) or None,
        }
    )
    sections = [
        decode_section(decode, clips, data, is_open=is_open and place == 0)
        for place, decode in enumerate(order_decodes(run.decodes))
    ]
    tables = [metric_table(run, metric) for metric in metrics_of([run])]
    # A synthesizer that is fitted was not trained: it has no curves to show or to miss.
    training = join(tag("h3", "Training"), curves(run.path)) if run.is_training else None
    synthesis = [synthesis_section(folder) for folder in run.judged]
    return join(about, *tables, training, *synthesis, *sections)


def metric_table(run: Run, metric: str) -> Markup:
    """What was counted on each set of a run."""
    found = [(d, d.scores[metric]) for d in order_decodes(run.decodes) if metric in d.scores]
    header, rows = run_table({_name(decode): entry for decode, entry in found})
    notes = [
        tag("p", f"{_name(decode)}: {note}", class_="note warning")
        for decode, entry in found
        for note in remarks(entry)
    ]
    every, lines = run_table({_name(decode): entry for decode, entry in found}, whole=True)
    more = (
        tag(
            "details",
            tag("summary", f"{metric_title(metric)}: all {len(lines) - 1} figures"),
            table(every, lines),
        )
        if len(lines) > len(rows)
        else None
    )
    return join(table([metric_title(metric), *header[1:]], rows), more, *notes)


def _name(decode: Decode) -> str:
    return f"{decode.set}, {decode.how}" if decode.how else decode.set


def curves(folder: Path) -> Markup:
    """Every curve of a training, or a sentence that says why there is none."""
    if not has_matplotlib():
        return tag("p", NO_MATPLOTLIB, class_="note warning")
    panels = read_curves(folder)
    if not panels:
        return tag("p", "No curves: there is no TensorBoard event file.", class_="note")
    figures = []
    for panel, lines in panels.items():
        several = len(lines) > 1
        names = [
            tag("i", line.name, style=f"--key:var(--line{place % 4})")
            for place, line in enumerate(lines)
            if several
        ]
        drawing = Markup(draw(panel, lines))
        caption = tag("figcaption", panel.replace("_", " "), tag("span", names))
        figures.append(tag("figure", caption, drawing))
    return tag("div", figures, class_="curves")
