#!/usr/bin/env python3
"""Derive the data directories of SLURP from the corpus as released, which is only read.

    local/prepare.py --corpus ~/corpora/slurp --out data
    local/prepare.py --corpus ~/corpora/slurp --out data_synthetic --synthetic audio
    local/prepare.py --corpus ~/corpora/slurp --out data_headset --microphones headset

Writes `train`, `dev` (the release's devel), `test`; the distinct sentences of `train` as `text_only`, and those of lm.txt as `text_lm`.
`data` appears whole or not at all.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "utils"))
import in_environment  # noqa: F401, before what it makes sure of

from stxlib.config import parse_config
from stxlib.data.corpus_set import CorpusSet, count_text, find_corpus
from stxlib.data.data_dir import DataDir
from stxlib.data.derive import subset
from stxlib.data.made_folder import check_replaceable, made_folder
from stxlib.data.slurp_corpus import (
    MICROPHONES,
    RELEASED,
    SlurpSentence,
    add_recordings,
    drop_shared,
    microphone,
    read_lm_text,
    read_slurp_jsonl,
    read_speakers,
    text_of,
)
from stxlib.errors import ConfigError, run

SOURCES = {"devel": "counted in the repository", "test": "counted in the repository"}
REPOSITORY = "dataset/slurp"
# Where the .jsonl may lie, the repository first; then everything in one folder.
MARKS = [(folder, "train.jsonl") for folder in (REPOSITORY, f"slurp/{REPOSITORY}", ".")]


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    corpus: Path
    "clone of the repository, or one folder with the .jsonl, metadata.json, slurp_real and slurp_synth; never written to"
    out: Path
    "folder of the derived data directories; replaced if a recipe made it"
    audio: Path | None = None
    "folder of slurp_real and slurp_synth, where that is not in the corpus"
    synthetic: Literal["none", "text", "audio"] = "none"
    "the synthetic set: nothing of it, its sentences in text_only, or its recordings in train as well"
    microphones: tuple[Literal["headset", "far"], ...] = MICROPHONES
    "recordings to take"
    by_microphone: bool = False
    "write dev_headset, dev_far, test_headset and test_far, too"
    speakers: bool = True
    "take speakers from metadata.json; false: each recording counts as a speaker of its own"
    fix: bool = False
    "leave out rows whose audio is missing or broken, or with entities at no tokens, and list them, in place of stopping"

    def __post_init__(self) -> None:
        if not self.microphones:
            raise ConfigError(f"--microphones: none is named; expected some of {' '.join(MICROPHONES)}")


def main(argv: Sequence[str] | None = None) -> None:
    """Raises ConfigError and DataError, and leaves nothing behind then."""
    description = (__doc__ or "").splitlines()[0]
    config = parse_config(PrepareConfig, argv, prog="local/prepare.py", description=description).config
    folder = find_corpus(config.corpus, config.out, [*MARKS, (".", "train_real.jsonl")])
    check_replaceable(config.out)
    # What the repository calls train.jsonl is train_real.jsonl where all lies in one folder.
    train = "train" if (folder / "train.jsonl").is_file() else "train_real"
    names = {"train": train, "devel": "devel", "test": "test"}
    if config.synthetic != "none":
        names["train_synthetic"] = "train_synthetic"
    sentences = {
        name: read_slurp_jsonl(folder / f"{file}.jsonl", fix=config.fix) for name, file in names.items()
    }
    notes = check_counts(sentences)
    speakers = read_speakers(folder / "metadata.json") if config.speakers else {}
    sets = recordings_of(config, folder, sentences, speakers)
    if config.speakers and (unknown := count_unknown(sets, speakers)):
        notes.append(
            f"warning: {unknown} recordings are not in metadata.json: each counts as a speaker of its own"
        )
    sets["text_only"] = text_of([*sentences["train"], *sentences.get("train_synthetic", [])])
    held_out = {sentence.text for name in ("devel", "test") for sentence in sentences[name]}
    for note in notes:
        print(note, flush=True)
    lm_text = folder.parent / "lm" / "lm.txt"
    if folder.match(REPOSITORY) and lm_text.is_file():
        sets["text_lm"] = read_lm_text(lm_text, held_out)
    with made_folder(config.out) as draft:
        written = [rows.write(draft / name, fix=config.fix) for name, rows in sets.items()]
        if config.by_microphone:
            written += [part for name in ("dev", "test") for part in by_microphone(draft / name)]
        summaries = [data.summary() for data in written]
    for summary in summaries:
        print(str(summary).replace(str(draft), str(config.out)))


def check_counts(sentences: Mapping[str, Sequence[SlurpSentence]]) -> list[str]:
    """What to tell of the files: numbers unlike those of the release, and records whose intent is something else."""
    notes: list[str | None] = []
    for name, records in sentences.items():
        source = SOURCES.get(name, "as quoted from aclweb.org/anthology/2020.emnlp-main.588")
        found = len(records), sum(len(record.recordings) for record in records)
        for what, count, released in zip(("sentences", "recordings"), found, RELEASED[name], strict=True):
            notes.append(count_text(name, what, count, released, source))
        if odd := sum(record.is_intent_odd for record in records):
            notes.append(
                f"{name}: {odd} sentences have an `intent` that is not their scenario and action, which count"
            )
    return [note for note in notes if note]


def recordings_of(
    config: PrepareConfig,
    folder: Path,
    sentences: Mapping[str, Sequence[SlurpSentence]],
    speakers: Mapping[str, str],
) -> dict[str, CorpusSet]:
    """The sets with audio, no recording in two of them."""
    sets = {"train": CorpusSet(), "dev": CorpusSet(), "test": CorpusSet()}
    real = find_audio(config, folder, "slurp_real")
    for (_, rows), name in zip(sets.items(), ("train", "devel", "test"), strict=True):
        add_recordings(rows, sentences[name], real, speakers, microphones=config.microphones)
    if config.synthetic == "audio":
        synthetic = find_audio(config, folder, "slurp_synth")
        add_recordings(sets["train"], sentences["train_synthetic"], synthetic, {}, kind="synthetic")
    drop_shared(sets)
    return sets


def find_audio(config: PrepareConfig, folder: Path, name: str) -> Path:
    """The folder slurp_real or slurp_synth. Raises ConfigError where there is none."""
    roots = [config.audio or folder]
    if config.audio is None and folder.match(REPOSITORY):
        roots.insert(0, folder.parents[1] / "audio")
    for root in roots:
        if (root / name).is_dir():
            return (root / name).resolve()
    seen = " nor ".join(str(root / name) for root in roots)
    raise ConfigError(
        f"there is no {seen}; unpack {name}.tar.gz of zenodo.org/record/4274930, or name the folder that holds {name} by --audio"
    )


def count_unknown(sets: Mapping[str, CorpusSet], speakers: Mapping[str, str]) -> int:
    """Recordings of people without a speaker."""
    return sum(
        utt not in speakers and rows.tables["microphone"][utt] != "synthetic"
        for rows in sets.values()
        for utt in rows.audio
    )


def by_microphone(folder: Path) -> list[DataDir]:
    """The parts of a set that one microphone recorded, beside it."""
    data = DataDir(folder)
    parts = {name: [utt for utt in data.utts if microphone(utt) == name] for name in MICROPHONES}
    return [
        subset(data, folder.with_name(f"{folder.name}_{name}"), utts) for name, utts in parts.items() if utts
    ]


if __name__ == "__main__":
    sys.exit(run(main))
