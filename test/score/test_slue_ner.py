"""Entities as SLUE scores them: reference values of its toolkit, and each rule by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stxlib.data.tables import write_table
from stxlib.errors import DataError
from stxlib.score.metric import Inputs, Scored
from stxlib.score.slue_ner import (
    NerScores,
    chosen,
    clean_filler,
    ner_scores,
    ner_scores_of_lines,
    numbered,
    score_slue_ner,
    tagged_entities,
)
from stxlib.text.entity_tags import COMBINED_SYMBOLS
from stxlib.text.labels import Entity, write_entities


@pytest.fixture(scope="module")
def golden(test_data: Path) -> dict[str, Any]:
    return json.loads((test_data / "golden" / "slue_scoring_A.json").read_text(encoding="utf-8"))["ner"]


def assert_metrics(scores: NerScores, expected: dict[str, dict[str, float]]) -> None:
    found = scores.as_toolkit()
    assert found.keys() == expected.keys()
    for tag, values in expected.items():
        assert found[tag] == pytest.approx(values, abs=1e-9), tag


@pytest.mark.parametrize("tags", ["raw", "combined"])
@pytest.mark.parametrize("kind", ["standard", "label"])
def test_lines_as_the_toolkit(golden: dict[str, Any], tags: Any, kind: str) -> None:
    expected = golden["results"][tags][kind]
    label_only = kind == "label"
    scores = ner_scores_of_lines(golden["ref_lines"], golden["hypo_lines"], tags=tags, label_only=label_only)
    assert_metrics(scores, expected["metrics"])
    counts = {
        tag: {"tp": tally.correct, "gt_cnt": tally.reference, "pred_cnt": tally.predicted}
        for tag, tally in scores.per_tag.items()
    }
    assert counts == expected["counts"]
    for side, lines in (("ref", golden["ref_lines"]), ("hypo", golden["hypo_lines"])):
        found = [
            [
                [tag, phrase or "phrase", copy]
                for tag, phrase, copy in numbered(
                    chosen(tagged_entities(line), tags=tags, label_only=label_only)
                )
            ]
            for line in lines
        ]
        assert found == expected[f"{side}_labels"]
    assert len(golden["ref_lines"]) == 79


def test_lines_of_its_files_give_the_same(golden: dict[str, Any]) -> None:
    def in_file(lines: list[str]) -> list[str]:
        return [f"{line} (None-{number})\n" for number, line in enumerate(lines)]

    scores = ner_scores_of_lines(in_file(golden["ref_lines"]), in_file(golden["hypo_lines"]))
    assert_metrics(scores, golden["results"]["combined"]["standard"]["metrics"])


def test_ready_tuples_as_the_toolkit(golden: dict[str, Any]) -> None:
    assert len(golden["tuple_cases"]) == 4
    for case in golden["tuple_cases"].values():
        sides = (
            [[tuple(entity) for entity in sentence] for sentence in case[side]] for side in ("gt", "pred")
        )
        assert_metrics(ner_scores(*sides), case["metrics"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("(None-5)", []),
        ("} ada byron ] in % paris ] (None-5)", [("PERSON", "ada byron"), ("GPE", "paris")]),
        ("} ada % paris ]", [("GPE", "paris")]),
        ("} ada byron", []),
        ("} ] ada ]", []),
        ("ada ] } byron ]", [("PERSON", "byron")]),
        ("}ada ] % paris]", []),
        ("}  ada  byron ]", [("PERSON", "ada byron")]),
        ("} ada   byron ]", [("PERSON", "ada  byron")]),  # two blanks become one, three become two
    ],
)
def test_rules_of_tagged_lines(line: str, expected: list[tuple[str, str]]) -> None:
    assert tagged_entities(line) == expected


def test_symbols_of_the_combined_set() -> None:
    line = "$ ada ] in % paris ] on & monday ]"
    assert tagged_entities(line, COMBINED_SYMBOLS) == [
        ("PERSON", "ada"),
        ("PLACE", "paris"),
        ("WHEN", "monday"),
    ]
    scores = ner_scores_of_lines([line], [line], symbols=COMBINED_SYMBOLS)
    assert set(scores.per_tag) == {"PERSON", "PLACE", "WHEN"}
    assert scores.micro.f1 == 1


def test_copies_need_copies() -> None:
    three, one = [("ORG", "eu")] * 3, [("ORG", "eu")]
    tally = ner_scores([numbered(three)], [numbered(one)]).per_tag["ORG"]
    assert (tally.correct, tally.reference, tally.predicted) == (1, 3, 1)


def test_nothing_on_either_side() -> None:
    scores = ner_scores([[], []], [[], []])
    assert (scores.micro.precision, scores.micro.recall, scores.micro.f1) == (0, 0, 0)
    assert np.isnan(scores.macro["f1"])


def test_sides_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ner_scores([[], []], [[]])


def make(tmp_path: Path, references: dict[str, str], predictions: dict[str, str]) -> Inputs:
    write_table(tmp_path / "ref" / "entities", references)
    write_table(tmp_path / "hyp" / "entities", predictions)
    return Inputs(ref=tmp_path / "ref", hyp=tmp_path / "hyp")


def value(scored: Scored, figure: str) -> float:
    return float(scored.figures({name: column.sum() for name, column in scored.counts.items()})[figure])


def test_tables_give_what_lines_give(golden: dict[str, Any], tmp_path: Path) -> None:
    def table(lines: list[str]) -> dict[str, str]:
        return {
            f"utt{number:03}": write_entities(
                tuple(Entity(tag, phrase) for tag, phrase in tagged_entities(line))
            )
            for number, line in enumerate(lines)
        }

    scored = score_slue_ner(make(tmp_path, table(golden["ref_lines"]), table(golden["hypo_lines"])))
    for tags, prefix in (("combined", ""), ("raw", "raw_")):
        for kind, middle in (("standard", ""), ("label", "label_")):
            expected = golden["results"][tags][kind]["metrics"]
            micro = 100 * expected["overall_micro"]["fscore"]
            assert value(scored, f"ner_{prefix}{middle}f1") == pytest.approx(micro, abs=1e-9)
            table_of = scored.details["raw"] if tags == "raw" else scored.details
            per_label = table_of["per_label" if kind == "standard" else "labels_only"]
            assert {tag: row["f1"] for tag, row in per_label.items()} == pytest.approx(
                {tag: 100 * row["fscore"] for tag, row in expected.items() if not tag.startswith("overall")},
                abs=1e-9,
            )
    expected = golden["results"]["combined"]["standard"]["metrics"]["overall_macro"]["fscore"]
    assert value(scored, "ner_macro_f1") == pytest.approx(100 * expected, abs=1e-9)
    rows = [json.loads(line) for line in scored.files["utterances.slue_ner.jsonl"].splitlines()]
    assert len(rows) == 79
    wrong = [row["utt"] for row in rows if not row["correct"]]
    columns = [scored.counts[name] for name in ("correct", "reference", "predicted")]
    unequal = [utt for utt, *c in zip(scored.utts, *columns, strict=True) if len(set(c)) > 1]
    assert wrong == unequal != []


def test_other_types_stay_and_five_are_left_out(tmp_path: Path) -> None:
    reference = '[{"type": "drink", "filler": "tea"}, {"type": "FAC", "filler": "big ben"}, {"type": "GPE", "filler": "paris"}]'
    prediction = '[{"type": "PLACE", "filler": "paris"}, {"type": "drink", "filler": "tea"}]'
    scored = score_slue_ner(make(tmp_path, {"a": reference}, {"a": prediction}))
    assert value(scored, "ner_f1") == 100
    assert value(scored, "ner_raw_f1") == pytest.approx(100 * 2 / 5)
    assert scored.details["left_out"] == {"FAC": 1}
    assert "1 FAC" in scored.notes[-1]


def test_fillers_are_compared_clean() -> None:
    assert clean_filler(" europe 's  u.s. ") == "europe's us"
    assert clean_filler("members' , states") == "members states"


def test_phrases_are_cleaned_in_every_format(tmp_path: Path) -> None:
    """What is decoded without a mistake scores 100 against the release's table, and against a data directory."""
    text = "on march 3, 2015 the members' europe's u.s. visit"
    phrases = ["march 3, 2015", "europe's u.s."]
    kinds = dict(zip(phrases, ["DATE", "GPE"], strict=True))
    offsets = [[kind, text.index(phrase), len(phrase)] for phrase, kind in kinds.items()]
    table = tmp_path / "vp.tsv"
    table.write_text(f"id\tnormalized_text\tnormalized_ner\na\t{text}\t{offsets}\n")
    decoded = write_entities(tuple(Entity(kind, phrase) for phrase, kind in kinds.items()))
    inputs = make(tmp_path, {"a": decoded}, {"a": decoded})
    said = write_entities((Entity("DATE", "march 3 2015"), Entity("GPE", "europe 's us")))
    write_table(tmp_path / "spoken/entities", {"a": said})
    for ref, hyp in (
        (table, inputs.hyp),
        (inputs.ref, tmp_path / "spoken"),
        (tmp_path / "spoken", inputs.hyp),
    ):
        scored = score_slue_ner(Inputs(ref=ref, hyp=hyp))
        assert value(scored, "ner_f1") == value(scored, "ner_raw_f1") == 100
        assert json.loads(scored.files["utterances.slue_ner.jsonl"])["correct"]
    wrong = write_entities((Entity("DATE", "march 4, 2015"), Entity("GPE", "europe's u.s.")))
    write_table(tmp_path / "wrong/entities", {"a": wrong})
    assert value(score_slue_ner(Inputs(ref=table, hyp=tmp_path / "wrong")), "ner_f1") == 50


