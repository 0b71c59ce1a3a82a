"""Which utterances systems differ on, and what is read for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stxlib.errors import DataError
from stxlib.report.differences import choose, compare, find_differences
from stxlib.report.differences_md import differences_md
from stxlib.report.html_verdicts import article, differences_section
from stxlib.report.runs import find_runs, read_run
from stxlib.report.verdicts import Verdict, read_verdicts


def line(utt: str, *errors: int) -> tuple[Verdict, ...]:
    return tuple(Verdict(utt, "r", f"p{count}", count) for count in errors)


def test_understanding(understanding: Path) -> None:
    found = find_differences(find_runs(understanding), num_examples=4)
    # Words were recognized by one system alone.
    assert [(item.set, item.metric) for item in found] == [("test", "ic"), ("test_rare", "ic")]
    first = found[0]
    # asr.multi has two seeds, of which the first is taken: wrong in 0-5; nlu is wrong in 4-7.
    assert first.systems == ("asr.multi seed 1", "nlu")
    assert (first.num_compared, first.num_left_out) == (24, 0)
    assert first.patterns == (((True, True), 16), ((False, True), 4), ((False, False), 2), ((True, False), 2))
    assert [[verdict.correct for verdict in example] for example in first.examples] == [
        [False, True],
        [True, False],
        [False, True],
        [True, False],
    ]


def test_words(exp: Path) -> None:
    found = find_differences(find_runs(exp), num_examples=9)
    assert [(item.set, item.metric) for item in found] == [("test", "wer"), ("test_rare", "wer")]
    assert found[0].systems == ("asr seed 1", "lasyn.random") and len(found[0].examples) == 3
    assert {example[1].errors for example in found[0].examples} == {0}


def test_one_row_is_compared_with_itself_in_another_decoding(exp: Path, tmp_path: Path) -> None:
    train = tmp_path / "exp/asr/seed1/train"
    shutil.copytree(exp / "asr/seed1/train", train)
    assert compare(find_runs(tmp_path / "exp"), "test", "wer", num_examples=3) is None
    shutil.copytree(train / "decode_joint_test", train / "decode_greedy_test")
    found = compare(find_runs(tmp_path / "exp"), "test", "wer", num_examples=3)
    assert found is not None and found.systems == ("asr joint", "asr greedy") and found.examples == ()
    shown = differences_section(find_runs(tmp_path / "exp"), None)
    assert shown is not None and "They do not differ on any utterance." in shown


def test_what_cannot_be_compared_is_counted(understanding: Path, tmp_path: Path) -> None:
    shutil.copytree(understanding, tmp_path / "exp")
    path = tmp_path / "exp/nlu/seed1/train/decode_beam_test/utterances.ic.jsonl"
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    lines[0]["reference"] = "something else"
    path.write_text("".join(json.dumps(item) + "\n" for item in lines[:-1]))
    found = compare(find_runs(tmp_path / "exp"), "test", "ic", num_examples=3)
    assert found is not None and (found.num_compared, found.num_left_out) == (22, 2)
    assert "2 more utterances are not compared" in differences_md(find_runs(tmp_path / "exp"))


def test_the_widest_differences_come_first_and_patterns_take_turns() -> None:
    lines = [line(f"a{i}", 0, 1) for i in range(10)] + [line("b", 1, 0), line("c", 1, 1), line("d", 5, 2)]
    assert [found[0].utt for found in choose(lines, 4)] == ["d", "a1", "b", "a3"]
    assert choose(lines, 0) == [] and len(choose(lines, 100)) == 12
    assert choose([line("c", 1, 1)], 5) == []


def test_systems_that_agree_share_a_line() -> None:
    verdicts = [Verdict("u", "x", "x", 0), Verdict("u", "x", "", 1), Verdict("u", "x", "x", 0)]
    shown = article(verdicts, ["one", "two", "three"], None)
    assert shown.count("<dd>") == 3 and "one, three" in shown and "(nothing)" in shown


@pytest.mark.parametrize(
    "damage",
    [
        "{broken",
        "[1]",
        '{"utt": "u", "reference": "a", "prediction": "b"}',
        '{"utt": "u", "reference": "a", "prediction": "b", "correct": 1}',
        '{"utt": "u", "reference": ["a"], "prediction": "b", "correct": true}',
    ],
)
def test_a_damaged_file_is_named_with_its_line(understanding: Path, tmp_path: Path, damage: str) -> None:
    train = tmp_path / "exp/nlu/seed1/train"
    shutil.copytree(understanding / "nlu/seed1/train", train)
    path = train / "decode_beam_test/utterances.ic.jsonl"
    path.write_text(path.read_text() + damage + "\n")
    decode = read_run(tmp_path / "exp", train).decodes[0]
    with pytest.raises(DataError, match=r"utterances\.ic\.jsonl:25: not written by stxlib.bin.score"):
        read_verdicts(decode, "ic")


def test_a_metric_without_verdicts(understanding: Path) -> None:
    decode = find_runs(understanding)[-1].decodes[0]
    assert read_verdicts(decode, "wer") == {} and len(read_verdicts(decode, "ic")) == 24
