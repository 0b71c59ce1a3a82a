"""How a command ends."""

from __future__ import annotations

import errno
from collections.abc import Sequence

import pytest

from stxlib.errors import ConfigError, DataError, run


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ConfigError("a: b; do c"), 2, "error: a: b; do c\n"),
        (DataError("a:3: b; do c"), 2, "error: a:3: b; do c\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            2,
            "error: No space left on device; free some space\n",
        ),
        (
            NotADirectoryError(errno.ENOTDIR, "Not a directory", "/x/a.txt"),
            2,
            "error: /x/a.txt: Not a directory; it is a file where a folder is needed: give another path\n",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x/y"),
            2,
            "error: /x/y: Permission denied; give another folder, or change its permissions\n",
        ),
    ],
)
def test_what_a_user_can_fix_is_one_message(
    error: BaseException, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(argv: Sequence[str] | None) -> None:
        raise error

    assert run(main) == status
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("error", [ValueError("ours"), FileNotFoundError(errno.ENOENT, "No such file", "x")])
def test_a_defect_of_ours_keeps_its_traceback(error: Exception) -> None:
    def main(argv: Sequence[str] | None) -> None:
        raise error

    with pytest.raises(type(error)):
        run(main)
