"""Curves: read from event files as a resumed run leaves them, drawn without anything foreign."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stxlib.report.curves import Series, draw, read_curves, split_tag, thin


def write(folder: Path, values: dict[str, list[tuple[int, float]]], purge: int | None = None) -> None:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder), purge_step=purge)
    for tag, points in values.items():
        for step, value in points:
            writer.add_scalar(tag, value, step)
    writer.close()


def test_train_and_dev_share_a_panel(tmp_path: Path) -> None:
    write(
        tmp_path / "tensorboard",
        {
            "train/loss": [(10, 3.0), (20, 2.0)],
            "dev/loss": [(20, 2.5)],
            "lr": [(10, 0.1)],
            "train/nan": [(10, float("nan"))],
        },
    )
    panels = read_curves(tmp_path)
    assert list(panels) == ["loss", "lr"]
    assert {line.name: line.steps for line in panels["loss"]} == {"train": (10, 20), "dev": (20,)}
    assert panels["lr"] == [Series("", (10,), (pytest.approx(0.1),))]


def test_a_resumed_run_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, {"train/loss": [(10, 5.0), (20, 4.0), (30, 9.0)]})
    write(tmp_path, {"train/loss": [(30, 3.0), (40, 2.0)]}, purge=21)
    (line,) = read_curves(tmp_path)["loss"]
    assert (line.steps, line.values) == ((10, 20, 30, 40), (5.0, 4.0, 3.0, 2.0))


def test_no_events(tmp_path: Path) -> None:
    assert read_curves(tmp_path) == {}


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("train/loss", ("loss", "train")),
        ("loss/dev", ("loss", "dev")),
        ("lr", ("lr", "")),
        ("train/audio_s/s", ("audio_s/s", "train")),
    ],
)
def test_tags(tag: str, expected: tuple[str, str]) -> None:
    assert split_tag(tag) == expected


def test_thin_keeps_the_end_and_the_mean() -> None:
    points = [(float(i), float(i % 2)) for i in range(10_000)]
    few = thin(points)
    assert len(few) == 400 and few[-1][0] == 9999
    assert sum(value for _, value in few) / len(few) == pytest.approx(0.5)
    assert thin(points[:400]) == points[:400]


def test_drawing_is_self_contained() -> None:
    pytest.importorskip("matplotlib")
    lines = [
        Series("train", (0.0, 1.0, 2.0, 3.0), (900.0, 3.0, 2.0, 1.0)),
        Series("dev", (1.0, 3.0), (4.0, 2.0)),
    ]
    svg = draw("loss", lines)
    assert svg.startswith("<svg ") and svg.rstrip().endswith("</svg>")
    assert not re.search(r"<(script|style|image|use|metadata|defs|clipPath)", svg)
    assert not re.search(r'\b(id|href|url|xlink)\b="?', svg) and "http" not in svg
    assert "#0103" not in svg and "var(--line0)" in svg and "var(--line1)" in svg
    assert svg.count("<path") > 4