def test_phrases_in_another_case_are_told(tmp_path: Path) -> None:
    reference = '[{"type": "GPE", "filler": "Rome"}, {"type": "GPE", "filler": "Rome"}, {"type": "ORG", "filler": "EU"}]'
    prediction = '[{"type": "GPE", "filler": "rome"}, {"type": "PERSON", "filler": "eu"}]'
    scored = score_slue_ner(make(tmp_path, {"a": reference}, {"a": prediction}))
    assert value(scored, "ner_f1") == 0
    assert scored.notes[0].startswith(
        "1 phrases of the predictions are those of the references but for letter case"
    )
    assert not score_slue_ner(make(tmp_path, {"a": reference}, {"a": reference})).notes


def test_figures_of_resampled_sets(tmp_path: Path) -> None:
    person, place = '[{"type": "PERSON", "filler": "ada"}]', '[{"type": "PLACE", "filler": "paris"}]'
    scored = score_slue_ner(
        make(tmp_path, {"a": person, "b": place, "c": "[]"}, {"a": person, "b": "[]", "c": "[]"})
    )
    weights = np.array([[1.0, 1, 1], [2, 0, 1], [0, 0, 3]])
    figures = scored.figures({name: weights @ column for name, column in scored.counts.items()})
    assert figures["ner_f1"] == pytest.approx([100 * 2 / 3, 100, np.nan], nan_ok=True)
    assert figures["ner_macro_f1"] == pytest.approx([50, 100, np.nan], nan_ok=True)


def test_entities_that_cannot_be_read(tmp_path: Path) -> None:
    inputs = make(tmp_path, {"a": "[]", "b": "[]"}, {"a": "[]", "b": "[ada"})
    with pytest.raises(DataError, match=r"hyp/entities: the entities of b: no JSON"):
        score_slue_ner(inputs)
