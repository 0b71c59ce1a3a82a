"""Sorted text tables, `<id> <value>` a line: the one format of a data directory.

UTF-8; lines end with a line feed and nothing else does (U+2028 or U+0085 inside a value is text); only ASCII blanks
separate the id from its value; ids are sorted by their bytes, as `LC_ALL=C sort` does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from stxlib.errors import DataError

_BLANKS = " \t\r\n\x0b\x0c"
_FIX = "run utils/validate_data_dir.py {folder} --fix"


class Problem(NamedTuple):
    """One thing that is wrong at one place; `str(problem)` is the message."""

    path: Path
    line: int  # 1-based; 0: the file as a whole
    id: str  # utterance, recording or speaker; empty where a line has none
    kind: str  # "unsorted", "duplicate", "missing audio", ...
    seen: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{place}: {self.seen}; {self.remedy}"


def read_table(path: Path | str, *, allow_empty: bool = False) -> dict[str, str]:
    """Read a table into a dictionary in the order of the file, which is that of the ids' bytes.

    allow_empty: a line may hold an id alone; its value is then the empty string.
    Raises `DataError` naming path, line and id at the first thing that is wrong.
    """

    def stop(problem: Problem) -> NoReturn:
        raise DataError(str(problem))

    return parse_table(Path(path), stop, allow_empty=allow_empty)[0]


def parse_table(
    path: Path, complain: Callable[[Problem], None], *, allow_empty: bool = False
) -> tuple[dict[str, str], dict[str, int]]:
    """Read a table, telling `complain` of each problem and going on: (values, line numbers), by id.

    A line that cannot be used is left out; of lines with one id the first is kept; the order is that of the file.
    """
    fix = _FIX.format(folder=path.parent)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; check the path and its permissions") from None
    if lines[-1] == b"":
        lines.pop()
    values: dict[str, str] = {}
    numbers: dict[str, int] = {}
    previous = b""
    for number, line in enumerate(lines, start=1):
        fields = line.split(None, 1)
        if not fields:
            complain(Problem(path, number, "", "empty line", "the line is empty", f"delete it, or {fix}"))
            continue
        raw = fields[0]
        try:
            utt = raw.decode()
            value = fields[1].rstrip().decode() if len(fields) == 2 else ""
        except UnicodeDecodeError as error:
            name = raw.decode(errors="backslashreplace")
            seen = f"the line of {name!r} is not UTF-8 ({error.reason} {error.object[error.start]:#04x})"
            complain(Problem(path, number, name, "not UTF-8", seen, "convert the file to UTF-8 (iconv)"))
            continue
        if number == 1 and raw.startswith(b"\xef\xbb\xbf"):
            seen = "the file begins with a byte order mark, which would become part of the first id"
            complain(Problem(path, 1, utt, "byte order mark", seen, f"save it as plain UTF-8, or {fix}"))
            raw, utt = raw[3:], utt[1:]
        if utt in values:
            seen = f"id {utt!r} is here a second time (first on line {numbers[utt]})"
            complain(Problem(path, number, utt, "duplicate", seen, f"delete one of the two, or {fix}"))
            continue
        if not value and not allow_empty:
            seen = f"id {utt!r} has no value"
            complain(Problem(path, number, utt, "no value", seen, f"write one after the id, or {fix}"))
            continue
        if raw < previous:
            seen = f"id {utt!r} comes after {previous.decode(errors='replace')!r}: unsorted"
            complain(Problem(path, number, utt, "unsorted", seen, f"sort with LC_ALL=C sort, or {fix}"))
        else:
            previous = raw
        values[utt] = value
        numbers[utt] = number
    return values, numbers


def sort_ids(ids: Iterable[str]) -> list[str]:
    """The ids in the order of tables: by their UTF-8 bytes (Python orders code points alike, but we say which)."""
    return sorted(ids, key=str.encode)


def write_table(path: Path | str, values: Mapping[str, str]) -> None:
    """Write a table sorted by id, under a temporary name that is then renamed: it is there whole or not at all.

    Raises `DataError` for an id or a value that would not be read back the same: ids are not empty and hold no ASCII
    blank, values hold no line feed and neither begin nor end with an ASCII blank. An empty value is written as is.
    """
    path = Path(path)
    lines = []
    for utt in sort_ids(values):
        value = values[utt]
        if not utt or any(blank in utt for blank in _BLANKS) or utt.startswith("\ufeff"):
            raise DataError(f"{path}: id {utt!r} cannot be written; ids are not empty and hold no blank")
        if "\n" in value or value.strip(_BLANKS) != value:
            seen = f"{path}: the value {value!r} of {utt!r} holds a line break, or a blank at an end"
            raise DataError(f"{seen}; strip it first")
        lines.append(f"{utt} {value}\n" if value else f"{utt}\n")
    try:
        content = "".join(lines).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: a value is not valid Unicode ({error}); repair it first") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def line_of(path: Path, utt: str) -> int:
    """The line number of an id, for a message; 0 where it is not in the file."""
    raw = utt.encode()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.split(None, 1)[:1] == [raw]:
                return number
    return 0
