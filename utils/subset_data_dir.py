#!/usr/bin/env python3
"""Write a part of a data directory: so many utterances, hours or speakers, or the ids of a list. Audio is not copied."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import in_environment  # noqa: F401, before what it makes sure of

from stxlib.data.data_dir import DataDir
from stxlib.data.derive import choose, subset
from stxlib.errors import ConfigError, DataError, run


def main(argv: Sequence[str] | None = None) -> None:
    """Choose utterances and write their tables."""
    parser = argparse.ArgumentParser(prog="utils/subset_data_dir.py", description=__doc__)
    parser.add_argument("src", type=Path, help="data directory to read")
    parser.add_argument("dst", type=Path, help="data directory to write")
    parser.add_argument("--utts", type=int, help="number of utterances")
    parser.add_argument("--hours", type=float, help="hours of audio, at most")
    parser.add_argument(
        "--speakers", type=int, help="number of speakers; all their utterances, unless limited as well"
    )
    parser.add_argument(
        "--list", type=Path, nargs="+", help="files with one utterance id at the beginning of each line"
    )
    parser.add_argument("--seed", type=int, default=1, help="the draw is a function of it (default 1)")
    options = parser.parse_args(argv)

    data = DataDir(options.src)
    drawn = (options.utts, options.hours, options.speakers)
    if (options.list is None) == all(limit is None for limit in drawn):
        raise ConfigError(
            "utils/subset_data_dir.py: give --list, or at least one of --utts, --hours and --speakers"
        )
    if options.list is not None:
        utts = [utt for path in options.list for utt in read_ids(path)]
    else:
        utts = choose(
            data,
            num_utts=options.utts,
            hours=options.hours,
            num_speakers=options.speakers,
            seed=options.seed,
        )
    print(subset(data, options.dst, utts).summary())


def read_ids(path: Path) -> list[str]:
    """The first word of each line. Raises DataError where the file cannot be read."""
    try:
        lines = path.read_bytes().decode().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}; give a UTF-8 file of utterance ids") from None
    return [line.split()[0] for line in lines if line.strip()]


if __name__ == "__main__":
    sys.exit(run(main))
