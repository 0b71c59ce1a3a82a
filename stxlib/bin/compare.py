"""Is one system better than another? The one paired significance test.

    python -m stxlib.bin.compare --ref data/test --baseline exp/asr/seed1/train/decode_joint_test \
        --system exp/lasyn/seed1/train/decode_joint_test

Prints both scores, the difference with its 95 % interval, and p. Several directories on a side are runs of
one system with
different seeds: their counts are averaged.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stxlib.atomic import write_text
from stxlib.config import parse_config
from stxlib.errors import ConfigError, DataError, run
from stxlib.score.bootstrap import groups_of
from stxlib.score.inputs import read_speakers
from stxlib.score.labels import Format
from stxlib.score.metric import Counts, Inputs, Scored
from stxlib.score.metrics import METRICS, PairMetric
from stxlib.score.paired import Comparison, compare
from stxlib.score.table import format_p, text_table, title


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    ref: Path
    "data directory of the references"
    baseline: tuple[Path, ...]
    "decode directory of the baseline; several: one for each seed"
    system: tuple[Path, ...]
    "decode directory of the system; several: one for each seed"
    metric: PairMetric = "wer"
    "what to compare"
    figure: str | None = None
    "a figure of the metric other than its first (wer: sentence_error, rare_word_miss)"
    train_text: Path | None = None
    "`text` of the training set, for the figures on rare words"
    allow_missing: bool = False
    "count an utterance without a prediction as an empty prediction in place of stopping (slurp leaves it out, and both systems must then have the same)"
    format: Format = "auto"
    "how references and predictions are written; auto looks at each"
    load_gold: bool = False
    "SLURP's files are keyed by slurp_id, and not by recordings"
    draws: int = 10_000
    "random swaps of the test, and resampled sets of the interval"
    seed: int = 1
    "seed of both"
    out: Path | None = None
    "JSON file for the result in full precision"

    def __post_init__(self) -> None:
        if not self.baseline or not self.system:
            raise ConfigError("--baseline and --system: give at least one decode directory each")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: give 0 or more")
        if self.draws < 100:
            raise ConfigError(f"--draws {self.draws}: too few; give 100 or more")


def main(argv: Sequence[str] | None = None) -> None:
    description = "Compare two systems on the same utterances: difference, 95 % interval, two-sided p."
    config = parse_config(CompareConfig, argv, prog="stxlib.bin.compare", description=description).config
    inputs = Inputs(
        ref=config.ref,
        hyp=config.baseline[0],
        train_text=config.train_text,
        allow_missing=config.allow_missing,
        format=config.format,
        load_gold=config.load_gold,
    )
    before = [METRICS[config.metric](replace(inputs, hyp=path)) for path in config.baseline]
    after = [METRICS[config.metric](replace(inputs, hyp=path)) for path in config.system]
    scored = before[0]
    figure = config.figure or scored.headline
    known = list(scored.figures(scored.counts))
    if figure not in known:
        hint = "; rare words need --train_text" if figure.startswith("rare_") else ""
        raise ConfigError(f"--figure {figure}: {config.metric} has {', '.join(known)}{hint}")
    paths = (*config.baseline, *config.system)
    for path, other in zip(paths, [*before, *after], strict=True):
        if other.utts != scored.utts:
            raise DataError(
                f"{path}: has predictions for {len(other.utts)} utterances, {paths[0]} for {len(scored.utts)}, and not "
                "the same ones; a comparison needs the same: decode those that are missing"
            )
    names = list(dict.fromkeys(name for item in (*before, *after) for name in item.counts))
    result = compare(
        mean_counts(before, names),
        mean_counts(after, names),
        lambda counts: scored.figures(counts)[figure],
        groups_of(scored.utts, read_speakers(config.ref, scored.utts, config.format), scored.sentences),
        draws=config.draws,
        seed=config.seed,
    )
    for side, runs in (("baseline", before), ("system", after)):
        paths = config.baseline if side == "baseline" else config.system
        print(f"{side}: {' '.join(map(str, paths))}")
        for path, item in zip(paths, runs, strict=True):
            if item.missing:
                how = "left out" if item.drops_missing else "counted as empty"
                print(f"note: {path}: {len(item.missing)} missing predictions {how}")
    print(
        format_comparison(result, figure, lower_is_better=scored.lower_is_better),
        end="",
    )
    if config.out is not None:
        write_text(config.out, json.dumps(to_json(result, config, figure), indent=1) + "\n")
        print(f"written: {config.out}")


def mean_counts(runs: Sequence[Scored], names: Sequence[str]) -> Counts:
    """Counts of each utterance, averaged over runs of one system; all runs have the same utterances in the
    same order. A run that lacks a count has none of it: it made up none of another's labels.
    """
    nothing = np.zeros(len(runs[0].utts))
    return {name: np.mean([run.counts.get(name, nothing) for run in runs], axis=0) for name in names}


def format_comparison(result: Comparison, figure: str, *, lower_is_better: bool) -> str:
    """The comparison for a terminal."""

    def row(name: str, value: float, low: float, high: float, sign: str = "") -> list[str]:
        return [
            name,
            format(value, f"{sign}.2f"),
            f"{low:{sign}.2f} .. {high:{sign}.2f}",
        ]

    before, after, change = (
        result.baseline_interval,
        result.system_interval,
        result.difference_interval,
    )
    table = text_table(
        [f"{title(figure)} %", "value", "95 %"],
        [
            row("baseline", result.baseline, before.low, before.high),
            row("system", result.system, after.low, after.high),
            row("difference", result.difference, change.low, change.high, "+"),
        ],
    )
    relative = f" ({100 * result.difference / result.baseline:+.1f} % relative)" if result.baseline else ""
    groups, lower, higher = result.groups, result.changed[0], result.changed[2]
    better, worse = (lower, higher) if lower_is_better else (higher, lower)
    how = "every swap" if result.is_exact else "random swaps"
    verdict = "significant at 5 %" if result.p < 0.05 else "not significant at 5 %"
    least = 2 / 2**groups.size if result.is_exact else 0.0
    limit = (
        f"note: {groups.size} {groups.kind}s cannot give a p below {least:.4f}, whatever the systems do; score a larger set\n"
        if least > 0.05
        else ""
    )
    return (
        f"{table}difference {result.difference:+.2f}{relative}, p = {format_p(result.p)} ({verdict})\n"
        f"two-sided paired randomization test, {how} over {groups.size} {groups.kind}s; "
        f"utterances better {better}, equal {result.changed[1]}, worse {worse}\n{limit}"
    )


def to_json(result: Comparison, config: CompareConfig, figure: str) -> dict[str, object]:
    """Everything that was found, in full precision."""
    change = result.difference_interval
    return {
        "metric": config.metric,
        "figure": figure,
        "ref": str(config.ref),
        "baseline": {
            "paths": [str(path) for path in config.baseline],
            "value": result.baseline,
        },
        "system": {
            "paths": [str(path) for path in config.system],
            "value": result.system,
        },
        "difference": {
            "value": result.difference,
            "low": change.low,
            "high": change.high,
        },
        "p": result.p,
        "over": result.groups.kind,
        "groups": result.groups.size,
        "is_exact": result.is_exact,
        "draws": config.draws,
        "seed": config.seed,
        "utterances": dict(zip(("lower", "equal", "higher"), result.changed, strict=True)),
    }


if __name__ == "__main__":
    sys.exit(run(main))
