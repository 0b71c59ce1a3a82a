"""A picture of latents: real and synthesized ones of one sentence, one above the other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxlib.report.curves import has_matplotlib

NO_PICTURE = (
    "Latents are not drawn, because matplotlib is not installed: pip install matplotlib (or the extra 'report'), "
    "then run stxlib.bin.judge again."
)

# In standard deviations: what lies beyond has the colour of the edge.
_RANGE = 2.5


@dataclass(frozen=True)
class Drawn:
    """One row of the picture."""

    title: str
    latents: NDArray[np.floating]
    "(T, D), mean 0 and standard deviation 1 over real latents"
    units: Sequence[str]
    "U symbols"
    onsets: Sequence[int]
    "(U,) frame where each begins"


def has_drawing() -> bool:
    """Whether a picture can be drawn; imports nothing."""
    return has_matplotlib()


def draw_latents(rows: Sequence[Drawn], order: Sequence[int], frames_per_second: float) -> bytes:
    """The rows as a PNG, on one time axis. order: (D,) the dimensions, from top to bottom."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: Any = {"font.size": 9, "font.family": "DejaVu Sans", "text.parse_math": False}
    longest = max(len(row.latents) for row in rows)
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(11.0, 2.6 * len(rows)), dpi=120)
        FigureCanvasAgg(figure)
        image = None
        height = 0.92 / len(rows)
        for place, row in enumerate(rows):
            axes = figure.add_axes((0.045, 0.08 + height * (len(rows) - 1 - place), 0.885, 0.72 * height))
            image = axes.imshow(
                row.latents[:, list(order)].T,
                aspect="auto",
                interpolation="nearest",
                cmap="RdBu_r",
                vmin=-_RANGE,
                vmax=_RANGE,
                extent=(0.0, len(row.latents) / frames_per_second, row.latents.shape[1], 0.0),
            )
            axes.set_xlim(0.0, longest / frames_per_second)
            # Where units follow each other closely their names would overlap: those in between stand one line higher.
            for index, (unit, onset) in enumerate(zip(row.units, row.onsets, strict=True)):
                second = onset / frames_per_second
                axes.axvline(second, color="#303030", linewidth=0.5, alpha=0.55)
                axes.annotate(
                    unit,
                    (second, 1.0),
                    xycoords=("data", "axes fraction"),
                    xytext=(0, 2 + 9 * (index % 2)),
                    textcoords="offset points",
                    fontsize=7.5,
                    color="#303030",
                )
            axes.set_title(row.title, loc="left", fontsize=9.5, fontweight="bold", pad=22)
            axes.set_yticks([])
            axes.set_ylabel("dimension")
            axes.tick_params(length=2)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
        axes.set_xlabel("seconds", labelpad=1)
        assert image is not None
        bar = figure.colorbar(image, cax=figure.add_axes((0.945, 0.09, 0.011, 0.7)))
        bar.set_label("standard deviations", labelpad=2)
        bar.outline.set_visible(False)  # type: ignore[operator]
        drawing = io.BytesIO()
        figure.savefig(drawing, format="png", metadata={"Software": None})
    return drawing.getvalue()


def similar_together(latents: NDArray[np.floating]) -> list[int]:
    """An order of the dimensions of (T, D) in which those that move alike are neighbours: by angle in the plane of the two main axes."""
    centred = latents - latents.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    plane = axes[:2] if len(axes) > 1 else np.concatenate([axes, axes])
    # The signs of the axes are arbitrary: made positive in sum, so that every run draws the same.
    plane = plane * np.where(plane.sum(1) < 0, -1.0, 1.0)[:, None]
    order: list[int] = np.argsort(np.arctan2(plane[1], plane[0]), kind="stable").tolist()
    return order


def read_png(png: bytes) -> NDArray[np.uint8]:
    """(H, W, 3), as TensorBoard takes it."""
    from matplotlib.image import imread

    pixels = imread(io.BytesIO(png), format="png")[:, :, :3]
    return np.asarray(np.rint(pixels * 255), dtype=np.uint8)
