#!/usr/bin/env python3
"""Fetch a corpus by its name, as far as its terms allow; for others, print where it is had.

    utils/download.py                                       what there is
    utils/download.py librispeech --out ~/corpora
    utils/download.py librispeech --out ~/corpora --files dev-clean test-clean
    utils/download.py librispeech_lm --out ~/corpora

A download that breaks off goes on where it was. Checksums are those that the publisher has beside the files; without them only lengths are
checked, and what gzip knows of packed files when they are unpacked or read. Archives are unpacked, and stay: delete them when you like.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import sys
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import in_environment  # noqa: F401, before what it makes sure of
from tqdm import tqdm

from stxlib.atomic import make_folder
from stxlib.data.corpus_source import SOURCES, Asked, Fetched
from stxlib.data.fetch import fetch, read_md5sums, read_url
from stxlib.errors import ConfigError, DataError, run

_CHUNK = 1 << 20


def main(argv: Sequence[str] | None = None) -> None:
    """Fetch, check and unpack."""
    parser = argparse.ArgumentParser(
        prog="utils/download.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="?", help=" ".join(SOURCES))
    parser.add_argument("--out", type=Path, help="folder to write to")
    parser.add_argument("--files", nargs="+", default=[], help="some of its files; .tar.gz may be left out")
    parser.add_argument(
        "--address", default="", help="another folder of the same files and checksums: a mirror"
    )
    parser.add_argument("--unpack", choices=("true", "false"), default="true", help="(default true)")
    options = parser.parse_args(argv)

    if options.corpus is None:
        print("\n".join(describe(name) for name in SOURCES))
        return
    source = SOURCES.get(options.corpus)
    if source is None:
        raise ConfigError(f"{options.corpus}: no such corpus is known here; choose from {' '.join(SOURCES)}")
    if isinstance(source, Asked):
        raise ConfigError(
            f"{options.corpus} is not fetched: {source.why} ({source.licence}); get it from {source.where}"
        )
    if options.out is None:
        raise ConfigError(f"{options.corpus}: needs a folder to write to; give --out DIR")
    files = choose_files(options.corpus, source, options.files)
    address = (options.address or source.address).rstrip("/")
    if not address.startswith(("https://", "http://")):
        raise ConfigError(f"--address {address}: is no address of the web; give one as {source.address}")
    print(f"{options.corpus}: {source.licence}", flush=True)
    sums = read_checksums(source, address)
    for file in files:
        get(source, address, file, options.out, sums, unpacked=options.unpack == "true")


def describe(name: str) -> str:
    """A line on a corpus."""
    source = SOURCES[name]
    if isinstance(source, Asked):
        return f"{name}: {source.licence}; not fetched: {source.why}; {source.where}"
    return f"{name}: {source.licence}; {' '.join(source.files)}"


def choose_files(name: str, source: Fetched, wanted: Sequence[str]) -> list[str]:
    """The files to fetch. Raises ConfigError for one that the corpus does not have."""
    known = {file.removesuffix(".tar.gz"): file for file in source.files} | {
        file: file for file in source.files
    }
    for file in wanted:
        if file not in known:
            raise ConfigError(
                f"--files {file}: {name} has no such file; choose from {' '.join(source.files)}"
            )
    return [known[file] for file in wanted] or list(source.default)


def read_checksums(source: Fetched, address: str) -> dict[str, str]:
    """file -> md5, fetched from beside the files; empty, which is said, where the publisher has none."""
    if not source.checksums:
        print(
            f"{address}: the publisher has no checksums: only lengths are checked, and gzip's own sums when files are unpacked or read",
            flush=True,
        )
        return {}
    url = f"{address}/{source.checksums}"
    return read_md5sums(read_url(url), url)


def get(source: Fetched, address: str, file: str, out: Path, sums: dict[str, str], *, unpacked: bool) -> None:
    """Fetch and unpack one file, as far as that is not done."""
    if source.checksums and file not in sums:
        raise DataError(f"{address}/{source.checksums}: has no line for {file}; name a mirror")
    done = out / f".{file}.unpacked"
    archive = file.endswith((".tar.gz", ".tgz")) and unpacked
    if archive and done.exists():
        if (out / done.read_text(encoding="utf-8").strip()).exists():
            print(f"{file}: is unpacked in {out} already; to have it unpacked again, delete {done}")
            return
        print(f"{file}: was unpacked in {out}, and is not there any more", flush=True)
    path = out / file
    there = ", there already" if path.exists() else ""
    with tqdm(desc=file, unit="B", unit_scale=True, disable=None) as bar:

        def show(fetched: int, total: int) -> None:
            bar.total = total or None
            bar.update(fetched - bar.n)

        checked = fetch(f"{address}/{file}", path, md5=sums.get(file, ""), progress=show)
    print(f"{path}: {path.stat().st_size} bytes{there}, {checked}", flush=True)
    if archive:
        last = unpack(path, out)
        done.write_text(f"{last}\n", encoding="utf-8")
        print(f"{path}: unpacked to {out}", flush=True)


def unpack(archive: Path, out: Path) -> str:
    """Unpack into a folder beside, and then move each file into its place; returns the last of them, as seen from `out`.

    Nothing is moved before all of the archive was read and gzip's own checksum of it is right: tarfile takes a damaged header for the
    end. Raises DataError for an archive that is damaged, or that would write elsewhere.
    """
    draft = out / f".{archive.name}.unpacking"
    shutil.rmtree(draft, ignore_errors=True)
    make_folder(draft)
    try:
        with gzip.open(archive) as packed:
            with tarfile.open(fileobj=packed, mode="r|") as tar:
                tar.extractall(draft, filter="data")
            while packed.read(_CHUNK):
                pass
        files = sorted(path.relative_to(draft) for path in draft.rglob("*") if not path.is_dir())
        if not files:
            raise DataError(f"{archive}: holds no file; delete it, and run it again")
        for file in files:
            make_folder((out / file).parent)
            (draft / file).replace(out / file)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{archive}: cannot be unpacked: {error}; delete it, and run it again") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return str(files[-1])


if __name__ == "__main__":
    sys.exit(run(main))
