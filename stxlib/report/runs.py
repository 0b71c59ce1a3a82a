"""Finds what was trained, decoded and scored below `exp`: `exp/<system>[.<variant>]/seed<N>/train/decode_<how>_<set>/`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from stxlib.errors import DataError
from stxlib.score.score_json import Entry, read_scores

JUDGED = "judged.json"
"what stxlib.bin.judge writes of a synthesizer, in a folder within that of the synthesizer"

# What differs between runs of one row: where things lie, and the seed.
_OF_ONE_RUN = frozenset(
    {
        "seed",
        "out",
        "init",
        "train",
        "dev",
        "text",
        "units",
        "synthesizer",
        "latents",
        "speech_model",
        "device",
    }
)


@dataclass(frozen=True)
class Decode:
    """One set, recognized in one way, and scored."""

    path: Path
    how: str
    set: str
    scores: dict[str, Entry]
    "metric -> entry of score.json"

    @property
    def name(self) -> str:
        """`decode_joint_test`."""
        return self.path.name

    @cached_property
    def summary(self) -> dict[str, Any]:
        """summary.json of the decoding; empty where there is none."""
        return read_json(self.path / "summary.json")


@dataclass(frozen=True)
class Run:
    """One training and what was decoded with it."""

    path: Path
    "folder of the training"
    label: str
    "the same from `exp` on, wherever that lies: exp/asr/seed1/train"
    row: str
    "`<system>[.<variant>]`: what its runs with other seeds share"
    seed: int | None
    "None where the folder does not name one"
    decodes: tuple[Decode, ...]
    unscored: tuple[str, ...] = ()
    "names of decode directories without score.json"
    judged: tuple[Path, ...] = ()
    "folders of stxlib.bin.judge about the synthesizer that this was trained with, or that this is"

    @property
    def system(self) -> str:
        return self.row.partition(".")[0]

    @property
    def variant(self) -> str:
        return self.row.partition(".")[2]

    @property
    def name(self) -> str:
        """`asr seed 1`; a pretraining is `pretrain seed 1`."""
        return self.row if self.seed is None else f"{self.row} seed {self.seed}"

    @property
    def is_training(self) -> bool:
        """Whether it was trained; False for a synthesizer that was fitted in one go."""
        return bool(self.decodes) or not self.judged or (self.path / "tensorboard").is_dir()

    @cached_property
    def head(self) -> dict[str, str]:
        """`command`, `code`, `device` as the last start of the training wrote them into its log."""
        return read_head(self.path / "train.log")

    @cached_property
    def config_hash(self) -> str | None:
        """Equal for runs that differ in their seed and in paths only; None where there is no config.yaml."""
        return hash_config(self.path / "config.yaml")

    @cached_property
    def progress(self) -> dict[str, Any]:
        """`step`, `seconds`, ... as the newest checkpoint has them; empty where there is none."""
        return read_progress(self.path / "checkpoint.safetensors")


def find_runs(exp: Path) -> tuple[Run, ...]:
    """Every training below `exp`, finished or not; sorted by row and seed.

    Raises DataError when there is no such folder, or when it has none.
    """
    if not exp.is_dir():
        raise DataError(f"{exp}: no such directory; give --exp the folder that run.sh wrote to")
    folders = {path.parent.parent for path in exp.rglob("decode_*/score.json")}
    folders |= {path.parent for path in exp.rglob("tensorboard") if path.is_dir()}
    judged = judged_of(exp, folders)
    folders = (folders | judged.keys()) - {path for paths in judged.values() for path in paths}
    if not folders:
        raise DataError(
            f"{exp}: neither decode_*/score.json nor a training in it; run the stages before this one first"
        )
    runs = [read_run(exp, folder, tuple(judged.get(folder, ()))) for folder in folders]
    return tuple(sorted(runs, key=lambda run: (run.row, -1 if run.seed is None else run.seed, str(run.path))))


def judged_of(exp: Path, folders: Collection[Path]) -> dict[Path, list[Path]]:
    """Run -> judgements of its synthesizer, sorted: `<run>/synthesis/judged` is of `<run>/train` where that is one of the runs, else of
    `<run>/synthesis`.
    """
    found: dict[Path, list[Path]] = {}
    for path in sorted(file.parent for file in exp.rglob(f"*/{JUDGED}")):
        train = path.parent.parent / "train"
        found.setdefault(train if train in folders else path.parent, []).append(path)
    return found


def read_run(exp: Path, folder: Path, judged: tuple[Path, ...] = ()) -> Run:
    """The training in `folder`, which lies below `exp`; judged: folders of stxlib.bin.judge about its synthesizer."""
    parts = folder.relative_to(exp).parts
    numbers = [re.fullmatch(r"seed(\d+)", part) for part in parts]
    seed = next((int(found[1]) for found in numbers if found), None)
    names = [part for part, found in zip(parts, numbers, strict=True) if not found]
    if len(names) > 1 and names[-1] == "train":
        names.pop()
    decodes, unscored = [], []
    for path in sorted(folder.glob("decode_*")):
        if (path / "score.json").is_file():
            scores = read_scores(path / "score.json")
            refs = [Path(entry["ref"]) for entry in scores.values() if entry.get("ref")]
            how, name = split_decode_name(path.name, [part for ref in refs for part in (ref.name, ref.stem)])
            decodes.append(Decode(path, how, name, scores))
        elif path.is_dir():
            unscored.append(path.name)
    label = "/".join((exp.resolve().name, *parts))
    row = "/".join(names) or exp.resolve().name
    return Run(folder, label, row, seed, tuple(decodes), tuple(unscored), judged)


def split_decode_name(name: str, sets: Iterable[str]) -> tuple[str, str]:
    """`decode_joint_test_rare` -> (`joint`, `test_rare`); `sets` are names that the set may have."""
    rest = name.removeprefix("decode_")
    for candidate in sorted(set(sets), key=len, reverse=True):
        if rest.endswith(f"_{candidate}"):
            return rest[: -len(candidate) - 1], candidate
    how, _, last = rest.partition("_")
    return (how, last) if last else ("", how)


def read_head(path: Path) -> dict[str, str]:
    """Lines `<date> <time> <stage> command: ...` (and `code:`, `device:`) of a log; the last of each."""
    found: dict[str, str] = {}
    if path.is_file():
        pattern = re.compile(r"\S+ \S+ \S+ (command|code|device): (.*)")
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if match := pattern.match(line):
                    found[match[1]] = match[2].strip()
    return found


def read_settings(path: Path) -> dict[str, Any]:
    """The settings in a config.yaml; empty where there is none."""
    if not path.is_file():
        return {}
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise DataError(f"{path}: not YAML: {' '.join(str(error).split())}; restore it") from None
    if not isinstance(settings, dict):
        raise DataError(f"{path}: expected settings, one `name: value` a line; restore it")
    return settings


def hash_config(path: Path) -> str | None:
    """Twelve hexadecimal digits of the settings in a config.yaml, paths and seed left out."""
    if not path.is_file():
        return None
    settings = {  # `synthesizer` is a path in a training, and settings in a synthesis
        key: value
        for key, value in read_settings(path).items()
        if key not in _OF_ONE_RUN or isinstance(value, dict)
    }
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_progress(path: Path) -> dict[str, Any]:
    """The progress in the metadata of a checkpoint, read without its tensors."""
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return dict(json.loads(header["__metadata__"]["json"])["progress"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # the report tells what is there; a damaged checkpoint is the trainer's to complain about


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}; delete it and make it again") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a JSON object; delete it and make it again")
    return value
