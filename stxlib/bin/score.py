"""Score predictions against references: stage 7 of every recipe.

    python -m stxlib.bin.score --metric wer --ref data/test --hyp exp/asr/seed1/train/decode_joint_test \
        --out exp/asr/seed1/train/decode_joint_test --train_text data/train/text

A prediction that is missing, given twice, or of an utterance that the reference does not have is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stxlib.atomic import write_text
from stxlib.config import parse_config
from stxlib.errors import ConfigError, run
from stxlib.score.inputs import list_ids
from stxlib.score.metric import Inputs
from stxlib.score.metrics import METRICS, Metric
from stxlib.score.score_json import Entry, score_entry, write_scores
from stxlib.score.table import percentage, span, text_table, title


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    ref: Path
    "data directory of the references (or one table of it)"
    hyp: Path
    "directory that holds the predictions, as stxlib.bin.decode writes it (or one table)"
    out: Path
    "directory for score.json, result.txt and the alignments; usually that of --hyp"
    metric: tuple[Metric, ...] = ("wer",)
    "what to compute; several may be given"
    train_text: Path | None = None
    "`text` of the training set: reference words that it does not have are reported as rare words"
    allow_missing: bool = False
    "count an utterance without a prediction as an empty prediction in place of stopping"
    draws: int = 1000
    "resampled sets for the 95 % intervals"
    seed: int = 1
    "seed of the resampling"

    def __post_init__(self) -> None:
        if not self.metric:
            raise ConfigError(f"--metric: nothing to compute; give some of {', '.join(METRICS)}")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: give 0 or more")
        if self.draws < 100:
            raise ConfigError(f"--draws {self.draws}: too few for a 95 % interval; give 100 or more")


def main(argv: Sequence[str] | None = None) -> None:
    description = "Score predictions against references, with 95 % bootstrap intervals."
    config = parse_config(ScoreConfig, argv, prog="stxlib.bin.score", description=description).config
    inputs = Inputs(
        ref=config.ref,
        hyp=config.hyp,
        train_text=config.train_text,
        allow_missing=config.allow_missing,
    )
    entries: dict[str, Entry] = {}
    for metric in config.metric:
        scored = METRICS[metric](inputs)
        for name, text in scored.files.items():
            write_text(config.out / name, text)
        entries[metric] = score_entry(scored, inputs, draws=config.draws, seed=config.seed)
    path = write_scores(config.out, entries)
    for entry in entries.values():
        print(format_entry(entry), end="")
    print(f"written: {path}")


def format_entry(entry: Entry) -> str:
    """One metric of score.json for a terminal."""
    over = entry["interval"]
    counts = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in entry["counts"].items())
    lines = [f"{entry['hyp']} against {entry['ref']}: {counts}"]
    lines += [f"note: {note}" for note in entry["notes"]]
    if entry["missing"]:
        missing = entry["missing"]
        lines.append(f"note: {len(missing)} missing predictions counted as empty: {list_ids(missing)}")
    rows = [
        [title(name), percentage(figure["value"]), span(figure)] for name, figure in entry["figures"].items()
    ]
    interval = f"95 % over {over['groups']} {over['over']}s"
    lines.append(text_table(["%", "value", interval], rows).rstrip())
    headline = entry["headline"]
    for attribute, groups in entry["groups"].items():
        body = [
            [value, str(group["utterances"]), percentage(group["figures"][headline])]
            for value, group in groups.items()
        ]
        lines.append(text_table([attribute, "utterances", title(headline)], body).rstrip())
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(run(main))
