"""Intent classification and exact frames, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stxlib.data.tables import write_table
from stxlib.errors import DataError
from stxlib.score.exact import score_exact
from stxlib.score.ic import score_ic
from stxlib.score.metric import Inputs, Scored
from stxlib.score.slurp import score_slurp
from stxlib.text.labels import Entity, Frame, write_frame


def figures_of(scored: Scored) -> dict[str, float]:
    found = scored.figures({name: np.asarray(column.sum()) for name, column in scored.counts.items()})
    return {name: float(value) for name, value in found.items()}


def make(tmp_path: Path, stream: str, references: dict[str, str], predictions: dict[str, str]) -> Inputs:
    write_table(tmp_path / "ref" / stream, references)
    (tmp_path / "hyp").mkdir(exist_ok=True)
    lines = (f"{utt} {value}".rstrip() + "\n" for utt, value in sorted(predictions.items()))
    (tmp_path / "hyp" / stream).write_text("".join(lines))
    return Inputs(ref=tmp_path / "ref", hyp=tmp_path / "hyp")


def test_accuracy_and_classes(tmp_path: Path) -> None:
    references = {"a": "alarm_set", "b": "alarm_set", "c": "alarm_stop", "d": "qa_set", "e": "qa_set"}
    predictions = {"a": "alarm_set", "b": "alarm_stop", "c": "alarm_stop", "d": "alarm_set", "e": ""}
    scored = score_ic(make(tmp_path, "intent", references, predictions))
    figures = figures_of(scored)
    assert figures["intent_accuracy"] == 40
    assert figures["scenario_accuracy"] == 60 and figures["action_accuracy"] == pytest.approx(60)
    # alarm_set 1/2 1/2, alarm_stop 1/2 1/1, qa_set 0
    assert figures["intent_macro_f1"] == pytest.approx(100 * (1 / 2 + 2 / 3 + 0) / 3)
    assert figures["intent_macro_precision"] == pytest.approx(100 * (1 / 2 + 1 / 2 + 0) / 3)
    assert scored.details["per_label"]["alarm_stop"] == {
        "tp": 1,
        "fp": 1,
        "fn": 0,
        "precision": 50,
        "recall": 100,
        "f1": pytest.approx(200 / 3),
    }
    assert scored.details["confusion"]["labels"] == ["(none)", "alarm_set", "alarm_stop", "qa_set"]
    assert scored.details["confusion"]["rows"][3] == [1, 1, 0, 0]
    first = json.loads(scored.files["utterances.ic.jsonl"].splitlines()[1])
    assert first == {"utt": "b", "reference": "alarm_set", "prediction": "alarm_stop", "correct": False}


def test_intents_of_frames_against_classes(tmp_path: Path) -> None:
    inputs = make(
        tmp_path, "intent", {"a": "iot_hue_lightup", "b": "qa_stock"}, {"a": "x_y", "b": "qa_stock"}
    )
    (tmp_path / "hyp/intent").unlink()
    frames = {"a": Frame("iot", "hue_lightup", (Entity("d", "e"),)), "b": Frame("qa", "currency")}
    write_table(tmp_path / "hyp/semantics", {utt: write_frame(frame) for utt, frame in frames.items()})
    figures = figures_of(score_ic(inputs))
    assert (figures["intent_accuracy"], figures["scenario_accuracy"], figures["action_accuracy"]) == (
        50,
        100,
        50,
    )


def test_classes_that_are_no_scenario_and_action(tmp_path: Path) -> None:
    figures = figures_of(score_ic(make(tmp_path, "intent", {"a": "Play"}, {"a": "Play"})))
    assert figures == dict.fromkeys(
        ("intent_accuracy", "intent_macro_f1", "intent_macro_precision", "intent_macro_recall"), 100
    )


def test_missing_intents_are_wrong(tmp_path: Path) -> None:
    inputs = make(tmp_path, "intent", {"a": "x", "b": "y"}, {"a": "x"})
    with pytest.raises(
        DataError, match=r"1 of 2 utterances have no prediction: b; .*as empty with --allow_missing"
    ):
        score_ic(inputs)
    scored = score_ic(Inputs(ref=inputs.ref, hyp=inputs.hyp, allow_missing=True))
    assert scored.missing == ("b",) and figures_of(scored)["intent_accuracy"] == 50


def test_exact_frames_in_any_order(tmp_path: Path) -> None:
    a, b = Entity("date", "today"), Entity("date", "today", start=4)
    c, d = Entity("time", "noon"), Entity("time", "Noon")
    references = {
        "1": Frame("x", "y", (a, c)),
        "2": Frame("x", "y", (a, b)),
        "3": Frame("x", "y"),
        "4": Frame("x", "y", (c,)),
    }
    predictions = {
        "1": Frame("x", "y", (c, b)),
        "2": Frame("x", "y", (a,)),
        "3": Frame("x", "z"),
        "4": Frame("x", "y", (d,)),
    }
    scored = score_exact(
        make(
            tmp_path,
            "semantics",
            {utt: write_frame(frame) for utt, frame in references.items()},
            {utt: write_frame(frame) for utt, frame in predictions.items()},
        )
    )
    figures = figures_of(scored)
    assert figures["exact_match"] == 25 and figures["intent_accuracy"] == 75
    # 5 slots said, 4 predicted, 3 right
    assert (figures["slot_recall"], figures["slot_precision"]) == (60, 75)
    assert figures["slot_f1"] == pytest.approx(100 * 6 / 9)
    assert figures["slot_macro_f1"] == pytest.approx(100 * (4 / 5 + 2 / 4) / 2)
    assert scored.details["per_label"]["time"]["tp"] == 1
    correct = [json.loads(line)["correct"] for line in scored.files["utterances.exact.jsonl"].splitlines()]
    assert correct == [True, False, False, False]


def test_fillers_in_another_case_are_told(tmp_path: Path) -> None:
    said, heard = (Frame("x", "y", (Entity("who", name), Entity("day", "today"))) for name in ("Ada", "ada"))
    inputs = make(tmp_path, "semantics", {"1": write_frame(said)}, {"1": write_frame(heard)})
    for score in (score_exact, score_slurp):
        (note,) = score(inputs).notes
        assert note.startswith("1 fillers of the predictions are those of the references but for letter case")
        assert not score(Inputs(ref=inputs.ref, hyp=inputs.ref)).notes


def test_no_prediction_is_wrong_whatever_the_reference_is(tmp_path: Path) -> None:
    """Not as good as an empty frame; and accuracy is of those that have an intent, in both metrics."""
    empty, full = write_frame(Frame("", "")), write_frame(Frame("x", "y"))
    inputs = make(tmp_path, "semantics", {"a": empty, "b": empty, "c": full}, {"a": empty, "c": full})
    inputs = Inputs(ref=inputs.ref, hyp=inputs.hyp, allow_missing=True)
    exact, ic = figures_of(score_exact(inputs)), figures_of(score_ic(inputs))
    assert exact["exact_match"] == pytest.approx(100 * 2 / 3)
    assert exact["intent_accuracy"] == ic["intent_accuracy"] == 100
    correct = [
        json.loads(line)["correct"]
        for line in score_exact(inputs).files["utterances.exact.jsonl"].splitlines()
    ]
    assert correct == [True, False, True]
    slots = write_frame(Frame("", "", (Entity("who", "ada"),)))
    inputs = make(tmp_path, "semantics", {"a": slots}, {"a": slots})
    for score in (score_exact, score_ic):
        assert np.isnan(figures_of(score(inputs))["intent_accuracy"])


def test_an_empty_prediction_is_no_frame(tmp_path: Path) -> None:
    scored = score_exact(make(tmp_path, "semantics", {"a": write_frame(Frame("x", "y"))}, {"a": ""}))
    assert figures_of(scored)["exact_match"] == 0
