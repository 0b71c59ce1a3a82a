"""stxlib.bin.score: the files it leaves, and what it says."""

from __future__ import annotations

import json
import typing
from pathlib import Path

import pytest

from stxlib.bin.score import main
from stxlib.data.tables import write_table
from stxlib.errors import ConfigError, DataError
from stxlib.score.metrics import METRICS, Metric, PairMetric
from stxlib.score.score_json import read_scores


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    utts = [f"s{i % 6}-u{i:02}" for i in range(30)]
    write_table(tmp_path / "ref/text", {utt: f"say word{i} now" for i, utt in enumerate(utts)})
    write_table(tmp_path / "ref/utt2spk", {utt: utt[:2] for utt in utts})
    write_table(tmp_path / "ref/utt2noise", {utt: "loud" if utt < "s3" else "quiet" for utt in utts})
    write_table(tmp_path / "ref/utt2dur", dict.fromkeys(utts, "1.0"))
    write_table(tmp_path / "hyp/text", {utt: f"say word{i - i % 3} now" for i, utt in enumerate(utts)})
    write_table(tmp_path / "train_text", {"t": "say now word1"})
    return ["--ref", str(tmp_path / "ref"), "--hyp", str(tmp_path / "hyp"), "--out", str(tmp_path / "hyp")]


