#!/usr/bin/env python3
"""Show what a run is and what it reached; of several runs, also the settings in which they differ.

    utils/show_run.py exp/asr/seed1/train
    utils/show_run.py exp/asr/seed1/train exp/asr.multi/seed1/train

Whether one is better than the other is for `python -m stxlib.bin.compare` to say.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import in_environment  # noqa: F401, before what it makes sure of
import yaml

from stxlib.errors import DataError, run
from stxlib.report.results_md import duration
from stxlib.report.rows import metric_title, metrics_of, order_decodes, run_table
from stxlib.report.runs import Run, read_run
from stxlib.score.table import text_table


def main(argv: Sequence[str] | None = None) -> None:
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0].startswith("-"):
        print(__doc__)
        return
    runs = [open_run(Path(word)) for word in words]
    for item in runs:
        print(describe(item))
    if len(runs) > 1:
        print(differences(runs))


def open_run(folder: Path) -> Run:
    """The training in `folder` (or in its `train`)."""
    for place in (folder, folder / "train"):
        if (place / "config.yaml").is_file() or any(place.glob("decode_*")):
            return read_run(place.parent, place)
    raise DataError(
        f"{folder}: no config.yaml and no decode_*; give the folder of a training: exp/asr/seed1/train"
    )


def describe(item: Run) -> str:
    """Facts and scores for a terminal."""
    progress, lines = item.progress, [str(item.path)]
    facts = {
        "trained": f"{progress['step']} steps in {duration(progress['seconds'])}"
        if "seconds" in progress
        else None,
        "config hash": item.config_hash,
        **item.head,
    }
    lines += [f"  {name}: {value}" for name, value in facts.items() if value]
    for metric in metrics_of([item]):
        found = {d.name: d.scores[metric] for d in order_decodes(item.decodes) if metric in d.scores}
        header, rows = run_table(found)
        lines += ["", text_table([metric_title(metric), *header[1:]], rows).rstrip()]
    return "\n".join([*lines, ""])


def differences(runs: Sequence[Run]) -> str:
    """Every setting that is not the same in all of them."""
    settings = [flat(read_settings(item.path / "config.yaml")) for item in runs]
    keys = dict.fromkeys(key for one in settings for key in one)
    rows = [
        [key, *(str(one.get(key, "-")) for one in settings)]
        for key in keys
        if len({str(one.get(key, "-")) for one in settings}) > 1
    ]
    if not rows:
        return "same settings\n"
    return text_table(["setting", *(item.path.as_posix() for item in runs)], rows)


def read_settings(path: Path) -> Mapping[str, Any]:
    """config.yaml of a run; empty where it has none."""
    value = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return value if isinstance(value, Mapping) else {}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


if __name__ == "__main__":
    sys.exit(run(main))
