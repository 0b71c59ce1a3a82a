#!/usr/bin/env python3
"""Data directories from LibriSpeech (OpenSLR 12), Mini LibriSpeech (31), Libri-light's labelled parts and the LM corpus (11).

    local/prepare.py --corpus ~/corpora/LibriSpeech --out data
    local/prepare.py --corpus ~/corpora/LibriSpeech --text ~/corpora/librispeech-lm-norm.txt.gz --text_share 0.025 --out data
    local/prepare.py --corpus ~/corpora/LibriSpeech --libri_light ~/corpora/librispeech_finetuning --libri_light_amount 1h --out data

Writes `train`, `dev`, a folder for each part of --sets under its own name, and `text_only` where text is given. The corpus is only
read; `data` appears whole or not at all.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "utils"))
import in_environment  # noqa: F401, before what it makes sure of

from stxlib.config import parse_config
from stxlib.data.corpus_set import CorpusSet, check_given, merge
from stxlib.data.data_dir import DataDir
from stxlib.data.derive import choose, subset
from stxlib.data.dropped import LIST
from stxlib.data.librispeech_corpus import (
    check_part_of_speakers,
    choose_listed,
    find_root,
    genders,
    read_libri_light,
    read_part,
)
from stxlib.data.made_folder import check_replaceable, made_folder
from stxlib.data.sentence_stream import SentenceFilter, write_sentences
from stxlib.data.tables import sort_ids, write_table
from stxlib.errors import ConfigError, DataError, run

TRAIN = "train-clean-100"
IN_TRAIN = "in train as speech"


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    corpus: Path
    "folder that the archives were unpacked to: LibriSpeech/ or the one that holds it; never written to"
    out: Path
    "folder of the data directories; replaced if a recipe made it"
    train: tuple[str, ...] = ()
    "parts to learn from: train-clean-100 (that, if none is named) train-clean-360 train-other-500; Mini: train-clean-5"
    dev: tuple[str, ...] = ("dev-clean", "dev-other")
    "parts that decide which weights are kept, together as `dev`; Mini: dev-clean-2"
    sets: tuple[str, ...] = ("dev-clean", "dev-other", "test-clean", "test-other")
    "parts to decode and score, each a folder of its name"
    train_list: Path | None = None
    "only these utterances of --train: an id, or the path of its .flac, at the beginning of each line"
    train_hours: float = 0.0
    "only so many hours of --train, drawn by --seed: an own subset, not Libri-light's (0: all)"
    seed: int = 1
    "of what is drawn; a smaller draw is part of a larger one"
    libri_light: Path | None = None
    "folder librispeech_finetuning as Libri-light released it, taken in place of --train"
    libri_light_amount: Literal["10min", "1h", "10h"] | None = None
    "how much of it (none: 10h)"
    text_parts: tuple[str, ...] = ()
    "parts whose transcripts go into `text_only`; their audio need not be there"
    text: tuple[Path, ...] = ()
    "sentences for `text_only`, plain or .gz, one a line: librispeech-lm-norm.txt.gz"
    text_share: float | None = None
    "share of the lines of --text to draw, 0.025 of the LM corpus being about a million (none: all)"
    text_max_characters: int | None = None
    "longer sentences of --text are left out (none: above 999)"
    fix: bool = False
    "leave out utterances without audio or transcript, and list them, in place of stopping"

    @property
    def parts(self) -> tuple[str, ...]:
        """Those that train is made of, but for Libri-light's."""
        return () if self.libri_light else self.train or (TRAIN,)

    @property
    def held_out(self) -> tuple[str, ...]:
        """Parts that nothing may be learnt from, each once."""
        return tuple(dict.fromkeys((*self.dev, *self.sets)))

    @property
    def sentence_filter(self) -> SentenceFilter:
        """Of the lines of --text."""
        given = {"share": self.text_share, "max_characters": self.text_max_characters}
        return SentenceFilter(
            **{name: value for name, value in given.items() if value is not None}, seed=self.seed
        )

    def __post_init__(self) -> None:
        given = [
            name
            for name in ("train_list", "train_hours", "libri_light")
            if getattr(self, name) not in (None, 0)
        ]
        if len(given) > 1:
            raise ConfigError(f"--{given[0]} and --{given[1]}: both say what train is; give one of them")
        if self.libri_light and self.train:
            raise ConfigError("--train and --libri_light: both say what train is; give one of them")
        if self.libri_light_amount and not self.libri_light:
            raise ConfigError(
                "--libri_light_amount: is of --libri_light, which is not given; name its folder"
            )
        for option in ("text_share", "text_max_characters"):
            if getattr(self, option) is not None and not self.text:
                raise ConfigError(f"--{option}: is of --text, which is not given; name its files")
        for option, parts in {"train": self.parts, "text_parts": self.text_parts}.items():
            if shared := [part for part in parts if part in self.held_out]:
                raise ConfigError(
                    f"--{option} {shared[0]}: is in --dev or --sets, too, which nothing may be learnt from; name it in one of them"
                )
        if self.train_hours < 0:
            raise ConfigError(f"--train_hours {self.train_hours:g}: give a number above 0, or 0 for all")
        if taken := {"train", "dev", "text_only"} & {*self.sets}:
            raise ConfigError(f"--sets {min(taken)}: is a folder of its own; name parts of the corpus")
        for option in ("train", "dev", "sets", "text_parts"):
            for name in getattr(self, option):
                if Path(name).name != name or name in (".", "..", ""):
                    raise ConfigError(
                        f"--{option} {name!r}: is no name of a part; give names as train-clean-100"
                    )
        _ = self.sentence_filter  # raises ConfigError


