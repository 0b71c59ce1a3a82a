"""How long LibriSpeech's LM corpus takes to prepare, and how much memory: one table, by number of sentences.

    python tools/bench_lm_text.py

The corpus is made up: as long as sentences and as common as words are there (20 words in the mean, word frequencies by Zipf's law,
200,000 word types), gzipped, with an empty, an overlong and an unspellable line in a thousand each. `time` and `memory` (largest resident
set) are of `egs/librispeech/local/prepare.py` in a process of its own, reading speech of one utterance a part besides.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from stxlib.config import parse_config
from stxlib.errors import DataError, run

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("train-clean-100", "dev-clean")
WORD_TYPES = 200_000
_BLOCK = 10_000  # lines made at a time


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    lines: tuple[int, ...] = (100_000, 1_000_000)
    "numbers of sentences"
    share: float = 1.0
    "share that is drawn (--text_share)"


def main(argv: Sequence[str] | None = None) -> None:
    description = "Time the preparation of a large text, and measure its memory, on a made-up one."
    config = parse_config(BenchConfig, argv, prog="tools/bench_lm_text.py", description=description).config
    titles = ("sentences", "packed", "written", "left out", "time", "memory", "lines/s")
    print("  ".join(title.rjust(10) for title in titles))
    for count in config.lines:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_speech(folder / "LibriSpeech")
            packed = make_text(folder / "lm.txt.gz", count)
            seconds, memory = prepare(folder, config.share)
            written = count_lines(folder / "data" / "text_only" / "text")
            left_out = count_lines(folder / "data" / "text_only" / "left_out.txt")
        cells = (str(count), f"{packed / 1e6:.0f} MB", str(written), str(left_out), f"{seconds:.1f} s")
        cells += (f"{memory / 1e6:.0f} MB", f"{count / seconds:.0f}")
        print("  ".join(cell.rjust(10) for cell in cells), flush=True)


def make_speech(root: Path) -> None:
    """One utterance in each part."""
    for number, part in enumerate(PARTS, start=1):
        chapter = root / part / str(number) / "1"
        chapter.mkdir(parents=True)
        soundfile.write(chapter / f"{number}-1-0000.flac", np.zeros(16000), 16000)
        (chapter / f"{number}-1.trans.txt").write_text(f"{number}-1-0000 A WORD\n", encoding="utf-8")


def make_text(path: Path, count: int) -> int:
    """Write `count` lines, gzipped; the size of the file in bytes."""
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8", newline="\n") as file:
        for line in sentences(count):
            file.write(line + "\n")
    return path.stat().st_size


def sentences(count: int) -> Iterator[str]:
    draw = np.random.default_rng(1)
    letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    words = ["".join(draw.choice(letters, size)) for size in draw.integers(1, 13, WORD_TYPES)]
    for start in range(0, count, _BLOCK):
        lengths = draw.geometric(1 / 20, min(_BLOCK, count - start))
        ranks = np.minimum(draw.zipf(1.2, int(lengths.sum())) - 1, WORD_TYPES - 1)
        for number, chosen in enumerate(np.split(ranks, np.cumsum(lengths)[:-1]), start=start):
            special = {250: "", 500: "LONG " * 300, 750: "NAÏVE 1984"}.get(number % 1000)
            yield " ".join([words[rank] for rank in chosen.tolist()]) if special is None else special


def prepare(folder: Path, share: float) -> tuple[float, int]:
    """Seconds by the clock and bytes of the largest resident set of the preparation."""
    command = [sys.executable, str(ROOT / "egs" / "librispeech" / "local" / "prepare.py")]
    command += ["--corpus", str(folder / "LibriSpeech"), "--out", str(folder / "data"), "--dev", "dev-clean"]
    command += ["--sets", "dev-clean", "--text", str(folder / "lm.txt.gz"), "--text_share", str(share)]
    start = time.monotonic()
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if status:
        raise DataError(
            f"{' '.join(command)}: ended with status {os.waitstatus_to_exitcode(status)}; see above"
        )
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def count_lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)


if __name__ == "__main__":
    sys.exit(run(main))
