"""EM and EM-Tree of bracketed parses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stxlib.data.tables import write_table
from stxlib.errors import DataError
from stxlib.score.metric import Inputs
from stxlib.score.stop_em import match_parses, score_stop_em

ALARM = "[IN:CREATE_ALARM set an alarm [SL:DATE_TIME for seven ] ]"


@pytest.mark.parametrize(
    ("prediction", "exact", "tree"),
    [
        (ALARM, True, True),
        (ALARM.replace(" ", "  "), True, True),
        (ALARM.replace("seven", "eleven"), False, True),  # a misheard value
        (ALARM.replace("for seven", ""), False, True),
        (ALARM.replace("alarm", "arm"), False, False),  # a word of the intent
        (ALARM.replace("SL:DATE_TIME", "SL:DURATION"), False, False),
        (ALARM.replace("CREATE", "DELETE"), False, False),
        (ALARM.removesuffix(" ]"), False, False),
        (ALARM + " ]", False, False),
        ("", False, False),
        ("set an alarm", False, False),
        ("[IN:A " * 5000 + "] " * 5000, False, False),
    ],
)
def test_matches(prediction: str, exact: bool, tree: bool) -> None:
    match = match_parses(ALARM, prediction)
    assert (match.exact, match.tree) == (exact, tree)


def test_nested_values_do_not_count_but_their_brackets_do() -> None:
    reference = "[IN:A [SL:B [IN:C [SL:D x ] ] ] ]"
    assert match_parses(reference, "[IN:A [SL:B [IN:C [SL:D y z ] ] ] ]").tree
    assert not match_parses(reference, "[IN:A [SL:B x ] ]").tree


def make(tmp_path: Path, references: dict[str, str], predictions: dict[str, str]) -> Inputs:
    write_table(tmp_path / "ref" / "parse", references)
    write_table(tmp_path / "hyp" / "parse", predictions)
    return Inputs(ref=tmp_path / "ref", hyp=tmp_path / "hyp")


def test_score(tmp_path: Path) -> None:
    predictions = {
        "a": ALARM,
        "b": ALARM.replace("seven", "ten"),
        "c": "[IN:CREATE_ALARM",
        "d": "[IN:OTHER ]",
    }
    scored = score_stop_em(make(tmp_path, dict.fromkeys("abcd", ALARM), predictions))
    assert scored.totals() == {"utterances": 4, "exact": 1, "tree": 2, "no_tree": 1}
    figures = scored.figures({name: column.sum() for name, column in scored.counts.items()})
    assert (float(figures["em"]), float(figures["em_tree"])) == (25, 50)
    assert "1 predictions are no tree: c" in scored.notes[-1]
    assert scored.details["confusion"]["labels"] == ["(no tree)", "IN:CREATE_ALARM", "IN:OTHER"]
    assert scored.details["confusion"]["rows"][1] == [1, 2, 1]
    assert scored.details["per_label"]["IN:CREATE_ALARM"]["tp"] == 2
    rows = [json.loads(line) for line in scored.files["utterances.stop_em.jsonl"].splitlines()]
    assert [row["correct"] for row in rows] == [True, False, False, False]


def test_a_reference_that_is_no_tree(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ref/parse: the parse of a: .*1 brackets are not closed"):
        score_stop_em(make(tmp_path, {"a": "[IN:A x"}, {"a": ALARM}))
