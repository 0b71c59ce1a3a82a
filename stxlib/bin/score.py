"""Score predictions against references: stage 7 of every recipe.

    python -m stxlib.bin.score --metric wer --ref data/test --hyp exp/asr/seed1/train/decode_joint_test \
        --out exp/asr/seed1/train/decode_joint_test --train_text data/train/text

    python -m stxlib.bin.score --metric slurp --ref slurp/test.jsonl --hyp predictions.jsonl --out scores

A prediction that is missing, given twice, or of an utterance that the reference does not have is an error. What each
metric and each format is: docs/scoring.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from stxlib.config import parse_config
from stxlib.errors import ConfigError, run
from stxlib.score.inputs import list_ids
from stxlib.score.labels import Format
from stxlib.score.metric import Inputs, Scored
from stxlib.score.metrics import METRICS, STREAMS, Metric, PairMetric
from stxlib.score.score_json import Entry, score_entry, write_scores
from stxlib.score.slue import absent_parts, score_slue
from stxlib.score.table import percentage, span, text_table, title

_MANY_COUNTS = 10  # more are for score.json alone


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    ref: Path | None = None
    "data directory of the references, one table of it, or a file of SLURP or SLUE"
    hyp: Path | None = None
    "directory that holds the predictions, as stxlib.bin.decode writes it, one table, or a file of SLURP or SLUE"
    out: Path
    "directory for score.json, result.txt and the alignments; usually that of --hyp"
    metric: tuple[Metric, ...] = ("wer",)
    "what to compute; several may be given"
    parts: tuple[str, ...] = ()
    "for slue, in place of --ref and --hyp: the score.json files that hold its parts (METRIC=FILE: this metric of it)"
    format: Format = "auto"
    "how --ref and --hyp are written; auto looks at each"
    load_gold: bool = False
    "SLURP's files are keyed by slurp_id, and not by recordings: predictions from the text"
    train_text: Path | None = None
    "`text` of the training set: reference words that it does not have are reported as rare words"
    allow_missing: bool = False
    "score an utterance without a prediction as the metric's official script does, in place of stopping: slurp leaves it out, the others take it as empty"
    skip_absent: bool = False
    "leave out, with a line, the metrics whose label streams --ref or --hyp (data directories) does not have, and slue where a part is absent"
    draws: int = 1000
    "resampled sets for the 95 % intervals"
    seed: int = 1
    "seed of the resampling"

    def __post_init__(self) -> None:
        if not self.metric:
            raise ConfigError(f"--metric: nothing to compute; give some of {', '.join(METRICS)}")
        sides = [name for name, side in (("--ref", self.ref), ("--hyp", self.hyp)) if side is None]
        of_sides = [metric for metric in self.metric if metric in METRICS]
        if of_sides and sides:
            raise ConfigError(
                f"{' and '.join(sides)}: not given; {', '.join(of_sides)} needs references and predictions"
            )
        if ("slue" in self.metric) != bool(self.parts):
            wrong = (
                "give the score files of its parts with --parts"
                if not self.parts
                else "--parts is for slue alone"
            )
            raise ConfigError(f"--metric {' '.join(self.metric)}: {wrong}")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: give 0 or more")
        if self.draws < 100:
            raise ConfigError(f"--draws {self.draws}: too few for a 95 % interval; give 100 or more")


def main(argv: Sequence[str] | None = None) -> None:
    description = "Score predictions against references, with 95 % bootstrap intervals."
    config = parse_config(ScoreConfig, argv, prog="stxlib.bin.score", description=description).config
    entries: dict[str, Entry] = {}
    files: dict[str, str] = {}  # written with the entries: a metric that fails leaves the folder as it was
    for metric in config.metric:
        if lacking := absent(config, metric):
            print(f"{metric}: not scored: {lacking}")
        elif metric == "slue":
            entries[metric] = score_slue(config.parts)
        else:
            scored, entries[metric] = score(config, metric)
            files |= scored.files
    if not entries:
        print("nothing to score" + (f" of {config.hyp}" if config.hyp else ""))
        return
    path = write_scores(config.out, entries, files)
    for entry in entries.values():
        print(format_entry(entry), end="")
    print(f"written: {path}")


def absent(config: ScoreConfig, metric: Metric) -> str | None:
    """What is missing for a metric that may be left out; None where nothing is."""
    if not config.skip_absent:
        return None
    if metric == "slue":
        return absent_parts(config.parts)
    streams = STREAMS[metric]
    for side in (cast(Path, config.ref), cast(Path, config.hyp)):
        if side.is_dir() and not any((side / stream).is_file() for stream in streams):
            return f"{side} has no {' nor '.join(streams)}"
    return None


def score(config: ScoreConfig, metric: PairMetric) -> tuple[Scored, Entry]:
    """One metric of predictions against references, and what score.json holds of it."""
    inputs = Inputs(
        ref=cast(Path, config.ref),
        hyp=cast(Path, config.hyp),
        train_text=config.train_text,
        allow_missing=config.allow_missing,
        format=config.format,
        load_gold=config.load_gold,
    )
    scored = METRICS[metric](inputs)
    return scored, score_entry(scored, inputs, draws=config.draws, seed=config.seed)


def format_entry(entry: Entry) -> str:
    """One metric of score.json for a terminal."""
    over = entry["interval"]
    counts = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in entry["counts"].items())
    if len(entry["counts"]) > _MANY_COUNTS:
        counts = f"{entry['utterances']} utterances"
    lines = [f"{entry['hyp']} against {entry['ref']}" + (f": {counts}" if counts else "")]
    lines += [f"note: {note}" for note in entry["notes"]]
    if entry["missing"]:
        missing = entry["missing"]
        how = "left out" if entry.get("drops_missing") else "counted as empty"
        lines.append(f"note: {len(missing)} missing predictions {how}: {list_ids(missing)}")
    shown = entry.get("main_figures") or list(entry["figures"])
    rows = [
        [title(name), percentage(entry["figures"][name]["value"]), span(entry["figures"][name])]
        for name in shown
    ]
    if len(shown) < len(entry["figures"]):
        lines.append(f"{len(entry['figures']) - len(shown)} more figures are in score.json")
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
