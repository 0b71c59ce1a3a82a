"""What report.html shows of a synthesizer that was judged."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stxlib.errors import DataError
from stxlib.judge.synthesis import LatentsOfUtterance, SynthesisScore
from stxlib.report.environment import environment
from stxlib.report.html import report_html
from stxlib.report.html_synthesis import synthesis_section
from stxlib.report.latents_png import Drawn, draw_latents, read_png, similar_together
from stxlib.report.runs import find_runs
from stxlib.report.synthesis_tables import as_text, judged_tables

EVIL = "<script>alert('x')</script>"
DIM = 4


def side(seed: int, units: list[str], text: str) -> LatentsOfUtterance:
    random = np.random.default_rng(seed)
    label, blank = np.array([0, 1, 2, 1]), np.array([3, 0, seed % 2, 2])
    return LatentsOfUtterance(random.normal(0, 1, (9 + seed % 2, DIM)), label, blank, units, (5, 6), text)


@pytest.fixture
def judged() -> dict[str, Any]:
    score = SynthesisScore(DIM, 25.0)
    for place in range(6):
        units = ["a", EVIL, "c"]
        score.add(
            f"u{place}",
            side(2 * place, units, "good words"),
            side(2 * place + 1, units[:2] if place < 3 else units, "bad words"),
            side(2 * place, units, "good words"),
            units=units,
            tokens=(5, 6),
            text="good words",
            seconds=0.4,
            phone_times=None,
        )
    about = {"set": "dev", "kind": "fixed_projection", "left_out": {"too_long": 2}}
    figures: dict[str, Any] = json.loads(json.dumps(score.figures(None)))
    return about | figures | {"picture": {"utt": "u1", "text": EVIL}}


def write(folder: Path, judged: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "judged.json").write_text(json.dumps(judged))
    rows = [
        Drawn("real", np.zeros((5, DIM)), ["$a^b$", "c"], [1, 3]),
        Drawn("made", np.ones((3, DIM)), [], []),
    ]
    (folder / "latents.png").write_bytes(draw_latents(rows, range(DIM), 25.0))
    return folder


def text_of(page: str) -> str:
    parser = HTMLParser(convert_charrefs=True)
    found: list[str] = []
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(page)
    return "".join(found)


def test_figures(judged: dict[str, Any]) -> None:
    assert judged["errors"]["words"]["synthesized"]["error_rate"] == 50
    assert (
        judged["errors"]["words"]["real"]["error_rate"]
        == judged["errors"]["words"]["real_durations"]["error_rate"]
        == 0
    )
    assert judged["errors"]["units"]["synthesized"] | {"low": 0, "high": 0} == {
        "error_rate": pytest.approx(100 * 3 / 18),
        "low": 0,
        "high": 0,
        "reference": 18,
        "substituted": 0,
        "deleted": 3,
        "inserted": 0,
    }
    assert judged["unit_errors"]["c"] == {"count": 6, "real": 0, "synthesized": 3}
    assert judged["statistics"]["explained"] == 1
    # Odd seeds have a blank frame more after the second unit: 40 ms.
    blank = judged["durations"]["synthesized_against_ctc"]["blank"]
    assert blank["mean"] - blank["reference_mean"] == blank["mean_absolute_difference"] == 20
    assert judged["durations"]["synthesized_against_true"] is None


def test_a_section(judged: dict[str, Any], tmp_path: Path) -> None:
    page = synthesis_section(write(tmp_path / "judged", judged))
    text = text_of(page)
    assert "Synthesis: fixed projection, judged on dev" in text
    assert "unit errors, %0.0 (0.0–0.0)16.7" in text and "0 / 3 / 018" in text
    assert "Left out: too long 2." in text and text.count("Mean ± standard deviation;") == 1
    assert "<script" not in page and f"latents of “{EVIL}”" in text
    start = page.index("data:image/png;base64,") + len("data:image/png;base64,")
    png = base64.b64decode(page[start : page.index('"', start)])
    assert png == (tmp_path / "judged" / "latents.png").read_bytes()
    (tmp_path / "judged" / "latents.png").unlink()
    assert "<img" not in synthesis_section(tmp_path / "judged")
    for table in judged_tables(judged):
        assert all(len(row) == len(table.header) for row in table.rows), table.title
    assert "\nc         6              0                     3\n" in as_text(judged_tables(judged))


def test_a_section_is_of_the_run_that_was_trained_with_it(judged: dict[str, Any], tmp_path: Path) -> None:
    exp = tmp_path / "exp"
    folder = write(exp / "lasyn" / "seed1" / "synthesis" / "judged", judged)
    (folder / "tensorboard").mkdir()  # no training
    (run,) = find_runs(exp)
    assert (run.row, run.seed, run.judged, run.is_training) == ("lasyn/synthesis", 1, (folder,), False)
    page = report_html([run], environment(), name="x", data=None)
    assert page.count("judged on dev") == 1 and ">Training<" not in page

    (exp / "lasyn" / "seed1" / "train" / "tensorboard").mkdir(parents=True)
    (run,) = find_runs(exp)
    assert (run.row, run.judged, run.is_training) == ("lasyn", (folder,), True)
    page = report_html([run], environment(), name="x", data=None)
    assert page.count("judged on dev") == 1 and ">Training<" in page

    # A diffusion model has curves of its own.
    (exp / "lasyn" / "seed1" / "synthesis" / "tensorboard").mkdir()
    runs = find_runs(exp)
    assert [(run.row, run.judged) for run in runs] == [("lasyn", (folder,)), ("lasyn/synthesis", ())]


def test_a_damaged_file_is_named(judged: dict[str, Any], tmp_path: Path) -> None:
    folder = write(tmp_path / "judged", judged)
    for damage in ("{}", json.dumps(judged | {"errors": 3}), json.dumps(judged | {"statistics": {}})):
        (folder / "judged.json").write_text(damage)
        with pytest.raises(DataError, match=r"judged\.json: not written by stxlib.bin.judge; run it again"):
            synthesis_section(folder)


def test_picture() -> None:
    random = np.random.default_rng(1)
    slow = random.normal(0, 1, (30, 1))
    latents = np.concatenate(
        [slow, random.normal(0, 1, (30, 1)), slow + 0.01 * random.normal(0, 1, (30, 1))], 1
    )
    order = similar_together(latents)
    assert sorted(order) == [0, 1, 2] and abs(order.index(0) - order.index(2)) == 1
    row = Drawn("real", latents, ["a", "b"], [2, 9])
    png = draw_latents([row, row], order, 25.0)
    assert png == draw_latents([row, row], order, 25.0)
    assert png != draw_latents([row, Drawn("real", -latents, ["a", "b"], [2, 9])], order, 25.0)
    assert read_png(png).shape[2] == 3
    assert sorted(similar_together(latents[:1])) == [0, 1, 2]
