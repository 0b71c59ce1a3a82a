"""result.txt is read by scripts that were written for sclite."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stxlib.score.alignment import align
from stxlib.score.result_txt import format_alignment, format_result, format_trn
from stxlib.score.table import display_width, percentage

REFERENCES = {"s1-a": "the cat sat down", "s1-b": "hello", "s2-c": "one two"}
PREDICTIONS = {"s1-a": "the bat sat", "s1-b": "hello", "s2-c": "one one two two"}
SPEAKERS = {utt: utt[:2] for utt in REFERENCES}


def grep(text: str, *, most: int) -> list[str]:
    """`grep -e Avg -e SPKR -m <most>`."""
    return [line for line in text.splitlines() if re.search("Avg|SPKR", line)][:most]


def test_the_two_lines_that_users_grep() -> None:
    text = format_result(align(REFERENCES, PREDICTIONS), SPEAKERS)
    assert grep(text, most=2) == [
        "| SPKR    | # Snt # Wrd | Corr    Sub    Del    Ins    Err  S.Err |",
        "| Sum/Avg |    3      7 | 71.4   14.3   14.3   28.6   57.1   66.7 |",
    ]


def test_widths_of_a_large_set() -> None:
    utts = [f"u{i:05}" for i in range(12_345)]
    text = format_result(align(dict.fromkeys(utts, "x"), dict.fromkeys(utts, "y")), None)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines[:3]}) == 1
    assert "| 12345  12345 |  0.0 " in grep(text, most=2)[1]


def test_rows_by_speaker_and_of_counts() -> None:
    text = format_result(align(REFERENCES, PREDICTIONS), SPEAKERS)
    assert "| s1      |    2      5 | 60.0   20.0   20.0    0.0   40.0   50.0 |" in text.splitlines()
    assert re.search(
        r"^\| s2      \|    1      2 \|100\.0    0\.0    0\.0  100\.0  100\.0  100\.0 \|$", text, re.M
    )
    assert re.search(r"^\| Sum     \|    3      7 \|    5      1      1      2      4      2 \|$", text, re.M)
    assert re.search(r"^\| Mean ", text, re.M) and re.search(r"^\| Median ", text, re.M)


def test_without_speakers_there_is_one_row() -> None:
    lines = format_result(align(REFERENCES, PREDICTIONS), None).split("SYSTEM SUMMARY COUNTS")[0].splitlines()
    assert [line.split()[1] for line in lines if line.startswith("| ")] == ["SPKR", "Sum/Avg"]


def test_alignment_block() -> None:
    (item,) = align({"u": "a bb c e"}, {"u": "a c e dddd"})
    assert format_alignment(item, "s").splitlines() == [
        "id: (s-u)",
        "Scores: (#C #S #D #I) 3 0 1 1",
        "REF:  a bb c e ****",
        "HYP:  a ** c e dddd",
        "Eval:   D      I",
    ]


def test_columns_count_what_a_terminal_shows() -> None:
    assert display_width("日本") == 4 and display_width("e\u0301") == 1
    (item,) = align({"u": "日本 b"}, {"u": "ab b"})
    reference, hypothesis = format_alignment(item).splitlines()[2:4]
    assert reference == "REF:  日本 b" and hypothesis == "HYP:  ab   b"


def test_halves_are_rounded_as_sclite_does() -> None:
    assert [percentage(value) for value in (36.25, 36.249999, 6.25, 0.05, 100.0, None)] == [
        "36.3",
        "36.2",
        "6.3",
        "0.1",
        "100.0",
        "-",
    ]


def test_trn() -> None:
    assert format_trn({"u1": "a  b", "u2": ""}, {"u1": "s", "u2": "s"}) == "a b (s-u1)\n (s-u2)\n"


def test_sclite_itself_finds_as_many_errors(tmp_path: Path) -> None:
    """The rows differ in how errors are split, as sclite's weights do not count edits alike; Err and S.Err are equal."""
    sclite = shutil.which("sctk") or shutil.which("sclite")
    if sclite is None:
        pytest.skip("sclite is not installed (apt-get install sctk)")
    draw = random.Random(1)
    utts = [f"s{i % 4}-u{i:03}" for i in range(80)]
    speakers = {utt: utt[:2] for utt in utts}
    references = {utt: " ".join(draw.choices("abcdefghijklm", k=draw.randint(1, 9))) for utt in utts}
    predictions = {
        utt: text.replace(draw.choice("abcdef"), draw.choice(["x", "", "y z"]))
        for utt, text in references.items()
    }
    (tmp_path / "ref.trn").write_text(format_trn(references, speakers))
    (tmp_path / "hyp.trn").write_text(format_trn(predictions, speakers))
    command = [sclite] + (["sclite"] if sclite.endswith("sctk") else [])
    command += ["-r", "ref.trn", "trn", "-h", "hyp.trn", "trn", "-i", "rm", "-o", "sum", "stdout"]
    output = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    ours = format_result(align(references, predictions), speakers)

    def numbers(text: str) -> list[float]:
        return [float(number) for number in re.findall(r"[\d.]+", grep(text, most=2)[1])]

    assert len(numbers(ours)) == 8
    assert [numbers(output)[i] for i in (0, 1, 6, 7)] == [numbers(ours)[i] for i in (0, 1, 6, 7)]
