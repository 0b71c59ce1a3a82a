"""stxlib.bin.compare on decode directories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stxlib.bin.compare import main
from stxlib.data.tables import write_table
from stxlib.errors import ConfigError, DataError
from stxlib.score.table import format_p


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    utts = [f"s{i % 10}-u{i:03}" for i in range(200)]
    write_table(tmp_path / "ref/text", {utt: f"say word{i} now" for i, utt in enumerate(utts)})
    write_table(tmp_path / "ref/utt2spk", {utt: utt[:2] for utt in utts})
    for name, every in (("a", 2), ("b", 4), ("c", 5)):
        texts = {utt: f"say word{i if i % every else 'x'} now" for i, utt in enumerate(utts)}
        write_table(tmp_path / name / "text", texts)
    return tmp_path


def test_what_it_prints_and_writes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = ["--baseline", str(folder / "a"), "--system", str(folder / "b")]
    out = folder / "comparison.json"
    main(["--ref", str(folder / "ref"), *sides, "--out", str(out)])
    printed = capsys.readouterr().out
    assert "16.67" in printed and "8.33" in printed and "-8.33" in printed and "-50.0 % relative" in printed
    assert "over 10 speakers" in printed and "better 50, equal 150, worse 0" in printed
    found = json.loads(out.read_text())
    assert found["difference"]["value"] == pytest.approx(-100 * 50 / 600)
    # Speakers with odd numbers change nothing: of 2^10 swaps, those that swap all or none of the others' count.
    assert found["is_exact"] and found["p"] == pytest.approx(2 / 2**5)


def test_a_set_too_small_for_the_test_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    utts = [f"u{i}" for i in range(5)]
    for number, utt_count in ((0, 5), (1, 4)):
        write_table(
            folder / f"few{number}/text", {utt: "a b" if i < utt_count else "a" for i, utt in enumerate(utts)}
        )
    write_table(folder / "few/text", dict.fromkeys(utts, "a b"))
    main(["--ref", str(folder / "few"), "--baseline", str(folder / "few1"), "--system", str(folder / "few0")])
    assert "note: 5 utterances cannot give a p below 0.0625" in capsys.readouterr().out
    main(["--ref", str(folder / "ref"), "--baseline", str(folder / "a"), "--system", str(folder / "b")])
    assert "note:" not in capsys.readouterr().out


def test_several_seeds(folder: Path) -> None:
    out = folder / "comparison.json"
    seeds = [str(folder / "b"), str(folder / "c")]
    main(
        ["--ref", str(folder / "ref"), "--baseline", str(folder / "a"), "--system", *seeds, "--out", str(out)]
    )
    assert json.loads(out.read_text())["system"]["value"] == pytest.approx(100 * 45 / 600)


def test_other_figures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = ["--baseline", str(folder / "a"), "--system", str(folder / "b")]
    main(["--ref", str(folder / "ref"), *sides, "--figure", "sentence_error"])
    assert "50.00" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="rare words need --train_text"):
        main(["--ref", str(folder / "ref"), *sides, "--figure", "rare_word_miss"])


def test_errors(folder: Path) -> None:
    with pytest.raises(ConfigError, match="at least one decode directory"):
        main(["--ref", str(folder / "ref"), "--baseline", str(folder / "a"), "--system"])
    with pytest.raises(ConfigError, match="--seed -1: give 0 or more"):
        main(["--ref", str(folder), "--baseline", str(folder), "--system", str(folder), "--seed", "-1"])
    with pytest.raises(DataError, match="nowhere"):
        main(
            [
                "--ref",
                str(folder / "ref"),
                "--baseline",
                str(folder / "nowhere"),
                "--system",
                str(folder / "b"),
            ]
        )


def test_p_is_never_printed_as_0() -> None:
    assert (format_p(0.5), format_p(0.0001), format_p(0.00002)) == ("0.5000", "0.0001", "2.0e-05")


def test_systems_that_make_up_other_labels(tmp_path: Path) -> None:
    utts = [f"u{i:02}" for i in range(30)]
    write_table(tmp_path / "ref/intent", dict.fromkeys(utts, "a_b"))
    for name, wrong, made_up in (("one", 10, "x_y"), ("two", 4, "z_z"), ("three", 4, "q_q")):
        intents = {utt: made_up if i < wrong else "a_b" for i, utt in enumerate(utts)}
        write_table(tmp_path / name / "intent", intents)
    found = {}
    for figure in ("intent_accuracy", "intent_macro_f1"):
        options = ["--ref", str(tmp_path / "ref"), "--metric", "ic", "--figure", figure]
        sides = ["--baseline", str(tmp_path / "one"), "--system", str(tmp_path / "two")]
        main([*options, *sides, "--out", str(tmp_path / "found.json")])
        found[figure] = json.loads((tmp_path / "found.json").read_text())
    assert found["intent_accuracy"]["difference"]["value"] == pytest.approx(100 * 6 / 30)
    # A label that a system made up counts in its own mean, and in the other's not.
    assert found["intent_macro_f1"]["baseline"]["value"] == pytest.approx(100 * (40 / 50) / 2)
    assert found["intent_macro_f1"]["system"]["value"] == pytest.approx(100 * (52 / 56) / 2)
    seeds = ["--baseline", str(tmp_path / "one"), "--system", str(tmp_path / "two"), str(tmp_path / "three")]
    main(
        [
            *("--ref", str(tmp_path / "ref"), "--metric", "ic", "--out", str(tmp_path / "found.json")),
            *seeds,
        ]
    )
    assert json.loads((tmp_path / "found.json").read_text())["system"]["value"] == pytest.approx(
        100 * 26 / 30
    )


def test_systems_with_other_predictions_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = {"scenario": "a", "action": "b", "entities": []}
    files = [f"{i}.flac" for i in range(12)]
    gold = [{**frame, "slurp_id": i, "recordings": [{"file": file}]} for i, file in enumerate(files)]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(record) + "\n" for record in gold))
    for name, without in (("one", 3), ("two", 3), ("three", 4)):
        records = [{**frame, "file": file} for i, file in enumerate(files) if i != without]
        (tmp_path / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    options = ["--ref", str(tmp_path / "gold.jsonl"), "--metric", "slurp", "--figure", "intent_f1"]
    options += ["--allow_missing", "true", "--baseline", str(tmp_path / "one"), "--system"]
    main([*options, str(tmp_path / "two")])
    printed = capsys.readouterr().out
    assert "1 missing predictions left out" in printed and "over 11 sentences" in printed
    with pytest.raises(
        DataError, match=r"three: has predictions for 11 utterances, .*one for 11, and not the same"
    ):
        main([*options, str(tmp_path / "three")])
