"""Sentiment: reference values of SLUE's toolkit, and what absent classes do."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stxlib.data.tables import write_table
from stxlib.score.classes import confusion
from stxlib.score.metric import Inputs, Scored
from stxlib.score.slue_sa import CLASSES, score_slue_sa, sentiment_scores


@pytest.fixture(scope="module")
def golden(test_data: Path) -> dict[str, Any]:
    return json.loads((test_data / "golden" / "slue_scoring_A.json").read_text(encoding="utf-8"))["sentiment"]


def make(tmp_path: Path, references: list[str], predictions: list[str]) -> Inputs:
    for side, values in (("ref", references), ("hyp", predictions)):
        write_table(
            tmp_path / side / "sentiment", {f"utt{number:04}": name for number, name in enumerate(values)}
        )
    return Inputs(ref=tmp_path / "ref", hyp=tmp_path / "hyp")


def values(scored: Scored) -> dict[str, float]:
    sums = {name: column.sum() for name, column in scored.counts.items()}
    return {name: float(figure) for name, figure in scored.figures(sums).items()}


def test_as_the_toolkit(golden: dict[str, Any]) -> None:
    assert len(golden) == 7
    for case in golden.values():
        found = sentiment_scores(case["gt"], case["pred"]).as_toolkit()
        assert found.keys() == case["result"].keys()
        for block, expected in case["result"].items():
            assert found[block] == pytest.approx(expected, abs=1e-9)


def test_tables_give_the_same(golden: dict[str, Any], tmp_path: Path) -> None:
    for name, case in golden.items():
        scored = score_slue_sa(make(tmp_path / name, case["gt"], case["pred"]))
        found, expected = values(scored), case["result"]
        assert found["sa_macro_f1"] == pytest.approx(expected["macro"]["f1"], abs=1e-9)
        assert found["sa_macro_recall"] == pytest.approx(expected["macro"]["recall"], abs=1e-9)
        assert found["sa_macro_precision"] == pytest.approx(expected["macro"]["precision"], abs=1e-9)
        assert found["sa_weighted_f1"] == pytest.approx(expected["micro"]["f1"], abs=1e-9)
        assert found["sa_accuracy"] == pytest.approx(expected["micro"]["recall"], abs=1e-9)
        seen = sorted(set(case["gt"]) | set(case["pred"]))
        assert list(scored.details["per_label"]) == seen
        if seen == list(CLASSES):
            f1s = {label: row["f1"] for label, row in scored.details["per_label"].items()}
            assert f1s == pytest.approx(expected["per_classes"], abs=1e-9)


def test_names_by_position_and_right_names() -> None:
    scores = sentiment_scores(["Neutral", "Positive", "Positive"], ["Neutral", "Neutral", "Positive"])
    right = {name: 100 * tally.f1 for name, tally in scores.per_class.items()}
    assert right == pytest.approx({"Neutral": 200 / 3, "Positive": 200 / 3})
    assert scores.as_toolkit()["per_classes"] == pytest.approx({"Negative": 200 / 3, "Neutral": 200 / 3})


def test_other_classes_keep_their_names() -> None:
    names = ["a", "b", "c", "d"]
    assert list(sentiment_scores(names, names).as_toolkit()["per_classes"]) == names


def test_against_the_definition() -> None:
    random_ = random.Random(3)
    for _ in range(50):
        size = random_.randint(1, 12)
        references = [random_.choice(CLASSES) for _ in range(size)]
        predictions = [random_.choice(CLASSES) for _ in range(size)]
        recalls, f1s = [], []
        for label in set(references) | set(predictions):
            both = sum(r == p == label for r, p in zip(references, predictions, strict=True))
            gold, made = references.count(label), predictions.count(label)
            precision, recall = both / made if made else 0.0, both / gold if gold else 0.0
            recalls.append(recall)
            f1s.append(2 * precision * recall / (precision + recall) if both else 0.0)
        scores = sentiment_scores(references, predictions)
        assert scores.macro["recall"] == pytest.approx(100 * np.mean(recalls))
        assert scores.macro["f1"] == pytest.approx(100 * np.mean(f1s))


def test_a_class_of_one_side_only_counts_and_is_told(tmp_path: Path) -> None:
    scored = score_slue_sa(make(tmp_path, ["Neutral", "Neutral"], ["Neutral", "neutral"]))
    assert values(scored)["sa_macro_f1"] == pytest.approx(100 * (2 / 3) / 2)
    assert "neutral" in scored.notes[-1] and "utt0001" in scored.notes[-1]


def test_a_missing_prediction_is_wrong_and_no_class(tmp_path: Path) -> None:
    inputs = make(tmp_path, ["Neutral", "Positive", "Positive"], ["Neutral", "Positive"])
    scored = score_slue_sa(Inputs(ref=inputs.ref, hyp=inputs.hyp, allow_missing=True))
    assert scored.missing == ("utt0002",)
    assert values(scored)["sa_macro_f1"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert values(scored)["sa_accuracy"] == pytest.approx(200 / 3)
    assert scored.details["confusion"]["labels"] == ["(none)", "Neutral", "Positive"]


def test_a_draw_without_a_class_leaves_it_out(tmp_path: Path) -> None:
    scored = score_slue_sa(make(tmp_path, ["Negative", "Neutral"], ["Neutral", "Neutral"]))
    weights = np.array([[1.0, 1], [0, 2]])
    figures = scored.figures({name: weights @ column for name, column in scored.counts.items()})
    assert figures["sa_macro_f1"] == pytest.approx([100 * (2 / 3) / 2, 100])


def test_confusion() -> None:
    found = confusion(["a", "a", "b", "c"], ["a", "b", "b", ""])
    assert found == {
        "labels": ["(none)", "a", "b", "c"],
        "rows": [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [1, 0, 0, 0]],
    }


def test_utterances_file(tmp_path: Path) -> None:
    scored = score_slue_sa(make(tmp_path, ["Neutral", "Positive"], ["Neutral", "Neutral"]))
    rows = [json.loads(line) for line in scored.files["utterances.slue_sa.jsonl"].splitlines()]
    assert rows == [
        {"utt": "utt0000", "reference": "Neutral", "prediction": "Neutral", "correct": True},
        {"utt": "utt0001", "reference": "Positive", "prediction": "Neutral", "correct": False},
    ]
