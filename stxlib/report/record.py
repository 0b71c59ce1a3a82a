"""The record that is committed: one JSON for each finished run, and the table made of them.

`results/<row>_seed<N>.json` holds what is needed to trust and to repeat a figure: command, commit, config hash, scores, times.
`results/predictions/<row>_seed<N>/<how>_<set>/` has what the run predicted, as the tables of its decoding, so that a run of another day can be
compared with it utterance by utterance; `results/paired/*.json` are such comparisons. The table is made of all that alone, so it can grow
over days and machines.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stxlib.atomic import write_text
from stxlib.data.text_rows import STREAMS
from stxlib.errors import DataError
from stxlib.report.environment import environment
from stxlib.report.rows import edit_unit, main_figures
from stxlib.report.runs import Run, hash_config, read_json, read_progress, read_settings
from stxlib.score.score_json import Entry

Result = dict[str, Any]

_NOT_RECORDED = ("details", "main_figures", "missing", "hyp", "stxlib", "metric")


def as_result(run: Run) -> Result:
    """{"row", "seed", "scores": {how: {set: {metric: entry}}}} of a run."""
    scores: dict[str, dict[str, Any]] = {}
    for decode in run.decodes:
        scores.setdefault(decode.how, {})[decode.set] = decode.scores
    return {"row": run.row, "seed": run.seed, "scores": scores}


def record(runs: Sequence[Run], folder: Path) -> tuple[list[Path], list[str]]:
    """Write a JSON for each finished run. Returns the files, and a sentence for each run that was left out."""
    pretrained = {(run.row, run.seed): run for run in runs}
    written, left_out = [], []
    for run in runs:
        if not run.decodes:
            continue
        if run.unscored:
            left_out.append(f"{run.label}: not recorded, as {', '.join(run.unscored)} has no score.json yet")
            continue
        name = run.row.replace("/", "_") + ("" if run.seed is None else f"_seed{run.seed}")
        path = folder / f"{name}.json"
        # A variant may have a speech model of its own, in its folder; else all runs of a seed share one.
        own = pretrained.get((f"{run.row}/pretrain", run.seed))
        shared = pretrained.get(("pretrain", run.seed))
        found = _record_of(run, (own or shared) if _began_elsewhere(run) else None)
        text = json.dumps(found, indent=1, ensure_ascii=False)
        write_text(path, text + "\n")
        written.append(path)
        keep_predictions(run, folder, path.stem)
    return written, left_out


def keep_predictions(run: Run, results: Path, name: str) -> None:
    """Copy the tables of every decoding into `<results>/predictions/<name>/<how>_<set>`, in place of what is there of the run.

    Paired tests of predictions that have changed are removed: they are of another network.
    """
    folder = results / "predictions" / name
    found = {
        Path(f"{decode.how}_{decode.set}") / stream: (decode.path / stream).read_text(encoding="utf-8")
        for decode in run.decodes
        for stream in STREAMS
        if (decode.path / stream).is_file()
    }
    kept = {path.relative_to(folder): path.read_text(encoding="utf-8") for path in folder.glob("*/*")}
    if found == kept:
        return
    for path, comparison in read_paired(results).items():
        paths = (*comparison["baseline"]["paths"], *comparison["system"]["paths"])
        if any(Path(one).parent.name == name for one in paths):
            path.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in found.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / path, text)


def read_paired(results: Path) -> dict[Path, dict[str, Any]]:
    """What `stxlib.bin.compare --out <results>/paired/...` wrote of predictions that are recorded; there may be none."""
    found = {path: read_json(path) for path in sorted((results / "paired").glob("*.json"))}
    for path, one in found.items():
        sides = [one.get(side, {}).get("paths", []) for side in ("baseline", "system")]
        if not all(sides) or any(Path(p).parent.parent.name != "predictions" for side in sides for p in side):
            raise DataError(
                f"{path}: is no comparison of recorded predictions ({results}/predictions/...); move it elsewhere"
            )
    return found


def read_results(folder: Path) -> dict[Path, Result]:
    """Every record of a folder. Raises DataError when there is none, or when a file is none."""
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise DataError(
            f"{folder}: holds no *.json; write some with stxlib.bin.report --exp exp --record {folder}"
        )
    results = {path: read_json(path) for path in paths}
    for path, result in results.items():
        if not {"row", "seed", "scores"} <= result.keys():
            raise DataError(f"{path}: not written by stxlib.bin.report --record; move it elsewhere")
    return results


def _record_of(run: Run, pretrained: Run | None) -> Result:
    result = as_result(run)
    scores = {
        how: {
            name: {metric: _short(entry) for metric, entry in entries.items()}
            for name, entries in sets.items()
        }
        for how, sets in result["scores"].items()
    }
    trainings = {"pretrain": pretrained, "train": run}
    seconds = {name: r.progress.get("seconds") for name, r in trainings.items() if r is not None}
    seconds |= {"synthesis": synthesis_seconds(run), "lm": lm_seconds(run)}
    for decode in run.decodes:
        seconds[decode.name] = decode_seconds(decode.summary)
    here = environment()
    return {
        "row": run.row,
        "seed": run.seed,
        "date": here["date"],
        "commit": run.head.get("code", f"stxlib {here['stxlib version']}, commit {here['Git hash']}"),
        "python": here["python version"],
        "torch": here["pytorch version"],
        "device": run.head.get("device"),
        "config_hash": hash_stages(run, pretrained),
        "commands": {
            name: _portable(r.head.get("command")) for name, r in trainings.items() if r is not None
        },
        "steps": {name: r.progress.get("step") for name, r in trainings.items() if r is not None},
        "seconds": {name: value for name, value in seconds.items() if value is not None},
        "rtf": {
            decode.name: {key: decode.summary.get(key) for key in ("rtf_decoder", "rtf_end_to_end")}
            for decode in run.decodes
            if decode.summary.get("rtf_end_to_end") is not None
        },
        "scores": scores,
    }


def _began_elsewhere(run: Run) -> bool:
    """Whether the training took a network from another one; a model of text begins from nothing."""
    return "--init" in run.head.get("command", "").split()


def _portable(command: str | None) -> str | None:
    """A command without the place of the interpreter, which is another on every machine."""
    if command is None:
        return None
    first, blank, rest = command.partition(" ")
    return Path(first).name + blank + rest


def decode_seconds(summary: Mapping[str, Any]) -> float | None:
    """Seconds that a decoding took, of its summary.json; None where that does not say."""
    value = summary.get("wall_seconds")
    return float(value) if isinstance(value, (int, float)) else None


def synthesis_seconds(run: Run) -> float | None:
    """Seconds that a synthesizer was trained for, and made latents beforehand; None where neither was done."""
    made = run.path.parent / "synthesis"
    parts = [
        read_progress(made / "checkpoint.safetensors").get("seconds"),
        read_json(made / "latents" / "summary.json").get("wall_seconds"),
    ]
    return sum(part for part in parts if part is not None) or None


def hash_stages(run: Run, pretrained: Run | None) -> str | None:
    """Equal for runs whose training, speech model and synthesizer have the same settings, but for seeds and paths."""
    hashes = [
        run.config_hash,
        None if pretrained is None else pretrained.config_hash,
        hash_config(run.path.parent / "synthesis" / "config.yaml"),
    ]
    known = [one for one in hashes if one is not None]
    if len(known) < 2:
        return known[0] if known else None
    return hashlib.sha256(" ".join(known).encode()).hexdigest()[:12]


def lm_seconds(run: Run) -> float | None:
    """Seconds that the language model was trained for that a decoding of this run used; None where none did."""
    for decode in run.decodes:
        lm = read_settings(decode.path / "config.yaml").get("decoder", {}).get("lm")
        if lm is not None:  # its path is as seen from the folder that exp lies in
            above = Path(str(run.path.resolve()).removesuffix(run.label))
            return read_progress(above / lm / "checkpoint.safetensors").get("seconds")
    return None


def _short(entry: Entry) -> dict[str, Any]:
    """An entry without what is said of single labels and utterances."""
    short = {name: value for name, value in entry.items() if name not in _NOT_RECORDED}
    short["figures"] = {name: entry["figures"][name] for name in main_figures(entry)}
    if edit_unit(entry) is None:
        headline = entry["headline"]
        short["groups"] = {
            attribute: {
                name: {
                    "utterances": group["utterances"],
                    "figures": {headline: group["figures"][headline]},
                }
                for name, group in groups.items()
            }
            for attribute, groups in entry["groups"].items()
        }
    return {**short, "num_missing": len(entry["missing"])}
