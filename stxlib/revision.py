"""Which revision of the code this is, as git knows it."""

from __future__ import annotations

import subprocess
from pathlib import Path

_RECORDS = (":(top,exclude,glob)egs/*/results/**", ":(top,exclude,glob)egs/*/RESULTS.md")


def git_commit() -> str:
    """Short hash of the clone that stxlib is imported from; `+changes` if files of it differ, `unknown` outside git.

    Recorded results, which a run adds to, are no changes of the code.
    """
    # A package that was installed into a folder inside someone else's repository is none of its files.
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit or not _git("ls-files", "--error-unmatch", "__init__.py"):
        return "unknown"
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", *_RECORDS)
    return commit + ("+changes" if changes else "")


def commit_date() -> str:
    """When that commit was made; empty outside git."""
    return _git("log", "-1", "--format=%ci") if git_commit() != "unknown" else ""


def _git(*words: str) -> str:
    """What git prints about the folder of stxlib; empty where it fails or is missing."""
    command = ["git", "-C", str(Path(__file__).parent), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
