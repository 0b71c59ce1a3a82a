"""Entities in time: reference values of SLUE's toolkit, the rules by hand, and the tables of a data directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stxlib.data.tables import write_table
from stxlib.errors import DataError
from stxlib.score.metric import Inputs, Scored
from stxlib.score.nel_from_ctc import ctc_entities
from stxlib.score.nel_overlap import OVERLAPS, Span, frame_tally, mark_words, nel_scores, word_tally
from stxlib.score.slue_nel import read_entity_times, score_slue_nel


@pytest.fixture(scope="module")
def golden(test_data: Path) -> dict[str, Any]:
    return json.loads((test_data / "golden" / "slue_scoring_A.json").read_text(encoding="utf-8"))["nel"]


@pytest.fixture(scope="module")
def words(golden: dict[str, Any]) -> dict[str, list[Span]]:
    ids = {str(number): utt for number, utt in enumerate(golden["utt_ids"]) if utt in golden["nel_utt_ids"]}
    return {
        number: [tuple(word) for word in golden["tagged_word_alignments"][utt]] for number, utt in ids.items()
    }


@pytest.fixture(scope="module")
def references(golden: dict[str, Any]) -> dict[str, list[Span]]:
    return {number: [tuple(entity) for entity in found] for number, found in golden["gt_entities"].items()}


def predicted(golden: dict[str, Any], run: dict[str, Any], utts: Any) -> dict[str, list[Span]]:
    outputs = {utt: golden["ctc_outputs"][utt] for utt in utts}
    return {
        utt: ctc_entities(output["chars"], output["durs"], offset=run["offset"], with_blank=run["blank"])
        for utt, output in outputs.items()
    }


def test_as_the_toolkit(
    golden: dict[str, Any], words: dict[str, list[Span]], references: dict[str, list[Span]]
) -> None:
    assert len(golden["runs"]) == 6
    for run in golden["runs"].values():
        predictions = predicted(golden, run, words)
        found = {utt: [list(entity) for entity in entities] for utt, entities in predictions.items()}
        assert found == run["pred_entities"]
        scores = nel_scores(words, predictions, references).as_toolkit()
        expected = run["result"]
        assert scores["frame"] == pytest.approx(expected["frame"], abs=1e-9)
        for name, of_overlap in expected["word"].items():
            of_name = scores["word"][name]
            assert isinstance(of_name, dict)
            assert {str(key): value for key, value in of_name.items()} == pytest.approx(of_overlap, abs=1e-9)


def test_words_within_entities_are_marked_as_by_the_toolkit(
    words: dict[str, list[Span]], references: dict[str, list[Span]]
) -> None:
    for utt, marked in words.items():
        plain = [(word.removeprefix("#"), start, end) for word, start, end in marked]
        assert mark_words(plain, references.get(utt, [])) == marked


def make(tmp_path: Path, ref: dict[str, dict[str, str]], predictions: dict[str, str]) -> Inputs:
    for stream, table in ref.items():
        write_table(tmp_path / "ref" / stream, table)
    write_table(tmp_path / "hyp" / "entity_times", predictions)
    return Inputs(ref=tmp_path / "ref", hyp=tmp_path / "hyp")


def values(scored: Scored) -> dict[str, float]:
    sums = {name: column.sum() for name, column in scored.counts.items()}
    return {name: float(figure) for name, figure in scored.figures(sums).items()}


@pytest.mark.parametrize("form", ["pairs", "triples", "objects"])
def test_tables_give_the_same(
    golden: dict[str, Any],
    words: dict[str, list[Span]],
    references: dict[str, list[Span]],
    tmp_path: Path,
    form: str,
) -> None:
    def written(entities: list[Span]) -> str:
        if form == "pairs":
            return json.dumps([[start, end] for _, start, end in entities])
        if form == "triples":
            return json.dumps(entities)
        return json.dumps(
            [
                {"type": "PERSON", "filler": phrase, "start_second": start, "end_second": end}
                for phrase, start, end in entities
            ]
        )

    run = golden["runs"]["offset-0.1_blankFalse"]
    plain = {
        utt: json.dumps([[w.removeprefix("#"), a, b] for w, a, b in marked]) for utt, marked in words.items()
    }
    ref = {"entity_times": {utt: written(references.get(utt, [])) for utt in words}, "word_times": plain}
    predictions = {utt: written(found) for utt, found in predicted(golden, run, words).items()}
    found = values(score_slue_nel(make(tmp_path, ref, predictions)))
    names = {"f1": "f1", "prec": "precision", "recall": "recall"}
    for short, name in names.items():
        assert found[f"nel_frame_{name}"] == pytest.approx(100 * run["result"]["frame"][short], abs=1e-9)
        for overlap in OVERLAPS:
            expected = 100 * run["result"]["word"][short][str(overlap)]
            assert found[f"nel_word_{name}_{100 * overlap:.0f}"] == pytest.approx(expected, abs=1e-9)
    assert len(found) == 3 + 3 * 6


WORDS: list[Span] = [
    ("so", 0.0, 0.5),
    ("#ada", 0.5, 1.0),
    ("#", 1.0, 1.1),
    ("#byron", 1.1, 2.0),
    ("said", 2.0, 3.0),
]
ENTITY: list[Span] = [("ada byron", 0.5, 2.0)]


@pytest.mark.parametrize(
    ("predicted", "overlap", "expected"),
    [
        ([("", 0.5, 2.0)], 1, (2, 2, 2)),
        ([("", 0.5, 1.5)], 1, (1, 2, 1)),
        ([("", 0.5, 1.6)], 0.5, (2, 2, 2)),
        ([("", 0.5, 2.6)], 0.5, (2, 2, 3)),  # most of a word that is no entity
        ([("", 0.5, 0.8), ("", 0.8, 1.0), ("", 1.1, 2.0)], 0.9, (2, 2, 2)),  # pieces are added up
        ([("", 0.0, 0.5)], 1, (0, 0, 1)),  # after the last prediction no word is looked at
        ([("", 2.0, 3.0)], 1, (0, 2, 1)),
        ([], 1, (0, 2, 0)),
        (None, 1, (0, 2, 0)),
    ],
)
def test_words_by_hand(predicted: list[Span] | None, overlap: float, expected: tuple[int, int, int]) -> None:
    tally = word_tally(WORDS, predicted, ENTITY, overlap)
    assert (tally.correct, tally.reference, tally.predicted) == expected


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ([("", 0.5, 2.0)], (150, 150, 150)),
        ([("", 0.25, 1.0)], (50, 150, 75)),
        ([("", 2.5, 4.0)], (0, 150, 150)),  # beyond the last word
        ([], (0, 150, 0)),
        (None, (0, 150, 0)),
    ],
)
def test_frames_by_hand(predicted: list[Span] | None, expected: tuple[int, int, int]) -> None:
    tally = frame_tally(WORDS, predicted, ENTITY)
    assert (tally.correct, tally.reference, tally.predicted) == expected


def test_utterance_that_is_not_aligned() -> None:
    scores = nel_scores({}, {"a": [("", 0.0, 1.0)]}, {"b": ENTITY})
    assert (scores.frame.predicted, scores.frame.reference) == (100, 150)
    assert scores.word[1].reference == 2


@pytest.mark.parametrize(
    ("characters", "with_blank", "expected"),
    [
        ("} | a d | ]", True, [("ad", 0.1, 0.7)]),
        ("} | a d | ]", False, [("ad", 0.3, 0.5)]),
        ("} a d ]", False, [("ad", 0.2, 0.4)]),
        ("} a } d ]", True, [("d", 0.3, 0.6)]),
        ("} a d | <b> ]", False, [("ad", 0.2, 0.4)]),
        ("} a d | <b> <b> ]", False, [("ad", 0.2, 0.7)]),  # one blank after the | is stepped over, not more
        ("a ] } b", True, []),
        ("} <b> ]", True, [("", 0.1, 0.4)]),
        ("} <b> ]", False, []),
    ],
)
def test_times_from_ctc(characters: str, with_blank: bool, expected: list[Span]) -> None:
    output = ["|", *characters.split()]
    assert ctc_entities(output, [0.1] * len(output), with_blank=with_blank) == expected


def test_offset_does_not_go_below_zero() -> None:
    assert ctc_entities(["}", "a", "]"], [0.1, 0.1, 0.1], offset=-0.2) == [("a", 0.0, 0.1)]


def test_without_word_times_there_are_frames_only(tmp_path: Path) -> None:
    inputs = make(
        tmp_path, {"entity_times": {"a": "[[0.5, 2.0]]", "b": "[]"}}, {"a": "[[0.5, 1.0]]", "b": "[[0, 1]]"}
    )
    scored = score_slue_nel(inputs)
    found = values(scored)
    assert set(found) == {"nel_frame_f1", "nel_frame_precision", "nel_frame_recall"}
    assert found["nel_frame_recall"] == pytest.approx(100 * 50 / 150)
    assert found["nel_frame_precision"] == pytest.approx(100 * 50 / 150)
    assert "word_times" in scored.notes[-1]


def test_predictions_are_sorted_by_time() -> None:
    assert read_entity_times('[["b", 2, 3], ["a", 0, 1]]') == [("a", 0.0, 1.0), ("b", 2.0, 3.0)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[[1", "no JSON"),
        ("{}", "expected a list"),
        ("[[1]]", "expected a list"),
        ('[{"type": "PERSON"}]', "expected a list"),
        ("[[2, 1]]", "0 <= start <= end"),
        ("[[-1, 1]]", "0 <= start <= end"),
        ("[[0, Infinity]]", "0 <= start <= end"),
    ],
)
def test_times_that_cannot_be_read(tmp_path: Path, value: str, message: str) -> None:
    inputs = make(tmp_path, {"entity_times": {"a": "[]"}}, {"a": value})
    with pytest.raises(DataError, match=r"hyp/entity_times: the entity_times of a: .*" + message):
        score_slue_nel(inputs)


def test_words_without_times(tmp_path: Path) -> None:
    ref = {"entity_times": {"a": "[]", "b": "[]"}, "word_times": {"a": "[]"}}
    with pytest.raises(DataError, match="1 utterances have no word times: b"):
        score_slue_nel(make(tmp_path, ref, {"a": "[]", "b": "[]"}))


def test_times_that_are_no_seconds_of_an_utterance(tmp_path: Path) -> None:
    """Counted without a frame in memory, and refused where they can only be a mistake."""
    assert frame_tally(WORDS, [("", 0.0, 1e9)], ENTITY).predicted == 1e11
    inputs = make(tmp_path, {"entity_times": {"a": "[[0, 1]]"}}, {"a": "[[0, 1e9]]"})
    with pytest.raises(DataError, match=r"hyp/entity_times: .* a: .*expected 0 <= start <= end <= 1,000,000"):
        score_slue_nel(inputs)
