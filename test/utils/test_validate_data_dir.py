"""The two commands on data directories, as a user runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]


def command(name: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "utils" / name, *map(str, words)],
        capture_output=True,
        encoding="utf-8",
        env={"PATH": "/usr/bin:/bin", "PYTHONUTF8": "1"},
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "train"
    folder.mkdir()
    utts = [f"é{index}" for index in range(4)]
    for utt in utts:
        soundfile.write(folder / f"{utt}.flac", np.zeros(8000), 16000)
    (folder / "wav.scp").write_text("".join(f"{utt} {utt}.flac\n" for utt in utts))
    (folder / "text").write_text("".join(f"{utt} слово\n" for utt in utts))
    (folder / "utt2spk").write_text("".join(f"{utt} {utt}\n" for utt in utts))
    return folder


def test_a_good_folder_prints_its_summary(folder: Path) -> None:
    done = command("validate_data_dir.py", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith("4 utterances, 4 speakers, 1 word types (text utt2spk wav.scp)")


def test_problems_are_printed_and_fixed(folder: Path) -> None:
    for utt in ("é1", "é2"):
        (folder / f"{utt}.flac").unlink()
    done = command("validate_data_dir.py", folder, "--max_lines", 1)
    assert done.returncode == 1
    assert f"{folder}/wav.scp:2: recording 'é1': é1.flac: missing audio" in done.stdout
    assert "missing audio: 1 more (2 in all; --max_lines 2 shows them)" in done.stdout
    done = command("validate_data_dir.py", folder, "--fix", "true")
    assert done.returncode == 0
    assert "dropped 'é1': " in done.stdout
    assert "dropped 'é2': " in done.stdout
    assert f"wrote {folder}/text; the old one is {folder}/.backup/text" in done.stdout
    assert "2 utterances" in done.stdout
    assert command("validate_data_dir.py", folder, "--fix").returncode == 0


def test_a_folder_that_is_none_and_a_bad_value(tmp_path: Path) -> None:
    done = command("validate_data_dir.py", tmp_path / "none")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}/none: there is no such data directory")
    done = command("validate_data_dir.py", tmp_path, "--fix", "perhaps")
    assert done.returncode == 2
    assert "give true or false" in done.stderr


def test_subsets(folder: Path, tmp_path: Path) -> None:
    done = command("subset_data_dir.py", folder, tmp_path / "new", "--utts", 2, "--seed", 3)
    assert done.returncode == 0, done.stderr
    assert "2 utterances" in done.stdout
    (tmp_path / "list").write_text("é3 anything\n\né0\n")
    done = command("subset_data_dir.py", folder, tmp_path / "listed", "--list", tmp_path / "list")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "listed" / "text").read_text() == "é0 слово\né3 слово\n"
    (tmp_path / "more").write_text("é1\n")
    lists = [tmp_path / "list", tmp_path / "more"]
    done = command("subset_data_dir.py", folder, tmp_path / "both", "--list", *lists)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "both" / "text").read_text() == "é0 слово\né1 слово\né3 слово\n"
    done = command("subset_data_dir.py", folder, tmp_path / "other")
    assert done.returncode == 2
    assert "give --list, or at least one of --utts, --hours and --speakers" in done.stderr
