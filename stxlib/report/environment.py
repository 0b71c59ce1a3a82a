"""Where a report was made: versions, commit, machine."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import sys

import stxlib
from stxlib.revision import commit_date, git_commit


def environment() -> dict[str, str]:
    """Name -> value, in the order in which it is shown. Imports neither torch nor anything else that is heavy."""
    found = {
        "date": datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
        "python version": sys.version.split()[0],
        "stxlib version": stxlib.__version__,
        "pytorch version": _version("torch"),
        "machine": f"{platform.system()} {platform.machine()}",
        "Git hash": git_commit(),
    }
    if date := commit_date():
        found["Commit date"] = date
    return found


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
