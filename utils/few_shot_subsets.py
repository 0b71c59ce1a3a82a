#!/usr/bin/env python3
"""Write small parts of a training set: 10 minutes, 1, 2 and 3 hours, each within the next. Audio is not copied.

utils/few_shot_subsets.py data/train data writes data/train_10min_seed1, data/train_1h_seed1, ..., each with its list of ids (ids.txt,
which utils/subset_data_dir.py --list takes). The parts are a function of seed and ids alone, the same on every machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import in_environment  # noqa: F401, before what it makes sure of

from stxlib.data.data_dir import DataDir
from stxlib.data.derive import subset
from stxlib.data.few_shot import class_counts, draw_few
from stxlib.data.made_folder import check_replaceable, made_folder
from stxlib.errors import run

IDS = "ids.txt"


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, write, and print what each part has."""
    parser = argparse.ArgumentParser(
        prog="utils/few_shot_subsets.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("src", type=Path, help="data directory to draw from")
    parser.add_argument("out", type=Path, help="folder that gets <name of src>_<amount>_seed<seed>")
    parser.add_argument(
        "--amounts", nargs="+", default=["10min", "1h", "2h", "3h"], help="(default 10min 1h 2h 3h)"
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed draws another part (default 1)")
    parser.add_argument(
        "--by", help="stream of classes to balance, none to draw freely (default: sentiment where it is)"
    )
    parser.add_argument(
        "--balance",
        choices=("shares", "equal"),
        default="shares",
        help="shares (default): classes keep their shares of the set\nequal: as many utterances of each, while there are any",
    )
    options = parser.parse_args(argv)

    data = DataDir(options.src)
    by = options.by if options.by is not None else "sentiment" if data.has("sentiment") else "none"
    by = "" if by == "none" else by
    parts = draw_few(data, options.amounts, seed=options.seed, by=by, balance=options.balance)
    folders = {
        amount: options.out / f"{options.src.resolve().name}_{amount}_seed{options.seed}" for amount in parts
    }
    for folder in folders.values():
        check_replaceable(folder)
    for amount, utts in parts.items():
        with made_folder(folders[amount]) as draft:
            summary = str(subset(data, draft, utts).summary()).replace(str(draft), str(folders[amount]))
            (draft / IDS).write_text("".join(f"{utt}\n" for utt in utts), encoding="utf-8")
        print(summary)
        if by:
            print(f"  {by}: {class_counts(utts, data.table(by))}")


if __name__ == "__main__":
    sys.exit(run(main))
