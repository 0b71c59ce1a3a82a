"""The commit that is written into every run and report."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stxlib import revision
from stxlib.revision import commit_date, git_commit


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def commit_of(folder: Path) -> str:
    code = "from stxlib.revision import *; print(git_commit(), '|', commit_date())"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True).stdout


def test_the_commit_is_that_of_the_library_wherever_it_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{12}(\+changes)?|unknown", git_commit())
    assert (git_commit() == "unknown") == (commit_date() == "")
    monkeypatch.setenv("PATH", "")
    assert git_commit() == "unknown" and commit_date() == ""


def test_changes_count_and_a_repository_around_it_does_not(tmp_path: Path) -> None:
    (tmp_path / "stxlib").mkdir()
    shutil.copy(revision.__file__, tmp_path / "stxlib")
    (tmp_path / "stxlib/__init__.py").touch()
    (tmp_path / "other").touch()
    git(tmp_path, "init", "-q")
    assert commit_of(tmp_path) == "unknown | \n"
    git(tmp_path, "add", "other")
    git(tmp_path, "commit", "-qm", "other")
    assert commit_of(tmp_path) == "unknown | \n"  # stxlib lies in the repository of something else
    git(tmp_path, "add", "stxlib")
    git(tmp_path, "commit", "-qm", "stxlib")
    assert re.fullmatch(r"[0-9a-f]{12} \| \d{4}-.*\n", commit_of(tmp_path))
    records = [
        tmp_path / "egs/mini" / name for name in ("results/asr.json", "results/old/asr.json", "RESULTS.md")
    ]
    for path in records:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("first")
    (tmp_path / "egs/mini/run.sh").write_text("first")
    git(tmp_path, "add", "egs")
    git(tmp_path, "commit", "-qm", "results")
    for path in records:
        path.write_text("another seed")
    records[0].unlink()
    assert re.match(r"[0-9a-f]{12} ", commit_of(tmp_path))  # a recorded result is no change of the code
    (tmp_path / "egs/mini/run.sh").write_text("changed")
    assert re.match(r"[0-9a-f]{12}\+changes ", commit_of(tmp_path))
    (tmp_path / "egs/mini/run.sh").write_text("first")
    assert re.match(r"[0-9a-f]{12} ", commit_of(tmp_path))
    (tmp_path / "other").write_text("changed")
    assert re.match(r"[0-9a-f]{12}\+changes ", commit_of(tmp_path))
