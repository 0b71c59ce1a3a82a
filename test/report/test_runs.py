"""Finding runs: what the names of folders mean."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stxlib.errors import DataError
from stxlib.report.runs import find_runs, hash_config, read_progress, split_decode_name


def test_layout(exp: Path) -> None:
    runs = find_runs(exp)
    assert [(run.row, run.seed) for run in runs] == [
        ("asr", 1),
        ("asr", 2),
        ("lasyn.random", 1),
        ("pretrain", 1),
    ]
    first = runs[0]
    assert first.label == "exp/asr/seed1/train"
    assert (runs[2].system, runs[2].variant) == ("lasyn", "random")
    assert [(decode.how, decode.set) for decode in first.decodes] == [
        ("joint", "test"),
        ("joint", "test_rare"),
    ]
    assert first.head["code"] == "stxlib 0.1.0, commit abc"
    assert first.progress == {"step": 50, "seconds": 75.0}


def test_config_hash_is_of_the_settings(exp: Path, tmp_path: Path) -> None:
    runs = find_runs(exp)
    assert runs[0].config_hash == runs[1].config_hash
    config = tmp_path / "config.yaml"
    config.write_text("seed: 1\nout: elsewhere\ntrainer: {max_steps: 50}\n")
    assert hash_config(config) == runs[0].config_hash
    config.write_text("seed: 1\nout: elsewhere\ntrainer: {max_steps: 51}\n")
    assert hash_config(config) not in (None, runs[0].config_hash)
    assert hash_config(tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("name", "sets", "expected"),
    [
        ("decode_joint_test_rare", ["test_rare"], ("joint", "test_rare")),
        ("decode_ctc_greedy_test", ["test"], ("ctc_greedy", "test")),
        ("decode_joint_test_rare", [], ("joint", "test_rare")),
        ("decode_test", ["dev"], ("", "test")),
    ],
)
def test_decode_names(name: str, sets: list[str], expected: tuple[str, str]) -> None:
    assert split_decode_name(name, sets) == expected


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such directory"):
        find_runs(tmp_path / "exp")
    with pytest.raises(DataError, match="run the stages before"):
        find_runs(tmp_path)


def test_a_decoding_without_scores_is_known(exp: Path, tmp_path: Path) -> None:
    shutil.copytree(exp / "asr", tmp_path / "exp" / "asr")
    (tmp_path / "exp/asr/seed1/train/decode_joint_test/score.json").unlink()
    run = find_runs(tmp_path / "exp")[0]
    assert run.unscored == ("decode_joint_test",) and len(run.decodes) == 1


def test_a_damaged_checkpoint_has_no_progress(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"\x10\x00\x00")
    assert read_progress(tmp_path / "c") == {}
