"""Few-shot parts: nested, balanced, and the same everywhere."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from stxlib.data.data_dir import DataDir
from stxlib.data.few_shot import draw_few, order_utterances, seconds_of
from stxlib.data.tables import write_table
from stxlib.errors import DataError

ROOT = Path(__file__).parents[2]
UTTS = [f"id{number:05d}" for number in range(1000)]
CLASSES = {
    utt: "Negative" if number % 25 == 0 else "Positive" if number % 5 == 1 else "Neutral"
    for number, utt in enumerate(UTTS)
}


@pytest.fixture
def train(tmp_path: Path) -> DataDir:
    """1,000 utterances of 4 to 16 s, 2.8 h; no audio is opened."""
    folder = tmp_path / "train"
    write_table(folder / "wav.scp", {utt: f"/nowhere/{utt}.flac" for utt in UTTS})
    write_table(
        folder / "utt2dur", {utt: f"{4 + number * 7 % 1200 / 100:.4f}" for number, utt in enumerate(UTTS)}
    )
    write_table(folder / "text", dict.fromkeys(UTTS, "yes"))
    write_table(folder / "utt2spk", {utt: f"s{number % 20}" for number, utt in enumerate(UTTS)})
    write_table(folder / "sentiment", CLASSES)
    return DataDir(folder)


def test_the_order_is_that_of_this_list() -> None:
    # Written down once, so that another machine, version or change of code that draws otherwise is found out.
    assert order_utterances([f"utt{number}" for number in range(8)], seed=1) == [
        "utt3",
        "utt1",
        "utt0",
        "utt7",
        "utt5",
        "utt2",
        "utt4",
        "utt6",
    ]
    assert order_utterances([f"utt{number}" for number in range(8)], seed=2) == [
        "utt4",
        "utt0",
        "utt6",
        "utt5",
        "utt7",
        "utt3",
        "utt1",
        "utt2",
    ]


@pytest.mark.parametrize("balance", ["shares", "equal"])
def test_the_smaller_part_is_in_the_larger(train: DataDir, balance: str) -> None:
    parts = draw_few(train, ["2h", "10min", "1h"], seed=3, by="sentiment", balance=balance)
    assert {*parts["10min"]} < {*parts["1h"]} < {*parts["2h"]}
    for amount, utts in parts.items():
        seconds = sum(train.seconds[utt] for utt in utts)
        assert seconds_of(amount) - 16 < seconds <= seconds_of(amount)
        assert utts == sorted(utts)


def test_every_beginning_has_the_shares_of_the_classes() -> None:
    order = order_utterances(UTTS, 5, CLASSES)
    shares = {name: count / len(UTTS) for name, count in Counter(CLASSES.values()).items()}
    counts: Counter[str] = Counter()
    for number, utt in enumerate(order, start=1):
        counts[CLASSES[utt]] += 1
        for name, share in shares.items():
            assert abs(counts[name] - share * number) <= 1


def test_equal_has_as_many_of_each_class_while_there_are_any() -> None:
    order = order_utterances(UTTS, 5, CLASSES, "equal")
    rarest = Counter(CLASSES.values())["Negative"]
    assert Counter(CLASSES[utt] for utt in order[: 3 * rarest]) == dict.fromkeys(
        ("Negative", "Neutral", "Positive"), rarest
    )
    assert sorted(order) == UTTS


def test_an_utterance_that_is_missing_moves_no_other() -> None:
    order = order_utterances(UTTS, 1)
    assert order_utterances(UTTS[1:], 1) == [utt for utt in order if utt != UTTS[0]]
    assert order_utterances(reversed(UTTS), 1) == order
    assert order_utterances(UTTS, 2) != order


def test_too_little_speech_and_odd_amounts_are_errors(train: DataDir) -> None:
    with pytest.raises(DataError, match=r"train: has 2\.\d+ h to draw 3h from; ask for less"):
        draw_few(train, ["3h"])
    for amount in ("10", "0h", "1.5h", "h"):
        with pytest.raises(DataError, match="is no amount of speech; write 10min or 3h"):
            draw_few(train, [amount])
    write_table(train.path.parent / "text_only" / "text", {"a": "b"})
    with pytest.raises(
        DataError, match=r"text_only: is text alone, and amounts are of speech; draw from a set"
    ):
        draw_few(DataDir(train.path.parent / "text_only"), ["1min"])
    write_table(train.path / "utt2dur", dict.fromkeys(UTTS, "90.0"))
    with pytest.raises(DataError, match="the first utterance of the draw is longer than 1min"):
        draw_few(DataDir(train.path), ["1min"])


def test_the_command_writes_parts_with_their_ids_and_a_rerun_changes_nothing(
    train: DataDir, tmp_path: Path
) -> None:
    command = [sys.executable, ROOT / "utils" / "few_shot_subsets.py", train.path, tmp_path, "--seed", "4"]
    command += ["--amounts", "10min", "1h"]
    first = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    folder = tmp_path / "train_10min_seed4"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    part = DataDir(folder)
    assert part.streams == train.streams
    assert [*part.utts] == (folder / "ids.txt").read_text().split()
    assert [*part.utts] == draw_few(train, ["10min"], seed=4, by="sentiment")["10min"]
    assert "train_10min_seed4: 0.16 h" in first or "train_10min_seed4: 0.17 h" in first
    assert "sentiment: Negative" in first
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == first
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
