"""Where a report was made: versions, commit, machine."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

import stxlib


def environment() -> dict[str, str]:
    """Name -> value, in the order in which it is shown. Imports neither torch nor anything else that is heavy."""
    folder = Path(__file__).parents[2]
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    found = {
        "date": datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
        "python version": sys.version.split()[0],
        "stxlib version": stxlib.__version__,
        "pytorch version": _version("torch"),
        "machine": f"{platform.system()} {platform.machine()}",
        "Git hash": "unknown" if not commit else commit + ("+changes" if changes else ""),
    }
    if commit:
        found["Commit date"] = _git(folder, "log", "-1", "--format=%ci")
    return found


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
