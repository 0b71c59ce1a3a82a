#!/usr/bin/env python3
"""Check data directories: every problem with file, line, id and remedy; `--fix` repairs them and lists what it drops.

Ends with status 0 where all is well (also after a repair), 1 where problems are left, 2 where a folder is none.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import in_environment  # noqa: F401, before what it makes sure of

from stxlib.data.data_dir import DataDir
from stxlib.data.repair import fix_data_dir
from stxlib.data.tables import Problem
from stxlib.data.validate import check_data_dir
from stxlib.errors import run


def _truth(word: str) -> bool:
    if word.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{word!r}; give true or false")
    return word.lower() == "true"


def _print_problems(problems: Sequence[Problem], max_lines: int) -> None:
    counts = Counter(problem.kind for problem in problems)
    printed: Counter[str] = Counter()
    for problem in problems:
        printed[problem.kind] += 1
        if printed[problem.kind] <= max_lines:
            print(problem)
    for kind, count in counts.items():
        if count > max_lines:
            print(f"{kind}: {count - max_lines} more ({count} in all; --max_lines {count} shows them)")


def main(argv: Sequence[str] | None = None) -> None:
    """Check (and fix) the data directories of the command line."""
    parser = argparse.ArgumentParser(prog="utils/validate_data_dir.py", description=__doc__)
    parser.add_argument("data_dirs", nargs="+", type=Path, metavar="DIR", help="data directories")
    flag: dict[str, Any] = {
        "nargs": "?",
        "const": True,
        "default": False,
        "type": _truth,
        "metavar": "true|false",
    }
    parser.add_argument("--fix", **flag, help="drop, sort and correct; old tables go to DIR/.backup/")
    parser.add_argument("--sample_rate", type=int, help="rate in Hz that all audio must have (default: any)")
    parser.add_argument(
        "--audio",
        choices=("none", "headers", "samples"),
        default="samples",
        help="how much of the audio is looked at (default: samples, all of it)",
    )
    parser.add_argument("--allow_pipes", **flag, help="run the commands of wav.scp")
    parser.add_argument(
        "--max_lines", type=int, default=20, help="problems of one kind that are printed (default 20)"
    )
    options = parser.parse_args(argv)

    left = 0
    for path in options.data_dirs:
        how: dict[str, Any] = {
            "sample_rate": options.sample_rate,
            "audio": options.audio,
            "allow_pipes": options.allow_pipes,
        }
        if options.fix:
            done, checked = fix_data_dir(path, **how)
            for line in done:
                print(line)
        else:
            checked = check_data_dir(path, **how)
        _print_problems(checked.problems, options.max_lines)
        left += len(checked.problems)
        if checked.problems:
            print(f"{path}: {len(checked.problems)} problems")
        else:
            print(DataDir(path).summary(allow_pipes=options.allow_pipes))
    if left:
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(run(main))
