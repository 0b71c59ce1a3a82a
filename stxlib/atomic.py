"""Files that are either whole or absent, whatever kills the process or the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stxlib.errors import ConfigError, DataError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; on leaving, it is synced to the disk and renamed to `path`.

    If the block raises, the temporary file is removed and `path` stays as it was. DataError where it cannot be written.
    """
    make_folder(path.parent)
    temporary = path.with_name(path.name + ".tmp")
    try:
        try:
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Make a folder to write into, with those above it. DataError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def check_own_folder(out: Path, inputs: Mapping[str, Path]) -> None:
    """ConfigError where `out` is one of the folders that are read, whose files would be written over. inputs: option -> folder."""
    for option, folder in inputs.items():
        if out.resolve() == folder.resolve():
            raise ConfigError(
                f"--out {out}: is {option} as well, and would be written over; give a folder of its own"
            )


def sync(path: Path) -> None:
    """Wait until a file's contents, or a folder's list of names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(path: Path, error: OSError) -> DataError:
    reason = error.strerror or str(error)
    return DataError(
        f"{path}: cannot be written ({reason}); name another place, or make room or rights for it"
    )
