"""The SLUE score from score files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from stxlib.errors import DataError
from stxlib.score.score_json import write_scores
from stxlib.score.slue import score_slue, slue_score


def entry(figure: str, value: float | None, ref: str, width: float = 1.0) -> dict[str, Any]:
    low, high = (None, None) if value is None else (value - width, value + 2 * width)
    return {
        "headline": figure,
        "counts": {},
        "figures": {figure: {"value": value, "low": low, "high": high}},
        "ref": ref,
    }


def write(folder: Path, **entries: dict[str, Any]) -> Path:
    return write_scores(folder, entries)


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Path, Path]:
    return (
        write(tmp_path / "vp", wer=entry("wer", 18.4, "data/vp"), slue_ner=entry("ner_f1", 49.6, "data/vp")),
        write(
            tmp_path / "vc", wer=entry("wer", 20.9, "data/vc"), slue_sa=entry("sa_macro_f1", 48.6, "data/vc")
        ),
    )


@pytest.mark.parametrize(
    ("wer_voxpopuli", "wer_voxceleb", "sentiment", "entities", "score"),
    [
        (18.4, 20.9, 48.6, 49.6, 59.5),  # W2V2-B-LS960
        (12.3, 16.1, 48.6, 63.4, 65.9),  # with a language model
        (9.3, 11.1, 50.1, 64.8, 68.2),  # W2V2-L-LL60K with one
        (19.6, 21.7, 49.4, 49.8, 59.5),  # HuBERT-B
        (0, 0, 66.8, 81.4, 82.7),  # DeBERTa-L on the true text
        (9.3, 11.1, 65.5, 71.8, 75.7),  # pipeline
    ],
)
def test_leaderboard(
    wer_voxpopuli: float, wer_voxceleb: float, sentiment: float, entities: float, score: float
) -> None:
    """Rows of the leaderboard v0.2, rounded to a tenth there."""
    found = slue_score(wer_voxpopuli, wer_voxceleb, sentiment, entities)
    assert found == pytest.approx(score, abs=0.051)


@pytest.mark.parametrize("turned", [False, True])
def test_two_files(parts: tuple[Path, Path], turned: bool) -> None:
    found = score_slue(parts[::-1] if turned else parts)
    assert found["figures"]["slue"]["value"] == pytest.approx(slue_score(18.4, 20.9, 48.6, 49.6), abs=1e-12)
    assert found["figures"]["slue_wer"]["value"] == pytest.approx(19.65)
    assert [part["metric"] for part in found["details"]["parts"]] == ["slue_ner", "slue_sa", "wer", "wer"]
    json.dumps(found, allow_nan=False)


def test_interval(parts: tuple[Path, Path]) -> None:
    """Each part reaches 1 down and 2 up; WER counts downwards and by half."""
    figure = score_slue(parts)["figures"]["slue"]
    down, up = (1 + 2 / 2) / 3, (2 + 1 / 2) / 3
    assert figure["value"] - figure["low"] == pytest.approx(math.hypot(down, down))
    assert figure["high"] - figure["value"] == pytest.approx(math.hypot(up, up))


def test_a_file_for_each_part(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "1", wer=entry("wer", 10, "r1")),
        write(tmp_path / "2", wer=entry("wer", 20, "r2")),
        write(tmp_path / "3", slue_sa=entry("sa_macro_f1", 50, "r3")),
        write(tmp_path / "4", slue_ner=entry("ner_f1", 60, "r4")),
    ]
    with pytest.raises(DataError, match="no WER of r4, r3, only of r1, r2; .* or give both as wer=FILE"):
        score_slue(files)
    with pytest.raises(DataError, match="no WER of r4, r3"):
        score_slue([f"wer={files[0]}", *files[1:]])
    named = [*(f"wer={file}" for file in files[:2]), *files[2:]]
    assert score_slue(named)["figures"]["slue"]["value"] == pytest.approx((85 + 50 + 60) / 3)


def test_a_folder_stands_for_its_file(parts: tuple[Path, Path], tmp_path: Path) -> None:
    assert score_slue([path.parent for path in parts])["figures"] == score_slue(parts)["figures"]
    with pytest.raises(DataError, match="nowhere: No such file or directory; give a score.json"):
        score_slue([*parts, tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty/score.json: No such file or directory"):
        score_slue([*parts, tmp_path / "empty"])
    with pytest.raises(DataError, match="'sa' is no part of the SLUE score; give wer, slue_ner, slue_sa"):
        score_slue([f"sa={parts[0]}"])
    odd = write(tmp_path / "a=b", slue_sa=entry("sa_macro_f1", 50, "data/vc"))
    assert score_slue([parts[0], f"wer={parts[1]}", odd])["figures"]["sa_macro_f1"]["value"] == 50


def test_one_set_for_all(tmp_path: Path) -> None:
    both = {"slue_ner": entry("ner_f1", 60, "data/test"), "slue_sa": entry("sa_macro_f1", 50, "data/test/")}
    found = score_slue([write(tmp_path, wer=entry("wer", 10, "data/test"), **both)])
    assert found["figures"]["slue"]["value"] == pytest.approx((90 + 50 + 60) / 3)
    assert "data/test" in found["notes"][-1]


def test_a_metric_of_a_file_with_several(parts: tuple[Path, Path], tmp_path: Path) -> None:
    tagger = write(tmp_path / "ner", wer=entry("wer", 70, "data/vp"), slue_ner=entry("ner_f1", 80, "data/vp"))
    found = score_slue([f"wer={parts[0]}", f"slue_ner={tagger}", parts[1]])
    assert found["figures"]["slue"]["value"] == pytest.approx(slue_score(18.4, 20.9, 48.6, 80))


def test_missing_parts(parts: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="slue_sa in none of them"):
        score_slue(parts[:1])
    with pytest.raises(DataError, match="slue_sa, wer in none of them"):
        score_slue([f"slue_ner={parts[0]}"])
    with pytest.raises(DataError, match="slue_ner is in 2 parts: .*vp/score.json, .*vp/score.json"):
        score_slue([parts[0], parts[0], parts[1]])
    with pytest.raises(DataError, match="wer in none of them"):
        score_slue([f"slue_ner={parts[0]}", f"slue_sa={parts[1]}"])
    with pytest.raises(DataError, match="no WER of data/vc, only of data/vp"):
        score_slue([parts[0], f"slue_sa={parts[1]}"])
    other = write(tmp_path / "other", cer=entry("cer", 1, "x"))
    with pytest.raises(DataError, match="has no wer, slue_ner or slue_sa, only cer"):
        score_slue([*parts, other])
    with pytest.raises(DataError, match="has no wer, only cer"):
        score_slue([*parts, f"wer={other}"])


def test_a_wer_twice(parts: tuple[Path, Path], tmp_path: Path) -> None:
    other = write(tmp_path / "other", wer=entry("wer", 30, "data/vp"))
    with pytest.raises(DataError, match="the WER of data/vp is in 2 parts"):
        score_slue([*parts, other])


def test_a_part_that_counted_nothing(parts: tuple[Path, Path], tmp_path: Path) -> None:
    nothing = write(tmp_path / "none", slue_ner=entry("ner_f1", None, "data/vp"))
    with pytest.raises(DataError, match="nothing was counted"):
        score_slue([f"wer={parts[0]}", nothing, parts[1]])
