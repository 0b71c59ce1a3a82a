"""A folder that a recipe makes: there whole or not at all, and replaced only if a recipe made it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stxlib.errors import ConfigError

MARK = ".made_by_a_recipe"


def check_replaceable(out: Path) -> None:
    """Raises ConfigError where `out`, or what it is a link to, holds anything and does not carry the mark of `made_folder`."""
    given, out = out, out.resolve()
    if out.is_dir() and (out / MARK).exists():
        return
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        first = min((path.name for path in out.iterdir()), default="") if out.is_dir() else "a file"
        raise ConfigError(
            f"--out {given}: holds {first}, and no recipe made this folder; it would be deleted: "
            "move it away, or give another folder"
        )


@contextmanager
def made_folder(out: Path) -> Iterator[Path]:
    """Yield a folder beside `out` to write to; on leaving it is marked and takes the place of `out`, or of what that is a link to.

    If the block raises, it is removed and `out` stays as it was; so it does where the process is killed, and what that leaves
    goes the next time. Raises ConfigError as `check_replaceable` does.
    """
    check_replaceable(out)
    out = out.resolve()
    draft, old = (out.with_name(f".{out.name}.{word}") for word in ("making", "old"))
    for leftover in (draft, old):
        shutil.rmtree(leftover, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        (draft / MARK).write_text("A recipe made this folder, and will delete it to make it again.\n")
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    if out.exists():
        out.rename(old)
    draft.rename(out)
    shutil.rmtree(old, ignore_errors=True)
