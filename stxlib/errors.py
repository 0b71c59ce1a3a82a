"""Errors that a user can act on, printed as one message and never as a traceback."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence

# What the machine refuses, whatever the code: a full disk, a quota, a folder of someone else, a file where a folder should be.
_REFUSALS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EACCES: "give another folder, or change its permissions",
    errno.EROFS: "give another folder",
    errno.ENOTDIR: "it is a file where a folder is needed: give another path",
    errno.EEXIST: "it is a file where a folder is needed: give another path",
}


class StxError(Exception):
    """Something a user can fix. The message says where, what was seen, and what to do."""


class ConfigError(StxError):
    """An option, a YAML key or an installed package is not what it has to be."""


class DataError(StxError):
    """A data directory, an audio file or a saved network is not what it has to be."""


def run(main: Callable[[Sequence[str] | None], None]) -> int:
    """Run a command's `main` and return its exit status: 0, 2 for a `StxError` or what the machine refuses, 130 for Ctrl-C.

    Only these are turned into a message; a defect of ours keeps its traceback.
    """
    try:
        main(None)
        sys.stdout.flush()
    except StxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # `command | head`: the reader has gone, and the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        where = f"{error.filename}: " if error.filename is not None else ""
        print(f"error: {where}{error.strerror}; {_REFUSALS[error.errno]}", file=sys.stderr)
        return 2
    return 0
