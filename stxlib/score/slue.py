"""The SLUE score: one figure of a system from the score files of its parts.

SLUE = ((100 - mean of WER on VoxPopuli and WER on VoxCeleb) + macro F1 of sentiment + micro F1 of entities) / 3, all in percent
(SLUE leaderboard v0.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path

import stxlib
from stxlib.errors import DataError
from stxlib.score.bootstrap import LEVEL
from stxlib.score.score_json import Entry, read_scores

_NEEDED = {"wer": "wer", "slue_ner": "ner_f1", "slue_sa": "sa_macro_f1"}
"metric -> the figure of it that is a part"


@dataclass(frozen=True)
class Part:
    """A figure of a score file, in percent."""

    metric: str
    value: float
    low: float
    high: float
    ref: str
    "what it was scored against: data of one `ref` are one set"
    source: Path
    is_named: bool = False
    "it was given as METRIC=FILE"


def slue_score(wer_voxpopuli: float, wer_voxceleb: float, sa_macro_f1: float, ner_f1: float) -> float:
    """The SLUE score of four figures, all in percent."""
    return ((100 - (wer_voxpopuli + wer_voxceleb) / 2) + sa_macro_f1 + ner_f1) / 3


def score_slue(parts: Sequence[Path | str]) -> Entry:
    """The entry `slue` of a score.json, from the files of the parts.

    parts: score.json files which hold, together, `slue_ner`, `slue_sa`, and the `wer` of the sets of both (one WER where both
        were scored on one set). `METRIC=FILE` takes this metric alone from a file that has others too; two `wer=FILE` are taken
        whatever their sets are called. A folder stands for the score.json in it.
    Raises DataError saying which parts are missing, or which are there more than once.

    The interval is put together from those of the parts, and rather too wide: what lies in one set is taken to go
    together, so that widths are added; sets are independent, so that their widths are added as squares.
    """
    found = [part for item in parts for part in _read(str(item))]
    if missing := sorted(_NEEDED.keys() - {part.metric for part in found}):
        raise DataError(f"--parts: {_none_of(missing)}")
    entities, sentiment = _only(found, "slue_ner"), _only(found, "slue_sa")
    wers = _wers(found, entities, sentiment)
    value = slue_score(wers[0].value, wers[-1].value, sentiment.value, entities.value)

    # A part and its weight in the score; WER counts downwards.
    weighted = [(entities, 1 / 3), (sentiment, 1 / 3), *((wer, -1 / 3 / len(wers)) for wer in wers)]
    mean_wer = sum(wer.value for wer in wers) / len(wers)
    used = [entities, sentiment, *wers]
    figures = {
        "slue": _figure(value, weighted),
        "slue_wer": _figure(mean_wer, [(wer, 1 / len(wers)) for wer in wers]),
        "ner_f1": {"value": entities.value, "low": entities.low, "high": entities.high},
        "sa_macro_f1": {"value": sentiment.value, "low": sentiment.low, "high": sentiment.high},
    }
    sources = list(dict.fromkeys(str(part.source) for part in used))
    return {
        "metric": "slue",
        "headline": "slue",
        "lower_is_better": False,
        "figures": figures,
        "main_figures": list(figures),
        "counts": {},
        "interval": {"level": LEVEL, "draws": None, "seed": None, "over": "part", "groups": len(used)},
        "groups": {},
        "utterances": None,
        "missing": [],
        "drops_missing": False,
        "notes": _notes(wers, entities, sentiment),
        "details": {
            "parts": [
                {"metric": part.metric, "value": part.value, "ref": part.ref, "file": str(part.source)}
                for part in used
            ]
        },
        "ref": ", ".join(dict.fromkeys(part.ref for part in used)),
        "hyp": ", ".join(sources),
        "train_text": None,
        "stxlib": stxlib.__version__,
    }


def absent_parts(parts: Sequence[Path | str]) -> str | None:
    """What the SLUE score lacks in these files, in words; None where `score_slue` has something of every kind."""
    found: set[str] = set()
    for item in parts:
        metric, path = _split(str(item))
        if not path.is_file():
            return f"there is no {path}"
        entries = read_scores(path)
        found |= {metric} & entries.keys() if metric else entries.keys()
    missing = sorted(_NEEDED.keys() - found)
    return _none_of(missing) if missing else None


def _none_of(missing: Sequence[str]) -> str:
    return f"{', '.join(missing)} in none of them; the SLUE score needs slue_ner, slue_sa, and the wer of their sets"


def _split(item: str) -> tuple[str, Path]:
    """`METRIC=FILE` or `FILE`: the metric, empty where none is named, and the file. DataError for a metric that is no part."""
    metric, separator, name = item.partition("=")
    if not separator or Path(item).exists() or "/" in metric:
        metric, name = "", item
    elif metric not in _NEEDED:
        raise DataError(
            f"--parts {item}: {metric!r} is no part of the SLUE score; give {', '.join(_NEEDED)}, or the file alone"
        )
    path = Path(name)
    return metric, path / "score.json" if path.is_dir() else path


def _read(item: str) -> list[Part]:
    metric, path = _split(item)
    entries = read_scores(path)
    wanted = [metric] if metric else [name for name in _NEEDED if name in entries]
    if not wanted or wanted[0] not in entries:
        raise DataError(
            f"{path}: has no {metric or 'wer, slue_ner or slue_sa'}, only {', '.join(sorted(entries)) or 'nothing'}; "
            "score these with stxlib.bin.score, or leave the file out"
        )
    return [_part(name, entries[name], path, is_named=bool(metric)) for name in wanted]


def _part(metric: str, entry: Entry, path: Path, *, is_named: bool) -> Part:
    figure = entry["figures"].get(_NEEDED[metric]) or {}
    if figure.get("value") is None:
        raise DataError(
            f"{path}: {metric} has no figure {_NEEDED[metric]}: nothing was counted; score it again"
        )
    value = float(figure["value"])
    low, high = (value if figure.get(end) is None else float(figure[end]) for end in ("low", "high"))
    return Part(metric, value, low, high, normpath(str(entry.get("ref", ""))), path, is_named)


def _only(found: Sequence[Part], metric: str) -> Part:
    having = [part for part in found if part.metric == metric]
    if len(having) > 1:
        raise DataError(
            f"--parts: {metric} is in {len(having)} parts: {_sources(having)}; the SLUE score needs it once"
        )
    return having[0]


def _wers(found: Sequence[Part], entities: Part, sentiment: Part) -> list[Part]:
    """The WER of the set of entities, then that of sentiment; a single one where these are one set."""
    wers = [part for part in found if part.metric == "wer"]
    refs = list(dict.fromkeys((entities.ref, sentiment.ref)))
    matching = [[wer for wer in wers if wer.ref == ref] for ref in refs]
    twice = [of_ref for of_ref in matching if len(of_ref) > 1]
    if twice:
        raise DataError(
            f"--parts: the WER of {twice[0][0].ref} is in {len(twice[0])} parts: {_sources(twice[0])}; "
            "give one, and of the other files only what is meant: slue_ner=FILE"
        )
    if all(matching):
        return [of_ref[0] for of_ref in matching]
    if len(wers) == len(refs) == 2 and wers[0].ref != wers[1].ref and all(wer.is_named for wer in wers):
        return wers  # sets that are called otherwise for each metric; a mean knows no order
    lacking = ", ".join(ref for ref, of_ref in zip(refs, matching, strict=True) if not of_ref)
    raise DataError(
        f"--parts: no WER of {lacking}, only of {', '.join(wer.ref for wer in wers)}; score wer there too, "
        "or give both as wer=FILE where these are the same sets by another name"
    )


def _figure(value: float, weighted: Sequence[tuple[Part, float]]) -> dict[str, float]:
    below: dict[str, float] = {}
    above: dict[str, float] = {}
    for part, weight in weighted:
        # The middle of the draws can lie beside the value of the set, hence the 0.
        down, up = max(0.0, part.value - part.low), max(0.0, part.high - part.value)
        if weight < 0:
            down, up = up, down
        below[part.ref] = below.get(part.ref, 0.0) + abs(weight) * down
        above[part.ref] = above.get(part.ref, 0.0) + abs(weight) * up
    return {
        "value": value,
        "low": value - math.hypot(*below.values()),
        "high": value + math.hypot(*above.values()),
    }


def _notes(wers: Sequence[Part], entities: Part, sentiment: Part) -> list[str]:
    notes = ["the interval is put together from those of the parts, and is rather too wide than too narrow"]
    if len(wers) == 1:
        notes.append(
            f"all parts are of one set, {wers[0].ref}: a SLUE score in form only, not of the benchmark"
        )
    return notes


def _sources(parts: Sequence[Part]) -> str:
    return ", ".join(str(part.source) for part in parts)