def main(argv: Sequence[str] | None = None) -> None:
    """Raises ConfigError and DataError, and leaves nothing behind then."""
    description = (__doc__ or "").splitlines()[0]
    config = parse_config(PrepareConfig, argv, prog="local/prepare.py", description=description).config
    check_apart(config)
    check_given(train_list=config.train_list)
    for path in config.text:
        check_given(text=path)
    check_replaceable(config.out)
    reader = Reader(config)
    with made_folder(config.out) as draft:
        train, origin = reader.train()
        held_out = {name: reader.part(name) for name in config.held_out}
        transcripts = read_transcripts(reader, config.text_parts)
        check_held_out(train.places, origin, held_out)
        check_held_out(transcripts.places, "--text_parts", held_out)
        write_train(train, origin, draft / "train", config)
        for rows in held_out.values():
            rows.measure()  # once, for `dev` and for a set of its own
        reader.merged(config.dev).write(draft / "dev", fix=config.fix)
        for part in config.sets:
            reader.merged([part]).write(draft / part, fix=config.fix)
        folders = sorted(folder for folder in draft.iterdir() if folder.is_dir())
        for folder in folders:
            speakers = DataDir(folder).table("utt2spk").values()
            if sexes := genders(reader.root, folder.name, speakers):
                write_table(folder / "spk2gender", sexes)
        lines = [str(DataDir(folder).summary()).replace(str(draft), str(config.out)) for folder in folders]
        lines.append(f"{config.out / 'train'}: {origin}")
        if config.text or config.text_parts:
            lines += write_text(transcripts, draft, config)
    print("\n".join(lines))


class Reader:
    """The parts of the corpus, each read once."""

    def __init__(self, config: PrepareConfig) -> None:
        self.config = config
        self.root = find_root(config.corpus)
        self.parts: dict[str, CorpusSet] = {}

    def part(self, name: str) -> CorpusSet:
        if name not in self.parts:
            self.parts[name] = read_part(self.root, name, fix=self.config.fix)
            check_part_of_speakers(self.root, name, self.parts[name])
        return self.parts[name]

    def merged(self, names: Sequence[str]) -> CorpusSet:
        return merge([self.part(name) for name in names])

    def train(self) -> tuple[CorpusSet, str]:
        """What train is drawn from, and what it is."""
        config, parts = self.config, " ".join(self.config.parts)
        if config.libri_light is not None:
            amount = config.libri_light_amount or "10h"
            return read_libri_light(config.libri_light, amount, fix=config.fix), f"Libri-light's {amount}"
        if config.train_list is not None:
            rows = choose_listed(self.merged(config.parts), config.train_list, parts)
            return rows, f"the utterances of {parts} in the list {config.train_list.name}"
        if config.train_hours:
            origin = (
                f"own subset, {config.train_hours:g} h of {parts} by seed {config.seed}; not Libri-light's"
            )
            return self.merged(config.parts), origin
        return self.merged(config.parts), f"all of {parts}"


def check_apart(config: PrepareConfig) -> None:
    """Raises ConfigError where the corpus would be written to."""
    out = config.out.resolve()
    for source in (config.corpus, config.libri_light, config.train_list, *config.text):
        if source is not None and (
            out == source.resolve() or out in source.resolve().parents or source.resolve() in out.parents
        ):
            raise ConfigError(
                f"--out {config.out}: overlaps with {source}, which is never written to; give another folder"
            )


def check_held_out(places: Mapping[str, str], what: str, held_out: Mapping[str, CorpusSet]) -> None:
    """Raises DataError where an utterance that is learnt from is in --dev or --sets as well, under whatever name of a part."""
    for name, rows in held_out.items():
        if shared := sort_ids(places.keys() & rows.places.keys()):
            seen = f"{places[shared[0]]}: {shared[0]!r} is learnt from ({what}), and is at {rows.places[shared[0]]} as well"
            raise DataError(
                f"{seen} ({len(shared)} such in {name}); leave {name} out of --dev and --sets, or learn from others"
            )


def write_train(rows: CorpusSet, origin: str, folder: Path, config: PrepareConfig) -> None:
    """Write train, a draw of its utterances where one is asked for, and `origin.txt`, which says what it is."""
    data = rows.write(folder, fix=config.fix)
    if config.train_hours:
        drawn = folder.with_name(".drawn")
        subset(data, drawn, choose(data, hours=config.train_hours, seed=config.seed))
        if (folder / LIST).exists():
            (folder / LIST).rename(drawn / LIST)
        shutil.rmtree(folder)
        drawn.rename(folder)
    (folder / "origin.txt").write_text(f"{origin}\n", encoding="utf-8")


def read_transcripts(reader: Reader, parts: Sequence[str]) -> CorpusSet:
    """The transcripts of some parts; their audio need not be there."""
    return merge([read_part(reader.root, part, audio=False) for part in parts])


def write_text(rows: CorpusSet, draft: Path, config: PrepareConfig) -> list[str]:
    """Write `text_only` of transcripts and --text; what is to be printed of it. Sentences that train has as speech are not taken again."""
    known = {*DataDir(draft / "train").utts}
    left_out = {utt: reason for reason, utts in rows.dropped.ids.items() for utt in utts}
    transcripts: dict[str, str] = {}
    for utt, text in rows.tables.get("text", {}).items():
        if utt in known:
            left_out[utt] = IN_TRAIN
        else:
            transcripts[utt] = text
    streamed = write_sentences(
        draft / "text_only", config.text, config.sentence_filter, transcripts=transcripts, left_out=left_out
    )
    return streamed.lines(str(config.out / "text_only"))


if __name__ == "__main__":
    sys.exit(run(main))
