"""Paired tests between rows of the table (docs/lasyn.md), of the predictions that the record keeps.

    python compare_rows.py --results results --data data
    python -m stxlib.bin.report --table results --out RESULTS.md

The first writes results/paired/<row>-<row>.<set>.<figure>.json, one for each pair of rows, set and figure, over all seeds that both rows
have, by `stxlib.bin.compare`, in place of all older ones when it is done; the second makes a section of RESULTS.md of them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from stxlib.bin.compare import main as compare
from stxlib.errors import DataError, run

# Row of the table -> name of its runs, and how they are decoded.
ROWS = {
    "a": ("asr.long.multi", "joint"),
    "b": ("asr.long.multi", "lm"),
    "prototype": ("lasyn.multi", "joint"),
    "prototype_lm": ("lasyn.multi", "lm"),
    "prototype_part": ("lasyn.short.multi.text_part", "joint"),
    "diffusion": ("lasyn.diffusion.multi.text_part", "joint"),
    "ctc": ("lasyn.ctc.multi", "joint"),
    "random": ("lasyn.random.multi", "joint"),
    "tts": ("tts.short.multi.text_part", "joint"),
}
PAIRS = (
    ("a", "prototype"),
    ("b", "prototype"),
    ("a", "prototype_lm"),
    ("b", "prototype_lm"),
    ("a", "prototype_part"),
    ("a", "diffusion"),
    ("prototype_part", "diffusion"),
    ("prototype_part", "tts"),
    ("ctc", "prototype"),
    ("random", "prototype"),
)
SETS = ("dev", "test", "test_rare")
FIGURES = (("wer", "wer"), ("wer", "rare_word_miss"), ("ic", "intent_accuracy"), ("slurp", "slu_f1"))


def main(argv: Sequence[str] | None = None) -> None:
    """Compare what is there; say what is not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="folder of the record")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data directories")
    options = parser.parse_args(argv)
    recorded: Path = options.results / "predictions"
    for needed in (recorded, options.data / "train/text", *(options.data / name / "text" for name in SETS)):
        if not needed.exists():
            raise DataError(
                f"{needed}: not there; give the folder of the record to --results, that of the data to --data"
            )
    paired, new = options.results / "paired", options.results / "paired.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for baseline, system in PAIRS:
        for name in SETS:
            before, after = (predictions(recorded, row, name) for row in (baseline, system))
            seeds = sorted(before.keys() & after.keys())
            if not seeds:
                print(f"{baseline} and {system} on {name}: no seed that both rows have; not compared")
                continue
            for metric, figure in FIGURES:
                print(f"== {baseline} and {system} on {name}: {figure}")
                train_text = ["--train_text", options.data / "train/text"] if metric == "wer" else []
                command = [
                    *("--ref", options.data / name, "--metric", metric, "--figure", figure, *train_text),
                    *("--baseline", *(before[seed] for seed in seeds)),
                    *("--system", *(after[seed] for seed in seeds)),
                    *("--out", new / f"{baseline}-{system}.{name}.{figure}.json"),
                ]
                compare([str(word) for word in command])
    shutil.rmtree(paired, ignore_errors=True)
    new.rename(paired)


def predictions(folder: Path, row: str, name: str) -> dict[str, Path]:
    """seed -> folder of what the runs of a row predicted for the set `name`."""
    run_name, how = ROWS[row]
    found = sorted(folder.glob(f"{run_name}_seed*/{how}_{name}"))
    return {path.parent.name.rpartition("_seed")[2]: path for path in found}


if __name__ == "__main__":
    sys.exit(run(main))
