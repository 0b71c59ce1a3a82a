"""Training curves: read from TensorBoard's event files, drawn by matplotlib as SVG that follows the page's colours."""

from __future__ import annotations

import importlib.util
import io
import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NO_MATPLOTLIB = (
    "Curves are not drawn, because matplotlib is not installed: pip install matplotlib (or the extra 'report'), "
    "then run stxlib.bin.report again."
)

_SERIES = ("train", "dev", "valid", "eval", "test")
_MAX_POINTS = 400
# What people look at first; anything else follows by name.
_FIRST = ("loss", "attention", "ctc", "unit_ctc", "accuracy", "token_accuracy", "learning_rate", "lr")

# Colours that nothing else in a drawing has: replaced by the page's own.
_INK, _FAINT, _LINES = "#010203", "#010204", ("#010305", "#010306", "#010307", "#010308")


@dataclass(frozen=True)
class Series:
    """One line: steps and values."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


def has_matplotlib() -> bool:
    """Whether curves can be drawn; does not import it."""
    return importlib.util.find_spec("matplotlib") is not None


def read_curves(folder: Path) -> dict[str, list[Series]]:
    """Panel -> lines, from every event file below `folder`.

    Tags `train/loss` and `dev/loss` share the panel `loss`. Values that are not finite are left out.
    """
    logs = sorted({path.parent for path in folder.rglob("events.out.tfevents.*")})
    if not logs:
        return {}
    # Slow to import, and needless where nothing was trained.
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    panels: dict[str, list[Series]] = {}
    for log in logs:
        events = EventAccumulator(str(log), size_guidance={SCALARS: 10_000})
        events.Reload()
        for tag in events.Tags()["scalars"]:
            points = {event.step: event.value for event in events.Scalars(tag) if math.isfinite(event.value)}
            if points:
                panel, name = split_tag(tag)
                chosen = thin(sorted(points.items()))
                steps, values = zip(*chosen, strict=True)
                panels.setdefault(panel, []).append(Series(name, steps, values))
    order = {name: place for place, name in enumerate(_FIRST)}
    return {name: panels[name] for name in sorted(panels, key=lambda n: (order.get(n, len(order)), n))}


def split_tag(tag: str) -> tuple[str, str]:
    """`dev/loss` or `loss/dev` -> (`loss`, `dev`); a tag of another form is a panel of its own."""
    first, _, rest = tag.partition("/")
    if first in _SERIES and rest:
        return rest, first
    rest, _, last = tag.rpartition("/")
    if last in _SERIES and rest:
        return rest, last
    return tag, ""


def thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `_MAX_POINTS` means of neighbours, so that a long run does not make a long page."""
    if len(points) <= _MAX_POINTS:
        return list(points)
    size = math.ceil(len(points) / _MAX_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def draw(panel: str, lines: Sequence[Series]) -> str:
    """One panel as an `<svg>` element without ids, scripts, styles or links of its own."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none",  # text stays text, in the page's font
        "font.size": 9,
        "font.family": "DejaVu Sans",  # comes with matplotlib, for the layout; the page sets its own
        "text.parse_math": False,  # a tag is a name, not a formula
        "axes.formatter.limits": (-3, 4),
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(3.6, 2.2))
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        # Fixed margins: a layout engine would take as long again as the drawing.
        axes = figure.add_axes((0.13, 0.19, 0.85, 0.74))
        axes.patch.set_visible(False)
        for place, line in enumerate(lines):
            is_dev = line.name not in ("train", "")
            colour = _LINES[(1 if is_dev else 0) if len(lines) <= 2 else place % len(_LINES)]
            marker = "o" if (is_dev and len(line.steps) <= 40) or len(line.steps) == 1 else ""
            axes.plot(line.steps, line.values, color=colour, linewidth=1.6, marker=marker, markersize=3)
        _set_range(axes, lines)
        axes.grid(True, color=_FAINT, linewidth=0.6)
        axes.set_axisbelow(True)
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(_FAINT)
        axes.tick_params(colors=_INK, length=0)
        axes.locator_params(nbins=5)
        axes.set_xlabel("step", color=_INK, labelpad=2)
        for text in (axes.xaxis.get_offset_text(), axes.yaxis.get_offset_text()):
            text.set_color(_INK)
        drawing = io.StringIO()
        figure.savefig(drawing, format="svg", metadata={"Date": None, "Creator": None})
    return _for_page(drawing.getvalue())


def _set_range(axes: object, lines: Sequence[Series]) -> None:
    """Leave the first, steep values out of view where they would flatten all that follows."""
    late = [value for line in lines for value in line.values[len(line.values) // 20 :]]
    everything = [value for line in lines for value in line.values]
    low, high = min(everything), max(late)
    if max(everything) > high + 1.5 * (high - low) > low:
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))  # type: ignore[attr-defined]


def _for_page(svg: str) -> str:
    """The `<svg>` element alone, with the page's colours, and without ids that two drawings could share."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = _inline_shapes(svg)
    svg = re.sub(r"<clipPath.*?</clipPath>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*</defs>", "", svg)
    svg = re.sub(r' (?:id|clip-path)="[^"]*"', "", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="img">', svg)
    for place, colour in enumerate(_LINES):
        svg = svg.replace(colour, f"var(--line{place})")
    svg = svg.replace(_INK, "var(--soft)").replace(_FAINT, "var(--rule)")
    return re.sub(r"\n\s*", "\n", svg)


def _inline_shapes(svg: str) -> str:
    """Put the shape that a `<use>` points at (a marker, a tick) in its place: no ids are needed then."""
    shapes = dict(re.findall(r'<path id="(\w+)" (d="[^"]*")[^>]*/>', svg))
    for name in shapes:
        svg = re.sub(rf'<path id="{name}" [^>]*/>', "", svg)

    def shape(use: re.Match[str]) -> str:
        place = re.search(r'x="([^"]+)" y="([^"]+)"', use[0])
        style = re.search(r'style="[^"]*"', use[0])
        assert place is not None
        return f'<path {shapes[use[1]]} transform="translate({place[1]} {place[2]})" {style[0] if style else ""}/>'

    return re.sub(r'<use xlink:href="#(\w+)"[^>]*/>', shape, svg)
