"""SLURP's figures: reference values of its script, and each rule by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest

from stxlib.data.tables import write_table
from stxlib.errors import DataError
from stxlib.score.distances import char_distance, edit_distance, word_distance
from stxlib.score.metric import Inputs, Scored
from stxlib.score.score_json import score_entry
from stxlib.score.slurp import NONE, distance_tallies, entity_tallies, score_slurp, slurp_scores
from stxlib.text.labels import Entity, Frame, write_frame

KINDS = {
    "Scenario": "scenario",
    "Action": "action",
    "Intent (scen_act)": "intent",
    "Entities": "entity",
    "Entities (distance word)": "word",
    "Entities (distance char)": "char",
    "Slu f1": "slu",
}


@pytest.fixture(scope="module")
def golden(test_data: Path) -> dict[str, Any]:
    return json.loads((test_data / "golden" / "slurp_scoring_A.json").read_text(encoding="utf-8"))


def figures_of(scored: Scored) -> dict[str, float]:
    found = scored.figures({name: np.asarray(column.sum()) for name, column in scored.counts.items()})
    return {name: float(value) for name, value in found.items()}


@pytest.mark.parametrize("keyed_by", ["pred", "loadgold"])
def test_reference_values(golden: dict[str, Any], test_data: Path, keyed_by: str) -> None:
    load_gold = keyed_by == "loadgold"
    inputs = Inputs(
        ref=test_data / "golden" / golden["gold"],
        hyp=test_data / "golden" / golden["pred_loadgold" if load_gold else "pred"],
        allow_missing=True,
        load_gold=load_gold,
    )
    scored = score_slurp(inputs)
    figures, compared = figures_of(scored), 0
    for average, prefix in (("micro", ""), ("macro", "macro_")):
        expected = golden["results"][f"{keyed_by}_{average}"]
        assert len(scored.missing) == int(expected["not_predicted"].split(":")[1].split("(")[0])
        assert expected["metrics"].keys() == KINDS.keys()
        for name, kind in KINDS.items():
            values = dict(expected["metrics"][name])
            overall = values.pop("OVERALL")
            for ratio in ("f1", "precision", "recall"):
                assert figures[f"{prefix}{kind}_{ratio}"] / 100 == pytest.approx(overall[ratio], abs=1e-9)
            labels = scored.details["kinds"][kind]
            assert labels.keys() == values.keys()
            for label, of_label in values.items():
                found = labels[label]
                assert [found[part] for part in ("tp", "fp", "fn")] == pytest.approx(
                    [of_label[part] for part in ("tp", "fp", "fn")], abs=1e-9
                )
                assert found["tp"] == of_label["tp"]
                if kind in ("scenario", "action", "intent", "entity"):
                    assert (found["fp"], found["fn"]) == (of_label["fp"], of_label["fn"])
                for ratio in ("f1", "precision", "recall"):
                    assert found[ratio] / 100 == pytest.approx(of_label[ratio], abs=1e-9)
                compared += 1
    assert compared > 280
    assert scored.details["per_label"] == scored.details["kinds"]["slu"]


def test_reference_values_of_plain_objects(golden: dict[str, Any], test_data: Path) -> None:
    def records(name: str) -> list[dict[str, Any]]:
        lines = (test_data / "golden" / name).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    gold = {str(item["slurp_id"]): item for item in records(golden["gold"])}
    predictions = records(golden["pred_loadgold"])
    references = [
        {
            **gold[item["slurp_id"]],
            "entities": [
                {
                    "type": entity["type"],
                    "filler": " ".join(
                        gold[item["slurp_id"]]["tokens"][place]["surface"].lower() for place in entity["span"]
                    ),
                }
                for entity in gold[item["slurp_id"]]["entities"]
            ],
        }
        for item in predictions
    ]
    scores = slurp_scores(references, predictions)
    for average in ("micro", "macro"):
        expected = golden["results"][f"loadgold_{average}"]["metrics"]
        for name, kind in KINDS.items():
            found = scores[kind].micro.f1 if average == "micro" else scores[kind].macro["f1"]
            assert found == pytest.approx(expected[name]["OVERALL"]["f1"], abs=1e-9)


def test_reference_distances(golden: dict[str, Any]) -> None:
    assert len(golden["distances"]) == 30
    for pair in golden["distances"]:
        sides = pair["truth"], pair["hypothesis"]
        assert word_distance(*sides) == pytest.approx(pair["word"], abs=1e-12)
        assert char_distance(*sides) == pytest.approx(pair["char"], abs=1e-12)


def test_distances() -> None:
    random = np.random.default_rng(1)
    words = ["a", "b", "ab", "c"]
    for _ in range(200):
        said = [words[i] for i in random.integers(4, size=random.integers(1, 6))]
        heard = [words[i] for i in random.integers(4, size=random.integers(0, 6))]
        assert edit_distance(said, heard) == edit_distance(heard, said)
        assert word_distance(" ".join(said), " ".join(heard)) == pytest.approx(
            jiwer.wer(" ".join(said), " ".join(heard))
        )
    assert word_distance("", "") == char_distance("", "") == 0
    assert word_distance("", "two words") == 2  # jiwer 2.0.0 stops here
    assert char_distance("", "ab") == 1
    assert word_distance("a\tb", "a b") == 2  # a lone tab parts no words


def test_entities_are_multisets() -> None:
    said = [Entity("date", "today"), Entity("date", "today"), Entity("time", "noon", start=3)]
    tallies = entity_tallies(said, [Entity("date", "today"), Entity("time", "noon"), Entity("time", "noon")])
    assert (tallies["date"].correct, tallies["date"].reference, tallies["date"].predicted) == (1, 2, 1)
    assert (tallies["time"].correct, tallies["time"].reference, tallies["time"].predicted) == (1, 1, 2)


def test_matching_is_greedy_in_the_order_of_the_prediction() -> None:
    said = [Entity("x", "a b"), Entity("x", "c d")]
    # "a z" takes "a b", so that "a b" is left with "c d"; the other order is better.
    heard = [Entity("x", "a z"), Entity("x", "a b")]
    greedy = distance_tallies(said, heard, word_distance)["x"]
    assert (greedy.correct, greedy.reference - greedy.correct) == (2, 1.5)
    other = distance_tallies(said, heard[::-1], word_distance)["x"]
    assert (other.correct, other.reference - other.correct) == (2, 1.0)


def test_word_distance_can_exceed_one() -> None:
    tally = distance_tallies([Entity("x", "a")], [Entity("x", "b c d")], word_distance)["x"]
    assert (tally.correct, tally.predicted - tally.correct) == (1, 3)


def test_empty_labels_have_a_name() -> None:
    scores = slurp_scores([Frame("a", "b")], [Frame("", "", (Entity("", "x"),))])
    assert scores["scenario"].per_label[NONE].predicted == 1
    assert scores["slu"].per_label[NONE].predicted == 2 and scores["slu"].micro.f1 == 0


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def frame_record(**more: Any) -> dict[str, Any]:
    return {"scenario": "calendar", "action": "set", "entities": [], **more}


def sentence(number: int, *files: str) -> dict[str, Any]:
    return frame_record(
        slurp_id=number, tokens=[{"surface": "Hi"}], recordings=[{"file": file} for file in files]
    )


def test_missing_extra_and_repeated_predictions(tmp_path: Path) -> None:
    ref = write_lines(tmp_path / "gold.jsonl", [sentence(1, "a.flac", "b.flac"), sentence(2, "c.flac")])
    hyp = write_lines(tmp_path / "p.jsonl", [frame_record(file="a.flac")])
    inputs = Inputs(ref=ref, hyp=hyp)
    with pytest.raises(
        DataError, match=r"2 of 3 utterances have no prediction: b.flac, c.flac; .*--allow_missing true"
    ):
        score_slurp(inputs)
    official = Inputs(ref=ref, hyp=hyp, allow_missing=True)
    scored = score_slurp(official)
    assert scored.missing == ("b.flac", "c.flac") and scored.utts == ("a.flac",) and scored.drops_missing
    assert figures_of(scored)["intent_f1"] == 100
    write_lines(hyp, [frame_record(file=f) for f in ("a.flac", "b.flac", "c.flac", "d.flac")])
    with pytest.raises(DataError, match=r"1 predictions are for utterances not in .*: d.flac; "):
        score_slurp(inputs)
    assert "1 predictions are for utterances not in" in score_slurp(official).notes[0]
    both = [frame_record(file="a.flac", action="x"), frame_record(file="a.flac"), frame_record(file="b.flac")]
    write_lines(hyp, [*both, frame_record(file="c.flac")])
    with pytest.raises(DataError, match=r"1 utterances have more than one prediction: a.flac; keep one"):
        score_slurp(inputs)
    scored = score_slurp(official)
    assert figures_of(scored)["intent_f1"] == 100 and "the last counts: a.flac" in scored.notes[0]
    write_lines(hyp, [frame_record(file="d.flac")])
    with pytest.raises(DataError, match="none of the 3 utterances"):
        score_slurp(official)


def test_recordings_are_known_by_other_endings(tmp_path: Path) -> None:
    ref = write_lines(tmp_path / "gold.jsonl", [sentence(1, "audio-1.5.flac", "audio-1.flac")])
    hyp = write_lines(
        tmp_path / "p.jsonl",
        [frame_record(file="slurp_real/audio-1.5.wav"), frame_record(file="audio-1.wav")],
    )
    assert score_slurp(Inputs(ref=ref, hyp=hyp)).utts == ("audio-1.5.flac", "audio-1.flac")
    write_lines(hyp, [frame_record(file=name) for name in ("audio-1.5.wav", "audio-1.wav", "audio-1.flac")])
    with pytest.raises(DataError, match=r"more than one prediction: audio-1.flac"):
        score_slurp(Inputs(ref=ref, hyp=hyp))
    # Officially names are equal or not: the other spelling is one for no reference, wherever it stands.
    wrong = frame_record(file="audio-1.wav", action="x")
    both = [frame_record(file=name) for name in ("audio-1.5.wav", "audio-1.flac")]
    for records in ([wrong, *both], [*both, wrong]):
        write_lines(hyp, records)
        scored = score_slurp(Inputs(ref=ref, hyp=hyp, allow_missing=True))
        assert figures_of(scored)["intent_f1"] == 100
        assert scored.notes == (f"1 predictions are for utterances not in {ref} and were ignored",)
    # What could be either recording is none.
    twice = write_lines(tmp_path / "twice.jsonl", [sentence(1, "a/1.flac", "b/1.flac")])
    write_lines(hyp, [frame_record(file="c/1.wav")])
    with pytest.raises(
        DataError, match=r"not in .*: c/1.wav; and 2 of 2 utterances have no prediction: a/1.flac, b/1"
    ):
        score_slurp(Inputs(ref=twice, hyp=hyp))
    frames = {name: write_frame(Frame("calendar", "set")) for name in ("audio-1", "audio-1.5")}
    write_table(tmp_path / "decode/semantics", frames)
    assert len(score_slurp(Inputs(ref=ref, hyp=tmp_path / "decode")).utts) == 2


def test_intervals_draw_sentences(tmp_path: Path) -> None:
    gold = [sentence(i, f"{i}-a.flac", f"{i}-b.flac") for i in range(12)]
    ref = write_lines(tmp_path / "gold.jsonl", gold)
    hyp = write_lines(
        tmp_path / "p.jsonl",
        [
            frame_record(file=f"{i}-{mic}.flac", action="set" if i % 3 else "x")
            for i in range(12)
            for mic in "ab"
        ],
    )
    inputs = Inputs(ref=ref, hyp=hyp)
    entry = score_entry(score_slurp(inputs), inputs, draws=200, seed=1)
    assert (entry["interval"]["over"], entry["interval"]["groups"]) == ("sentence", 12)
    figure = entry["figures"]["intent_f1"]
    assert figure["value"] == pytest.approx(200 / 3) and figure["low"] < figure["value"] < figure["high"]
    # Twelve sentences, and not 24 recordings: the interval of 12 tosses.
    assert figure["high"] - figure["low"] > 45
    assert entry["figures"]["slu_f1"] == {"value": None, "low": None, "high": None}  # no entity anywhere
    assert not any(":" in name for name in entry["counts"])


def test_a_data_directory(tmp_path: Path) -> None:
    slots = (Entity("date", "today"), Entity("person", "ada byron"))
    write_table(
        tmp_path / "ref/semantics",
        {"a": write_frame(Frame("x", "y", slots)), "b": write_frame(Frame("x", "z"))},
    )
    write_table(
        tmp_path / "hyp/semantics",
        {"a": write_frame(Frame("x", "y", slots[:1])), "b": write_frame(Frame("x", "y"))},
    )
    scored = score_slurp(Inputs(ref=tmp_path / "ref", hyp=tmp_path / "hyp"))
    figures = figures_of(scored)
    assert figures["intent_f1"] == 50 and figures["entity_recall"] == 50 and figures["slu_precision"] == 100
    assert figures["macro_intent_f1"] == pytest.approx(100 * (2 / 3 + 0) / 2)
    assert scored.details["confusion"] == {"labels": ["x_y", "x_z"], "rows": [[1, 0], [1, 0]]}
    lines = [json.loads(line) for line in scored.files["utterances.slurp.jsonl"].splitlines()]
    assert lines[0] == {
        "utt": "a",
        "reference": "x_y(date: today, person: ada byron)",
        "prediction": "x_y(date: today)",
        "correct": False,
    }
    (tmp_path / "hyp/semantics").write_text('a {"intent": "x_y"}\nb {"intent"\n')
    with pytest.raises(DataError, match=r"hyp/semantics:2: the semantics of 'b' cannot be read: no JSON"):
        score_slurp(Inputs(ref=tmp_path / "ref", hyp=tmp_path / "hyp"))
