"""The commands of utils/ with a Python that has none of the dependencies, as `python3` is on a fresh machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = ("download.py", "few_shot_subsets.py", "show_run.py", "subset_data_dir.py", "validate_data_dir.py")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "utils", tmp_path / "clone/utils")
    shutil.copytree(ROOT / "stxlib", tmp_path / "clone/stxlib", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "clone"


def bare(clone: Path, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", str(clone / "utils" / name), "--help"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin"})


@pytest.mark.parametrize("name", COMMANDS)
def test_they_go_on_in_the_environment(clone: Path, name: str) -> None:
    if not (Path(sys.prefix) / "bin/python").exists():
        pytest.skip("this Python has no bin/python")
    done = bare(clone, name)
    assert (
        done.returncode == 1 and "make the environment by" in done.stderr and "Traceback" not in done.stderr
    )
    (clone / ".venv").symlink_to(sys.prefix)
    done = bare(clone, name)
    assert done.returncode == 0 and name in done.stdout, done.stderr


def test_all_commands_are_seen() -> None:
    executable = {path.name for path in (ROOT / "utils").glob("*.py") if path.stat().st_mode & 0o100}
    assert executable == set(COMMANDS)
