"""`score.json`: every figure of a scored set in full precision, by metric, with its interval and the counts
behind it.

    {"wer": {"headline": "wer", "lower_is_better": true,
             "figures": {"wer": {"value": 23.4, "low": 21.9, "high": 25.1}, ...},
             "main_figures": ["wer", ...],
             "counts": {"words": 2833, ...},
             "interval": {"level": 0.95, "draws": 1000, "seed": 1, "over": "speaker", "groups": 30},
             "groups": {"accent": {"en-us": {"utterances": 80, "figures": {...}, "counts": {...}}, ...}},
             "utterances": 400, "missing": [], "drops_missing": false, "notes": [], "details": {...},
             "ref": "data/test", "hyp": "exp/...", "train_text": "data/train/text", "stxlib": "0.1.0"},
     "cer": {...}}

A figure that nothing was counted for is null. Scoring another metric into the same directory keeps the ones
there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import stxlib
from stxlib.atomic import write_text
from stxlib.errors import DataError
from stxlib.score.bootstrap import LEVEL, Interval, bootstrap, groups_of
from stxlib.score.inputs import read_attributes, read_speakers
from stxlib.score.metric import Counts, Inputs, Scored

Entry = dict[str, Any]

_REMEDY = "give a score.json, as stxlib.bin.score writes it, or move this one away and score again"


def score_entry(scored: Scored, inputs: Inputs, *, draws: int, seed: int) -> Entry:
    """What score.json holds for one metric."""
    groups = groups_of(scored.utts, read_speakers(inputs.ref, scored.utts, inputs.format), scored.sentences)
    intervals = bootstrap(scored.counts, scored.figures, groups, draws=draws, seed=seed)
    values = _figures_of_all(scored, np.ones(len(scored.utts), bool))
    return {
        "metric": scored.metric,
        "headline": scored.headline,
        "lower_is_better": scored.lower_is_better,
        "figures": {name: _figure(value, intervals[name]) for name, value in values.items()},
        "counts": _whole(scored.totals()),
        "interval": {
            "level": LEVEL,
            "draws": draws,
            "seed": seed,
            "over": groups.kind,
            "groups": groups.size,
        },
        "groups": _breakdown(scored, inputs),
        "utterances": len(scored.utts),
        "missing": list(scored.missing),
        "drops_missing": scored.drops_missing,
        "main_figures": list(scored.main_figures or values),
        "notes": list(scored.notes),
        "details": dict(scored.details),
        "ref": str(inputs.ref),
        "hyp": str(inputs.hyp),
        "train_text": None if inputs.train_text is None else str(inputs.train_text),
        "stxlib": stxlib.__version__,
    }


def write_scores(out: Path, entries: Mapping[str, Entry], files: Mapping[str, str] | None = None) -> Path:
    """Put `entries` (metric -> entry) into `out`/score.json beside the metrics that are there already, and `files` (name -> contents)
    beside it: nothing is written where score.json is something else.
    """
    path = out / "score.json"
    merged = (read_scores(path) if path.is_file() else {}) | dict(entries)
    for name, text in (files or {}).items():
        write_text(out / name, text)
    write_text(path, json.dumps(merged, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def read_scores(path: Path) -> dict[str, Entry]:
    """Metric -> entry. Raises DataError when the file is not a score.json."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror or error}; give a score.json, as stxlib.bin.score writes it"
        ) from None
    except ValueError as error:
        raise DataError(f"{path}: cannot be read as JSON: {error}; {_REMEDY}") from None
    if not isinstance(entries, dict) or not all(
        isinstance(entry, dict) and {"figures", "counts", "headline"} <= entry.keys()
        for entry in entries.values()
    ):
        raise DataError(f"{path}: not written by stxlib.bin.score; {_REMEDY}")
    return entries


def _breakdown(scored: Scored, inputs: Inputs) -> dict[str, dict[str, Entry]]:
    table: dict[str, dict[str, Entry]] = {}
    for attribute, values in read_attributes(inputs.ref, scored.utts).items():
        of_utt = np.array([values[utt] for utt in scored.utts])
        table[attribute] = {}
        for value in sorted(set(values.values())):
            chosen = of_utt == value
            figures = _figures_of_all(scored, chosen)
            table[attribute][value] = {
                "utterances": int(chosen.sum()),
                "figures": {name: _number(figure) for name, figure in figures.items()},
                "counts": _whole(
                    {
                        name: float(column[chosen].sum())
                        for name, column in scored.counts.items()
                        if ":" not in name
                    }
                ),
            }
    return table


def _figures_of_all(scored: Scored, chosen: np.ndarray) -> dict[str, float]:
    sums: Counts = {name: column[chosen].sum() for name, column in scored.counts.items()}
    return {name: float(value) for name, value in scored.figures(sums).items()}


def _figure(value: float, interval: Interval) -> Entry:
    return {
        "value": _number(value),
        "low": _number(interval.low),
        "high": _number(interval.high),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _whole(counts: Mapping[str, float]) -> dict[str, int | float]:
    return {name: int(count) if float(count).is_integer() else count for name, count in counts.items()}
