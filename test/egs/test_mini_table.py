"""Paired tests between the rows of the table of mini."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from run_recipe import run_recipe

from stxlib.data.tables import write_table
from stxlib.errors import DataError

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "egs" / "mini"))

from compare_rows import PAIRS, ROWS, SETS, main  # noqa: E402

WORDS = ["turn", "on", "the", "light", "in", "the", "kitchen"]


def write_predictions(folder: Path, *, wrong: int) -> None:
    """Twelve sentences, of which so many have a wrong word, intent and slot."""
    rows = range(12)
    meaning = {True: ("light_on", "kitchen"), False: ("light_off", "hall")}
    folder.mkdir(parents=True)
    write_table(folder / "text", {f"u{i:02}": " ".join(WORDS[: -(i < wrong) or None]) for i in rows})
    write_table(folder / "intent", {f"u{i:02}": meaning[i >= wrong][0] for i in rows})
    semantics = {
        f"u{i:02}": json.dumps({"intent": intent, "slots": [{"type": "place", "filler": place}]})
        for i in rows
        for intent, place in [meaning[i >= wrong]]
    }
    write_table(folder / "semantics", semantics)


def test_rows_that_are_there_are_compared_over_their_common_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, results = tmp_path / "data", tmp_path / "results"
    for name in SETS:
        write_predictions(data / name, wrong=0)
        write_table(data / name / "utt2spk", {f"u{i:02}": f"s{i % 4}" for i in range(12)})
        for run_name, wrong in (
            ("asr.long.multi_seed1", 6),
            ("asr.long.multi_seed2", 8),
            ("lasyn.multi_seed2", 2),
        ):
            write_predictions(results / "predictions" / run_name / f"joint_{name}", wrong=wrong)
    (data / "train").mkdir()
    write_table(data / "train" / "text", {"t": "turn on the light"})
    old = results / "paired" / "old.json"
    old.parent.mkdir()
    old.write_text("{}")
    main(["--results", str(results), "--data", str(data)])
    assert "b and prototype on test: no seed that both rows have" in capsys.readouterr().out
    found = sorted(path.name for path in old.parent.iterdir())
    figures = ("intent_accuracy", "rare_word_miss", "slu_f1", "wer")
    assert found == sorted(f"a-prototype.{name}.{figure}.json" for name in SETS for figure in figures)
    wer = json.loads((old.parent / "a-prototype.test.wer.json").read_text())
    assert [Path(path).parent.name for path in wer["baseline"]["paths"]] == ["asr.long.multi_seed2"]
    assert wer["baseline"]["value"] == pytest.approx(100 * 8 / 84)
    assert wer["system"]["value"] == pytest.approx(100 * 2 / 84)


def test_what_is_missing_is_said_and_earlier_tests_are_kept(tmp_path: Path) -> None:
    old = tmp_path / "results" / "paired" / "old.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    with pytest.raises(DataError, match="predictions: not there; give the folder of the record to --results"):
        main(["--results", str(tmp_path / "results"), "--data", str(tmp_path)])
    (tmp_path / "results" / "predictions").mkdir()
    with pytest.raises(DataError, match="train/text: not there; give .*, that of the data to --data"):
        main(["--results", str(tmp_path / "results"), "--data", str(tmp_path)])
    assert old.exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--rows", "a zzz"], "table.sh: --rows zzz: no such row\n"),
        (["--rows"], "table.sh: --rows: needs a value\n"),
        (["--rows=a", "--toy", "true"], "what --toy true trains is no result"),
    ],
)
def test_nothing_is_run_where_something_is_wrong(options: list[str], told: str) -> None:
    done = run_recipe(ROOT / "egs" / "mini", "--dry_run", *options, script="table.sh")
    assert done.returncode == 2 and told in done.stderr
    assert "stage" not in done.stdout


def test_rows_are_called_as_table_sh_calls_them() -> None:
    assert {row for pair in PAIRS for row in pair} == ROWS.keys()
    done = run_recipe(
        ROOT / "egs" / "mini", "--rows", " ".join(ROWS), "--seeds", "7", "--dry_run", script="table.sh"
    )
    decodings = {
        (run_name, how)
        for run_name, how in re.findall(r"--out exp/(\S+)/seed7/train/decode_(\w+)_test ", done.stdout)
    }
    assert decodings == set(ROWS.values())
