"""What is read of single labels, and which of them are shown."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stxlib.errors import DataError
from stxlib.report.html_labels import matrix
from stxlib.report.labels import Confusion, LabelScore, read_confusion, read_labels


def entry(**details: Any) -> dict[str, Any]:
    return {"details": details}


def test_scores_are_of_the_counts() -> None:
    scores = read_labels(
        entry(
            per_label={
                "b": {"tp": 3, "fp": 1, "fn": 2},
                "a": {"tp": 4, "fp": 0, "fn": 1},
                "z": {"tp": 0, "fp": 2, "fn": 0},
            }
        ),
        "score.json",
    )
    assert [score.label for score in scores] == ["a", "b", "z"]
    assert (scores[1].precision, scores[1].recall, scores[1].support) == (75.0, 60.0, 5)
    assert scores[1].f1 == pytest.approx(2 * 75 * 60 / 135)
    assert (scores[2].precision, scores[2].recall, scores[2].f1) == (0.0, None, 0.0)
    assert LabelScore("n", 0, 0, 0, 0).f1 is None and LabelScore("n", 0, 0, 1, 1).precision is None


def test_support_does_not_count_distances() -> None:
    """A slot whose filler is half right: found, with 0.5 of it missed and made up; it is in the references once."""
    found = read_labels(
        entry(
            per_label={"date": {"tp": 1, "fp": 0.5, "fn": 0.5}, "time": {"tp": 0, "fp": 0, "fn": 1}},
            kinds={"entity": {"date": {"tp": 0, "fp": 1, "fn": 1}}},
        ),
        "score.json",
    )
    assert {score.label: score.support for score in found} == {"date": 1, "time": 1}
    assert found[0].recall == pytest.approx(100 / 1.5)


def test_a_metric_without_labels() -> None:
    assert read_labels({"details": {}}, "f") == [] == read_labels({}, "f")
    assert read_confusion({"details": {}}, "f") is None is read_confusion({}, "f")
    assert read_confusion(entry(confusion={"labels": [], "rows": []}), "f") is None


@pytest.mark.parametrize(
    ("details", "what"),
    [
        ({"per_label": {"a": {"tp": 1, "fp": 2}}}, "per_label"),
        ({"per_label": {"a": 3}}, "per_label"),
        ({"per_label": ["a"]}, "per_label"),
        ({"confusion": {"labels": ["a", "b"], "rows": [[1, 2]]}}, "confusion"),
        ({"confusion": {"labels": ["a"], "rows": [["many"]]}}, "confusion"),
        ({"confusion": [1]}, "confusion"),
    ],
)
def test_damage_is_named(details: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=rf"some/score\.json: `details\.{what}` is not as stxlib.bin.score"):
        read_labels({"details": details}, "some/score.json")
        read_confusion({"details": details}, "some/score.json")


def test_most_confused() -> None:
    confusion = Confusion(("a", "b", "c", "d"), ((9, 1, 0, 0), (0, 5, 4, 0), (0, 0, 7, 0), (0, 0, 0, 99)))
    assert confusion.confused() == [("b", "c", 4), ("a", "b", 1)]
    assert confusion.most_confused(2) == [1, 2]
    assert confusion.most_confused(9) == [0, 1, 2, 3]


def test_matrix_of_many_labels() -> None:
    """Of 30 labels each is taken for the next one, the first ones more often: 25 remain, and what they are taken for else is counted."""
    names = tuple(f"l{i:02}" for i in range(30))
    rows = tuple(tuple(10 if i == j else 30 - i if j == i + 1 else 0 for j in range(30)) for i in range(30))
    shown = matrix(Confusion(names, rows))
    assert "The 25 of 30 labels that are most often confused" in shown
    assert shown.count("<tr>") == 26 and ">l24</th>" in shown and "l25" not in shown
    assert "other labels" in shown
    last = shown[shown.index(">l24</th>") :]
    # 10 right, and 6 times taken for l25, which is not shown: 16 in all.
    assert re.findall(r">([\d.]+)</td>", last) == ["16", "62.5", "10", "6"]


def test_matrix_of_few_labels() -> None:
    """What was never predicted has no column, and what is in no reference no row."""
    shown = matrix(Confusion(("(none)", "a", "b"), ((0, 0, 0), (1, 3, 0), (0, 2, 0))))
    assert "other labels" not in shown and "most often" not in shown
    assert shown.count('class="up"') == 2 and shown.count('scope="row"') == 2
    assert re.findall(r'<td class="(hit|miss)"[^>]*>(\d+)<', shown) == [
        ("miss", "1"),
        ("hit", "3"),
        ("miss", "2"),
    ]
