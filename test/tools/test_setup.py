"""tools/setup.sh with an interpreter that only pretends to build: when it builds, what it keeps, and what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Makes environments whose python is itself again, "installs" by writing into the folder $STUB, and fails on demand.
STUB = """#!/usr/bin/env bash
echo "$*" | head -n 1 >>"$STUB/calls"
case "$*" in
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *"import torch, torchaudio"*) ;;
  *"-m pip install"*" -r "*) if [[ -e $STUB/fail ]]; then echo "no matching distribution"; exit 1; fi ;;
  *"-m pip install"*kenlm*) if [[ -e $STUB/no_compiler ]]; then exit 1; fi ;;
  *) exec "$REAL" "$@" ;;
esac
"""


class Machine:
    """A clone with its own cache folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stub = folder / "stub"
        self.stub.mkdir()
        self.python = self.stub / "python3.99"
        self.python.write_text(STUB)
        self.python.chmod(0o755)
        self.clone = self.add_clone("clone")

    def add_clone(self, name: str) -> Path:
        clone = self.folder / name
        (clone / "tools").mkdir(parents=True)
        for path in ("tools/setup.sh", "tools/constraints.txt", "setup.py"):
            shutil.copy(ROOT / path, clone / path)
        return clone

    def setup(self, clone: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": os.environ["PATH"], "STUB": str(self.stub), "REAL": sys.executable, "PYTHON": str(self.python),
            "XDG_CACHE_HOME": str(self.folder / "cache"), **more,
        }  # fmt: skip
        command = [str((clone or self.clone) / "tools" / "setup.sh")]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)

    def builds(self) -> int:
        return (self.stub / "calls").read_text().count("-m venv")

    @property
    def environments(self) -> list[Path]:
        return [path for path in (self.folder / "cache" / "stxlib").iterdir() if path.is_dir()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_builds_once_and_links(machine: Machine) -> None:
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert "optional part lm: flashlight-text is on" in done.stdout and "lm: kenlm is on" in done.stdout
    (environment,) = machine.environments
    assert (machine.clone / ".venv").readlink() == environment
    assert (environment / "complete").exists()
    start = time.monotonic()
    again = machine.setup()
    assert again.returncode == 0 and again.stdout == "" and machine.builds() == 1
    assert time.monotonic() - start < 2


def test_clones_share_an_environment_that_has_no_stxlib(machine: Machine) -> None:
    machine.setup()
    other = machine.add_clone("other")
    assert machine.setup(other).returncode == 0
    assert machine.builds() == 1 and (other / ".venv").readlink() == (machine.clone / ".venv").readlink()
    calls = (machine.stub / "calls").read_text()
    assert "-e ." not in calls and str(other) not in calls.split("-m pip install")[1].split(" -r ")[1]
    requirements = (
        next((machine.folder / "cache" / "stxlib").glob("*.requirements.txt")).read_text().splitlines()
    )
    assert "torch>=2.11,<2.15" in requirements and "ruff" in requirements
    assert not [line for line in requirements if "stxlib" in line or "kenlm" in line]


def test_other_constraints_make_another_environment(machine: Machine) -> None:
    machine.setup()
    constraints = machine.clone / "tools" / "constraints.txt"
    constraints.write_text(constraints.read_text().replace("tqdm==", "tqdm==9"))
    assert machine.setup().returncode == 0
    assert len(machine.environments) == 2 and machine.builds() == 2


def test_half_made_environment_is_made_again(machine: Machine) -> None:
    machine.setup()
    (environment,) = machine.environments
    (environment / "complete").unlink()
    (environment / "leftover").touch()
    assert machine.setup().returncode == 0
    assert machine.builds() == 2 and not (environment / "leftover").exists()


def test_lock_of_a_dead_builder_is_taken_over(machine: Machine) -> None:
    machine.setup()
    (environment,) = machine.environments
    (environment / "complete").unlink()
    lock = environment.with_name(environment.name + ".lock")
    lock.mkdir()
    (lock / "pid").write_text("999999999\n")
    assert machine.setup().returncode == 0 and machine.builds() == 2 and not lock.exists()


def test_failed_install_shows_the_end_of_its_log(machine: Machine) -> None:
    (machine.stub / "fail").touch()
    done = machine.setup()
    assert done.returncode == 2
    assert "no matching distribution" in done.stderr and "the whole log: " in done.stderr
    assert not (machine.clone / ".venv").exists()
    (machine.stub / "fail").unlink()
    assert machine.setup().returncode == 0


def test_without_a_compiler_the_part_is_off(machine: Machine) -> None:
    (machine.stub / "no_compiler").touch()
    done = machine.setup()
    assert done.returncode == 0
    assert "optional part lm: kenlm is off: it did not build" in done.stdout
    assert "flashlight-text is on" in done.stdout
    assert (machine.clone / ".venv").exists()


def test_wrong_python_is_named(machine: Machine) -> None:
    done = machine.setup(PYTHON="/bin/false")
    assert done.returncode == 2
    assert "no Python 3.11, 3.12 or 3.13 among: /bin/false" in done.stderr


def test_a_folder_that_is_not_ours_stays(machine: Machine) -> None:
    (machine.clone / ".venv").mkdir()
    done = machine.setup()
    assert done.returncode == 2 and "is no link of mine" in done.stderr
    assert (machine.clone / ".venv").is_dir()