def test_score_json(folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([*folders, "--metric", "wer", "cer", "--train_text", str(tmp_path / "train_text")])
    scores = read_scores(tmp_path / "hyp/score.json")
    assert list(scores) == ["wer", "cer"]
    wer = scores["wer"]
    assert wer["figures"]["wer"]["value"] == 100 * 20 / 90
    assert wer["figures"]["wer"]["low"] <= 100 * 20 / 90 <= wer["figures"]["wer"]["high"]
    assert wer["figures"]["rare_word_miss"]["value"] == 100 * 19 / 29
    assert wer["counts"]["words"] == 90 and wer["counts"]["substituted"] == 20
    assert wer["interval"] == {"level": 0.95, "draws": 1000, "seed": 1, "over": "speaker", "groups": 6}
    assert list(wer["groups"]) == ["noise"]
    assert sum(g["counts"]["substituted"] for g in wer["groups"]["noise"].values()) == 20
    printed = capsys.readouterr().out
    assert "22.2" in printed and "over 6 speakers" in printed and "missed rare words" in printed
    assert {path.name for path in (tmp_path / "hyp").iterdir()} == {
        "text",
        "score.json",
        "result.txt",
        "result.cer.txt",
        "ref.trn",
        "hyp.trn",
        "alignment.wer.jsonl",
        "alignment.cer.jsonl",
    }


def test_same_seed_same_file(folders: list[str], tmp_path: Path) -> None:
    main(folders)
    first = (tmp_path / "hyp/score.json").read_bytes()
    main(folders)
    assert (tmp_path / "hyp/score.json").read_bytes() == first


def test_another_metric_is_added(folders: list[str], tmp_path: Path) -> None:
    main(folders)
    main([*folders, "--metric", "cer"])
    assert list(read_scores(tmp_path / "hyp/score.json")) == ["wer", "cer"]


def test_missing_predictions(folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (tmp_path / "hyp/text").read_text().splitlines(keepends=True)
    (tmp_path / "hyp/text").write_text("".join(lines[1:-1]))
    with pytest.raises(DataError, match="2 of 30 utterances have no prediction: s0-u00, s5-u29"):
        main(folders)
    assert not (tmp_path / "hyp/score.json").exists()
    main([*folders, "--allow_missing", "true"])
    assert "note: 2 missing predictions counted as empty: s0-u00, s5-u29" in capsys.readouterr().out
    wer = read_scores(tmp_path / "hyp/score.json")["wer"]
    assert wer["counts"]["deleted"] == 6 and wer["missing"] == ["s0-u00", "s5-u29"]


def test_a_metric_that_fails_leaves_the_folder_as_it_was(folders: list[str], tmp_path: Path) -> None:
    main(folders)
    before = {path: path.read_bytes() for path in (tmp_path / "hyp").iterdir()}
    utts = [line.split()[0] for line in (tmp_path / "ref/text").read_text().splitlines()]
    write_table(tmp_path / "ref/text", dict.fromkeys(utts, "something else"))
    with pytest.raises(DataError, match="no such table"):
        main([*folders, "--metric", "wer", "cer", "slue_sa"])
    assert {path: path.read_bytes() for path in (tmp_path / "hyp").iterdir()} == before


def test_nothing_counted_is_null(folders: list[str], tmp_path: Path) -> None:
    write_table(
        tmp_path / "all",
        dict([line.split(" ", 1) for line in (tmp_path / "ref/text").read_text().splitlines()]),
    )
    main([*folders, "--train_text", str(tmp_path / "all")])
    figure = json.loads((tmp_path / "hyp/score.json").read_text())["wer"]["figures"]["rare_word_miss"]
    assert figure == {"value": None, "low": None, "high": None}


def test_options(folders: list[str]) -> None:
    with pytest.raises(ConfigError, match="wre"):
        main([*folders, "--metric", "wre"])
    with pytest.raises(ConfigError, match="--metric"):
        main([*folders, "--metric"])
    with pytest.raises(ConfigError, match="--draws 5"):
        main([*folders, "--draws", "5"])
    with pytest.raises(ConfigError, match="--seed -1: give 0 or more"):
        main([*folders, "--seed", "-1"])


def test_a_reference_without_text(folders: list[str], tmp_path: Path) -> None:
    (tmp_path / "ref/text").unlink()
    with pytest.raises(DataError, match=r"ref/text: no such table"):
        main(folders)


def test_a_place_that_cannot_be_written_to(folders: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train_text: cannot be written"):
        main([*folders, "--out", str(tmp_path / "train_text")])


def test_a_foreign_score_json(folders: list[str], tmp_path: Path) -> None:
    (tmp_path / "hyp/score.json").write_text('{"wer": 3}')
    with pytest.raises(DataError, match="not written by stxlib.bin.score"):
        main(folders)


@pytest.fixture
def slurp(tmp_path: Path) -> list[str]:
    files = {1: ["a.flac", "b.flac"], 2: ["c.flac"], 3: ["d.flac", "e.flac"]}
    gold = [
        {
            "slurp_id": number,
            "scenario": "alarm",
            "action": "set",
            "tokens": [{"surface": "Noon"}],
            "entities": [{"type": "time", "span": [0]}],
            "recordings": [{"file": name} for name in names],
        }
        for number, names in files.items()
    ]
    predictions = [
        {
            "file": name,
            "scenario": "alarm",
            "action": "set" if name < "d" else "stop",
            "entities": [{"type": "time", "filler": "noon" if name != "a.flac" else "no on"}],
        }
        for names in files.values()
        for name in names
        if name != "e.flac"
    ]
    for name, records in (("gold", gold), ("pred", predictions)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return [
        *(
            "--metric",
            "slurp",
            "ic",
            "--ref",
            str(tmp_path / "gold.jsonl"),
            "--hyp",
            str(tmp_path / "pred.jsonl"),
        ),
        *("--out", str(tmp_path / "out")),
    ]


def test_slurp_files(slurp: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"1 of 5 utterances have no prediction: e.flac"):
        main(slurp)
    assert not (tmp_path / "out").exists()
    main([*slurp, "--allow_missing", "true"])
    printed = capsys.readouterr().out
    assert "1 missing predictions left out: e.flac" in printed and "95 % over 3 sentences" in printed
    assert "1 missing predictions counted as empty: e.flac" in printed
    assert "35 more figures are in score.json" in printed and "macro slu" not in printed
    scores = read_scores(tmp_path / "out/score.json")
    assert scores["slurp"]["figures"]["intent_f1"]["value"] == 75  # of four that were predicted
    assert scores["ic"]["figures"]["intent_accuracy"]["value"] == 60  # of five
    assert scores["slurp"]["missing"] == ["e.flac"] and scores["slurp"]["drops_missing"]
    # "no on" against "noon": two word edits on one word, one character of five.
    assert scores["slurp"]["details"]["totals"]["word"] == {"tp": 4, "fp": 2, "fn": 2}
    assert scores["slurp"]["figures"]["char_f1"]["value"] == pytest.approx(100 * 4 / 4.2)
    assert scores["slurp"]["figures"]["slu_f1"]["value"] == pytest.approx(100 * 8 / 10.2)
    assert all(":" not in name for name in scores["slurp"]["counts"])
    lines = (tmp_path / "out/utterances.slurp.jsonl").read_text().splitlines()
    assert len(lines) == 4


def test_a_format_is_taken_by_its_name(slurp: list[str]) -> None:
    with pytest.raises(DataError, match=r"has no semantics, read as slue|expected a header"):
        main([*slurp, "--format", "slue"])


def test_slue_of_its_parts(folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for side in ("ref", "hyp"):
        utts = [line.split()[0] for line in (tmp_path / side / "text").read_text().splitlines()]
        tags = dict.fromkeys(utts, '[{"type": "GPE", "filler": "x"}]')
        write_table(tmp_path / side / "entities", tags)
        write_table(tmp_path / side / "sentiment", dict.fromkeys(utts, "Neutral"))
    main([*folders, "--metric", "wer", "slue_ner", "slue_sa"])
    score_json = str(tmp_path / "hyp/score.json")
    main(["--metric", "slue", "--parts", score_json, "--out", str(tmp_path / "slue")])
    entry = read_scores(tmp_path / "slue/score.json")["slue"]
    assert entry["figures"]["slue"]["value"] == pytest.approx((100 - 100 * 20 / 90 + 100 + 100) / 3)
    assert "95 % over 3 parts" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="--metric slue: give the score files of its parts with --parts"):
        main(["--metric", "slue", "--out", str(tmp_path)])
    with pytest.raises(ConfigError, match="--parts is for slue alone"):
        main([*folders, "--parts", score_json])
    with pytest.raises(ConfigError, match="--ref and --hyp: not given; wer needs"):
        main(["--out", str(tmp_path)])


def test_slue_is_left_out_where_a_part_is_absent(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of a network that wrote no sentiment: the recipe says so, and goes on."""
    main(folders)
    parts = ["--metric", "slue", "--parts", str(tmp_path / "hyp/score.json"), "--out", str(tmp_path / "slue")]
    with pytest.raises(DataError, match="--parts: slue_ner, slue_sa in none of them; the SLUE score needs"):
        main(parts)
    capsys.readouterr()
    main([*parts, "--skip_absent", "true"])
    printed = capsys.readouterr().out
    assert printed.startswith("slue: not scored: slue_ner, slue_sa in none of them; the SLUE score needs")
    assert printed.endswith("nothing to score\n") and not (tmp_path / "slue").exists()
    parts[3] = str(tmp_path / "none/score.json")
    main([*parts, "--skip_absent", "true"])
    assert f"slue: not scored: there is no {parts[3]}" in capsys.readouterr().out


def test_every_metric_has_its_name() -> None:
    assert set(METRICS) == set(typing.get_args(PairMetric)) and len(METRICS) == 9
    assert set(typing.get_args(Metric)) == {*METRICS, "slue"}
