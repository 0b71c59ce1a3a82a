"""Large files over HTTP: resumed where they broke off, checked against the publisher's checksums, there whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from stxlib.atomic import make_folder
from stxlib.errors import DataError

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 60
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")
_BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)

MD5_CHECKED = "md5 as published"
LENGTH_CHECKED = "as long as the server says, without a published md5"
NOT_CHECKED = "not checked: neither a published md5 nor a length to compare with"
_GZIP = b"\x1f\x8b"

Progress = Callable[[int, int], None]
"""told of (bytes that are there, bytes in all; 0 where the server does not say)"""


class _Changed(Exception):
    """What was fetched earlier is of another version of the file."""


def fetch(
    url: str,
    path: Path,
    *,
    md5: str = "",
    attempts: int = 5,
    pause_seconds: float = 5.0,
    progress: Progress = lambda done, total: None,
) -> str:
    """Fetch `url` to `path`, going on with `<path>.part` where one is left from before. Returns how far the file was checked.

    md5: of the publisher; where it is empty, the length that the server gives is all that is checked, of a file that is there already
    nothing, and of *.gz and *.tgz that they begin as such.
    attempts: connections in a row that may bring nothing before it is given up.
    Raises DataError where the server refuses, the connection keeps breaking off (what came stays), or the file is not what it should be
    (what came is removed then, and a file that was there before stays).
    """
    if path.exists():
        if problem := _problem(path, path.name, md5):
            raise DataError(f"{path}: {problem}; delete it, and run it again")
        return MD5_CHECKED if md5 else NOT_CHECKED
    make_folder(path.parent)
    part, tag = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
    failures = 0
    while True:
        before = _size(part)
        try:
            total = _fetch_rest(url, part, tag, progress)
        except urllib.error.HTTPError as error:
            cause = f"the server says {error.code} {error.reason}"
            if error.code < 500 and error.code != 429:  # others say "later"
                raise DataError(f"{url}: {cause}; check the address, or name a mirror") from None
            total = -1
        except _Changed:
            part.unlink(missing_ok=True)
            tag.unlink(missing_ok=True)
            total, cause = -1, "the server gives other bytes than those asked for"
        except _BROKEN as error:
            total, cause = -1, str(getattr(error, "reason", error)) or type(error).__name__
        if total in (0, _size(part)):
            break
        if total > 0:
            cause = f"the connection broke off at {_size(part)} of {total} bytes"
        failures = 0 if _size(part) > before else failures + 1
        if failures >= attempts:
            raise DataError(f"{url}: {cause}; run it again to go on ({_size(part)} bytes are there)")
        time.sleep(pause_seconds)
    tag.unlink(missing_ok=True)
    if problem := _problem(part, path.name, md5):
        part.unlink()
        raise DataError(f"{url}: {problem}; what came is removed: run it again, or name a mirror")
    part.rename(path)
    return MD5_CHECKED if md5 else LENGTH_CHECKED if total else NOT_CHECKED


def read_url(url: str) -> str:
    """A small text. Raises DataError where it cannot be had."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
            text: str = response.read().decode("utf-8")
            return text
    except urllib.error.HTTPError as error:
        raise DataError(
            f"{url}: the server says {error.code} {error.reason}; check the address, or name a mirror"
        ) from None
    except (*_BROKEN, UnicodeDecodeError) as error:
        raise DataError(
            f"{url}: {getattr(error, 'reason', error)}; check the connection and run it again"
        ) from None


def read_md5sums(text: str, url: str) -> dict[str, str]:
    """file -> md5 of an md5sum.txt: `<32 digits>  <file>`, or ` *<file>`. Raises DataError for a line of another form."""
    sums = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        found = re.fullmatch(r"([0-9a-fA-F]{32})\s+\*?(\S+)\s*", line)
        if found is None:
            raise DataError(
                f"{url}:{number}: {line[:80]!r} is no md5 and file name; a page in place of the list: name a mirror"
            )
        sums[found[2].rpartition("/")[2]] = found[1].lower()
    return sums


def _problem(path: Path, name: str, md5: str) -> str:
    """What tells that a file is not the published one, which has this name; empty where nothing does."""
    if md5 and (found := md5_of(path)) != md5.lower():
        return f"its md5 is {found}, and the publisher says {md5.lower()}"
    with path.open("rb") as file:
        start = file.read(40)
    if name.endswith((".gz", ".tgz")) and start[:2] != _GZIP:
        return f"it begins with {start!r}, as no gzip file does: a page in its place, or another file"
    return ""


def md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _fetch_rest(url: str, part: Path, tag: Path, progress: Progress) -> int:
    """Append what is missing; the length of the whole file, 0 where the server does not say it. Raises what urllib raises, and _Changed."""
    start = _size(part)
    request = urllib.request.Request(url, headers={"User-Agent": "stxlib", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        if version := _read_version(tag):
            request.add_header("If-Range", version)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        # 416: there is nothing after what we have, because we have it all, or because it is of another file.
        found = _RANGE.fullmatch(error.headers.get("Content-Range", "")) if error.code == 416 else None
        if found is not None and int(found[2]) == start:
            return start
        if error.code == 416:
            raise _Changed from None
        raise
    with response:
        mode, total = "wb", int(response.headers.get("Content-Length") or 0)
        if response.status == 206:
            found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if found is None or int(found[1] or -1) != start:
                raise _Changed
            mode, total = "ab", int(found[2])
        else:
            start = 0
            _write_version(tag, response.headers)
        with part.open(mode) as file:
            try:
                while chunk := response.read(_CHUNK):
                    file.write(chunk)
                    start += len(chunk)
                    progress(start, total)
            except http.client.IncompleteRead as error:
                file.write(error.partial)
                if not total:  # else the size tells
                    raise ConnectionError("the connection broke off") from None
    return total


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read_version(tag: Path) -> str:
    try:
        version = json.loads(tag.read_text(encoding="utf-8"))["version"]
        return version if isinstance(version, str) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _write_version(tag: Path, headers: http.client.HTTPMessage) -> None:
    """Keep what tells this version of the file from a later one. A weak tag does not: a server must not resume by it (RFC 9110, 13.1.5)."""
    version = headers.get("ETag") or ""
    if not version or version.startswith("W/"):
        version = headers.get("Last-Modified") or ""
    tag.write_text(json.dumps({"version": version}), encoding="utf-8")
