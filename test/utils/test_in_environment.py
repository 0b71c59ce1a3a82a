"""The commands of utils/ and the preparations of the corpora's recipes with a Python that has none of the dependencies, as `python3` is on a fresh machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "download.py",
    "few_shot_subsets.py",
    "show_run.py",
    "subset_data_dir.py",
    "toy_configs.py",
    "validate_data_dir.py",
)

PREPARES = ("fsc", "librispeech", "slue", "slue_voxceleb", "slue_voxpopuli", "slurp", "stop")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "utils", tmp_path / "clone/utils")
    shutil.copytree(ROOT / "stxlib", tmp_path / "clone/stxlib", ignore=shutil.ignore_patterns("__pycache__"))
    for recipe in PREPARES:
        shutil.copytree(ROOT / "egs" / recipe / "local", tmp_path / "clone/egs" / recipe / "local")
    return tmp_path / "clone"


def bare(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", str(path), "--help"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin"})


@pytest.mark.parametrize(
    "path", [*(f"utils/{name}" for name in COMMANDS), *(f"egs/{name}/local/prepare.py" for name in PREPARES)]
)
def test_they_go_on_in_the_environment(clone: Path, path: str) -> None:
    if not (Path(sys.prefix) / "bin/python").exists():
        pytest.skip("this Python has no bin/python")
    done = bare(clone / path)
    assert (
        done.returncode == 1 and "make the environment by" in done.stderr and "Traceback" not in done.stderr
    )
    (clone / ".venv").symlink_to(sys.prefix)
    done = bare(clone / path)
    name = path if path.startswith("utils/") else "local/prepare.py"
    assert done.returncode == 0 and f"{name} " in done.stdout, done.stderr


def test_all_commands_are_seen() -> None:
    executable = {path.name for path in (ROOT / "utils").glob("*.py") if path.stat().st_mode & 0o100}
    assert executable == set(COMMANDS)
    prepares = {path for path in (ROOT / "egs").glob("*/local/prepare.py") if path.stat().st_mode & 0o100}
    assert {path.parents[1].name for path in prepares} == set(PREPARES)
    for path in prepares:
        assert path.read_text().startswith("#!/usr/bin/env python3\n")
