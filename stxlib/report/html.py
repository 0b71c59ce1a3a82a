"""`report.html`: one self-contained file, without scripts and without anything to load from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stxlib.report.curves import NO_MATPLOTLIB, draw, has_matplotlib, read_curves
from stxlib.report.examples import Clips
from stxlib.report.html_decode import decode_section
from stxlib.report.markup import Child, Markup, join, table, tag
from stxlib.report.record import as_result
from stxlib.report.results_md import duration
from stxlib.report.rows import edit_unit, metrics_of, order_sets, over_seeds
from stxlib.report.runs import Run
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
            [tag("a", n, href=f"#run{i}") for i, n in enumerate(names)],
        )
        if len(names) > 1
        else None,
        tag("h2", "Results", id="results"),
        [summary(scored, metric) for metric in metrics_of(scored)],
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


def summary(runs: Sequence[Run], metric: str) -> Markup:
    """One table a metric: systems down, sets across; mean and deviation where a system ran with several seeds."""
    entries = [d.scores[metric] for run in runs for d in run.decodes if metric in d.scores]
    headline, lower = entries[0]["headline"], entries[0]["lower_is_better"]
    by_row = over_seeds([as_result(run) for run in runs], metric, headline)
    sets = order_sets(name for cells in by_row.values() for name in cells)
    scale = max((_high(entry) for entry in entries), default=1.0)
    single = {
        (run.row, decode.how, decode.set): decode.scores[metric]
        for run in runs
        for decode in run.decodes
        if metric in decode.scores
    }
    rows: list[list[Child]] = []
    for (row, how), cells in by_row.items():
        line: list[Child] = [row, how]
        for name in sets:
            cell = cells.get(name)
            if cell is None:
                line.append("–")
            elif len(cell.values) > 1:
                note = f"± {percentage(cell.deviation)}, {len(cell.values)} seeds"
                line.append([tag("b", percentage(cell.mean)), tag("span", note, class_="range")])
            else:
                line.append(figure_cell(single[row, how, name], headline, scale))
        rows.append(line)
    better = "lower is better" if lower else "higher is better"
    over = entries[0]["interval"]
    return join(
        tag("h3", f"{title(headline)}, %"),
        table(["system", "decoding", *sets], rows),
        tag(
            "p",
            f"{better.capitalize()}. Ranges are 95 % bootstrap intervals over {over['over']}s.",
            class_="note",
        ),
    )


def figure_cell(entry: Entry, figure: str, scale: float) -> Markup:
    """A figure, its interval in numbers and as a bar; `scale` is the figure at the bar's right end."""
    found = entry["figures"][figure]
    value, low, high = found["value"], found["low"], found["high"]
    if value is None:
        return join("–")
    if low is None or high is None or not scale:
        return tag("b", percentage(value))

    def at(number: float) -> float:
        return round(100 * min(max(number / scale, 0.0), 1.0), 2)

    return join(
        tag("b", percentage(value)),
        tag("span", f"{percentage(low)}–{percentage(high)}", class_="range"),
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
            "folder": tag("code", str(run.path)),
            "trained": trained,
            "code": run.head.get("code"),
            "device": run.head.get("device"),
            "config hash": tag("code", run.config_hash) if run.config_hash else None,
            "command": tag("code", run.head["command"]) if "command" in run.head else None,
            "not scored yet": ", ".join(run.unscored) or None,
        }
    )
    sections = [decode_section(decode, clips, data, is_open=is_open) for decode in run.decodes]
    return join(about, tag("h3", "Training"), curves(run.path), *sections)


def curves(folder: Path) -> Markup:
    """Every curve of a training, or a sentence that says why there is none."""
    if not has_matplotlib():
        return tag("p", NO_MATPLOTLIB, class_="note warning")
    panels = read_curves(folder)
    if not panels:
        return tag("p", f"No TensorBoard event file below {folder}: no curves.", class_="note")
    figures = []
    for panel, lines in panels.items():
        several = len(lines) > 1
        names = [
            tag("span", line.name, style=f"--key:var(--line{place % 4})")
            for place, line in enumerate(lines)
            if several
        ]
        drawing = Markup(draw(panel, lines))
        figures.append(tag("figure", tag("figcaption", panel.replace("_", " "), names), drawing))
    return tag("div", figures, class_="curves")


def _high(entry: Entry) -> float:
    figure = entry["figures"][entry["headline"]]
    high = figure["high"] if figure["high"] is not None else figure["value"]
    return max(float(high or 0.0), 100.0 if edit_unit(entry) is None else 0.0)
