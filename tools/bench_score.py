"""How long the SLURP score takes: one table, by number of predictions.

    python tools/bench_score.py

The files are made up: sentences with two to eleven recordings each, as SLURP has them (13,078 recordings of 2,974 sentences
in its test set), its numbers of scenarios (18), actions (46), intents and entity types, and predictions of which a good part is
wrong, some with intents that no reference has. `read and
match` is the metric without intervals, `intervals` the resampling of all its figures (42: seven, as F1, precision and recall, micro and macro),
`whole command` stxlib.bin.score in this process, with the files that it writes, by the clock and in seconds of a processor (the
second says more where other things run).
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stxlib.bin.score import main as score
from stxlib.config import parse_config
from stxlib.errors import run
from stxlib.score.metric import Inputs
from stxlib.score.score_json import score_entry
from stxlib.score.slurp import score_slurp

SENTENCES = 2974
INTENTS, TYPES = 60, 55


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    predictions: tuple[int, ...] = (1308, 13078)
    "numbers of recordings"
    draws: int = 1000
    "resampled sets"
    runs: int = 3
    "of which the median is shown"


def main(argv: Sequence[str] | None = None) -> None:
    description = "Time the SLURP score with its bootstrap intervals, on made-up files."
    config = parse_config(BenchConfig, argv, prog="tools/bench_score.py", description=description).config
    titles = ("predictions", "sentences", "draws", "read and match", "intervals", "whole command", "its CPU")
    print("  ".join(titles))
    for size in config.predictions:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            sentences = make_files(folder, size)
            inputs = Inputs(ref=folder / "gold.jsonl", hyp=folder / "predictions.jsonl")
            reading, _ = seconds(partial(score_slurp, inputs), config.runs)
            drawing, _ = seconds(
                partial(score_entry, score_slurp(inputs), inputs, draws=config.draws, seed=1), config.runs
            )
            whole, processor = seconds(partial(command, folder, config.draws), config.runs)
        cells = [str(number) for number in (size, sentences, config.draws)]
        cells += [f"{value:.2f} s" for value in (reading, drawing, whole, processor)]
        print("  ".join(cell.rjust(len(title)) for cell, title in zip(cells, titles, strict=True)))


def make_files(folder: Path, size: int) -> int:
    """Write gold.jsonl and predictions.jsonl with `size` recordings; the number of sentences."""
    draw = random.Random(1)
    words = [f"word{i}" for i in range(2000)]
    num_sentences = max(1, SENTENCES * size // 13078)
    recordings = [1] * num_sentences
    for _ in range(size - num_sentences):
        recordings[draw.randrange(num_sentences)] += 1
    gold: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for sentence, count in enumerate(recordings):
        tokens = [draw.choice(words) for _ in range(draw.randint(3, 12))]
        places = sorted(draw.sample(range(len(tokens)), draw.randint(0, min(3, len(tokens)))))
        entities: list[dict[str, Any]] = [
            {"type": f"type{draw.randrange(TYPES)}", "span": [place]} for place in places
        ]
        scenario, action = make_intent(draw)
        files = [f"audio-{sentence}-{i}.flac" for i in range(count)]
        gold.append(
            {
                "slurp_id": sentence,
                "sentence": " ".join(tokens),
                "scenario": f"scenario{scenario}",
                "action": f"action{action}",
                "intent": f"scenario{scenario}_action{action}",
                "tokens": [{"surface": word, "id": i} for i, word in enumerate(tokens)],
                "recordings": [{"file": file} for file in files],
                "entities": entities,
            }
        )
        for file in files:
            heard = [
                {
                    "type": f"type{draw.randrange(TYPES)}" if draw.random() < 0.15 else entity["type"],
                    "filler": f"{draw.choice(words)} {draw.choice(words)}"
                    if draw.random() < 0.3
                    else " ".join(tokens[place] for place in entity["span"]),
                }
                for entity in entities
                if draw.random() > 0.1
            ]
            other, other_action = make_intent(draw) if draw.random() < 0.2 else (scenario, action)
            if draw.random() < 0.02:
                other_action = make_intent(draw)[1]
            predictions.append(
                {
                    "file": file,
                    "scenario": f"scenario{other}",
                    "action": f"action{other_action}",
                    "entities": heard,
                }
            )
    for name, records in (("gold", gold), ("predictions", predictions)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return num_sentences


def make_intent(draw: random.Random) -> tuple[int, int]:
    """Scenario and action of one of the intents."""
    intent = draw.randrange(INTENTS)
    return intent % 18, intent % 46


def command(folder: Path, draws: int) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        score(
            [
                *("--metric", "slurp", "--draws", str(draws), "--out", str(folder / "scores")),
                *("--ref", str(folder / "gold.jsonl"), "--hyp", str(folder / "predictions.jsonl")),
            ]
        )


def seconds(call: Callable[[], object], runs: int) -> tuple[float, float]:
    """The median time of a call, by the clock and of the processor."""
    times, processor = [], []
    for _ in range(runs):
        start, worked = time.perf_counter(), time.process_time()
        call()
        times.append(time.perf_counter() - start)
        processor.append(time.process_time() - worked)
    return statistics.median(times), statistics.median(processor)


if __name__ == "__main__":
    sys.exit(run(main))
