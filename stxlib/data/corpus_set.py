"""From the rows of a released corpus to the sets of a recipe: what the preparations share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stxlib.data.audio import AudioSource, UnreadableAudio, measure_source
from stxlib.data.data_dir import DataDir
from stxlib.data.dropped import Dropped
from stxlib.data.made_folder import made_folder
from stxlib.data.tables import sort_ids, write_table
from stxlib.data.text_rows import STREAMS, Tables
from stxlib.errors import ConfigError, DataError

LEAVE_OUT = "or leave such rows out by --fix true"
OF_CUTS = ("segments", "utt2num_samples", "utt2dur")
"""streams of utterances that are cut out of their recordings; the lengths of others are those of the recordings"""

Measured = tuple[int, int] | str
"""samples and rate in Hz of a recording, or what is wrong with it"""


@dataclass
class CorpusSet:
    """One set on its way from the rows of a corpus to a data directory: an utterance a recording, or text alone."""

    audio: dict[str, Path] = field(default_factory=dict)
    "by utterance; empty for text alone"
    measured: dict[str, Measured] = field(default_factory=dict)
    "by utterance, of the recordings that were measured"
    tables: Tables = field(default_factory=dict)
    "every other stream"
    places: dict[str, str] = field(default_factory=dict)
    "utterance -> `file:line` of the corpus, for messages"
    dropped: Dropped = field(default_factory=Dropped)
    num_rows: int = 0
    "rows of the corpus, those that are dropped among them"

    def add(self, utt: str, place: str, values: Mapping[str, str], audio: Path | None = None) -> None:
        """Add an utterance. values: stream -> value."""
        self.places[utt] = place
        for stream, value in values.items():
            self.tables.setdefault(stream, {})[utt] = value
        if audio is not None:
            self.audio[utt] = audio

    def drop(self, utt: str, reason: str) -> None:
        """Take an utterance out again, and list it."""
        self.dropped.add(utt, reason, self.places[utt])
        self.remove(utt)

    def remove(self, utt: str) -> None:
        """Take an utterance out as if it had never been added."""
        del self.places[utt]
        self.audio.pop(utt, None)
        self.measured.pop(utt, None)
        for table in self.tables.values():
            table.pop(utt, None)

    def measure(self) -> Mapping[str, Measured]:
        """What the headers of the audio say, each of which is read once, whoever asks; by utterance."""
        self.measured |= measure_files(
            {utt: path for utt, path in self.audio.items() if utt not in self.measured}
        )
        return self.measured

    def write(self, folder: Path, *, fix: bool = False) -> DataDir:
        """Write the tables, lengths from the headers of the audio among them, and the list of what was left out, which is printed.

        fix: utterances whose audio is missing or broken are left out. Raises DataError for them otherwise, and where nothing is left.
        """
        lengths, unreadable = {}, {}
        for utt, found in self.measure().items():
            if isinstance(found, str):
                unreadable[utt] = found
            else:
                lengths[utt] = found
        if unreadable and not fix:
            first = next(iter(unreadable))
            more = f" ({len(unreadable)} such in this set)" if len(unreadable) > 1 else ""
            seen = f"{self.places[first]}: utterance {first!r}: {unreadable[first]}{more}"
            raise DataError(f"{seen}; unpack or download the audio again, {LEAVE_OUT}")
        for utt, cause in unreadable.items():
            missing = "missing audio" in cause
            self.drop(utt, "its audio is missing" if missing else "its audio cannot be read")
        if not self.places:
            reasons = "".join(f", {len(utts)}: {reason}" for reason, utts in self.dropped.ids.items())
            raise DataError(
                f"{folder.name}: no row of {self.num_rows} can be used{reasons}; "
                "is it this corpus, of this version, and whole?"
            )
        tables = dict(self.tables)
        if self.audio:
            tables["wav.scp"] = {utt: str(path) for utt, path in self.audio.items()}
            samples = {utt: str(count) for utt, (count, _) in lengths.items()}
            tables["utt2num_samples"] = samples | self.tables.get("utt2num_samples", {})
            seconds = {utt: f"{count / rate:.4f}" for utt, (count, rate) in lengths.items()}
            tables["utt2dur"] = seconds | self.tables.get("utt2dur", {})
        for stream, table in tables.items():
            write_table(folder / stream, table)
        self.dropped.report(folder)
        return DataDir(folder)


def write_sets(sets: Mapping[str, CorpusSet], out: Path, *, fix: bool) -> list[str]:
    """Write the sets below `out`, all or none, as `made_folder` and `CorpusSet.write` do; returns a line about each."""
    with made_folder(out) as draft:
        summaries = [rows.write(draft / name, fix=fix).summary() for name, rows in sets.items()]
    return [str(summary).replace(str(draft), str(out)) for summary in summaries]


def merge(parts: Sequence[CorpusSet]) -> CorpusSet:
    """Several sets as one, with the streams that all of them have, to which others may be added without a change to them.

    Utterances that are whole recordings get `segments` where others are cut out of theirs. What was dropped, and the counts of rows, are
    those of all parts. Raises DataError for an id that two of them have.
    """
    whole = CorpusSet()
    filled = [part for part in parts if part.places]
    streams = set.intersection(*({*part.tables} for part in filled)) if filled else set()
    is_cut = any("segments" in part.tables for part in filled)
    for part in parts:
        if common := sort_ids(whole.places.keys() & part.places.keys()):
            seen = f"{part.places[common[0]]}: the id {common[0]!r} is at {whole.places[common[0]]} as well"
            raise DataError(
                f"{seen} ({len(common)} such); give each part once, and each row an id of its own"
            )
        for utt, place in part.places.items():
            values = {stream: part.tables[stream][utt] for stream in streams - {*OF_CUTS}}
            if is_cut and utt in part.audio:
                values["segments"] = f"{utt} 0 -1"
                values |= {
                    name: part.tables[name][utt] for name in OF_CUTS if utt in part.tables.get(name, {})
                }
            whole.add(utt, place, values, part.audio.get(utt))
        whole.measured |= part.measured
        for reason, utts in part.dropped.ids.items():
            for utt in utts:
                whole.dropped.add(utt, reason, part.dropped.places.get((utt, reason), ""))
        whole.num_rows += part.num_rows
    return whole


def measure_files(paths: Mapping[str, Path]) -> dict[str, Measured]:
    """Samples and rate in Hz of audio files by their headers; what is wrong with those that have no samples or cannot be read."""

    def measure(path: Path) -> Measured:
        try:
            num_samples, rate = measure_source(AudioSource(path=str(path)), allow_pipes=False)
        except UnreadableAudio as error:
            return str(error)
        return (num_samples, rate) if num_samples else f"{path}: zero length"

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return dict(zip(paths, pool.map(measure, paths.values()), strict=True))


def distinct_text(source: CorpusSet) -> CorpusSet:
    """The sentences of a set as text alone: one of all that have the same words and labels, as `text-<its first utterance>`."""
    streams = [stream for stream in STREAMS if stream in source.tables]
    chosen = CorpusSet()
    seen = set()
    for utt in sort_ids(source.places):
        values = {stream: source.tables[stream][utt] for stream in streams}
        if (key := tuple(values.values())) not in seen:
            seen.add(key)
            chosen.add(f"text-{utt}", source.places[utt], values)
    chosen.num_rows = len(chosen.places)
    return chosen


def count_text(name: str, what: str, found: int, released: int | None, source: str) -> str | None:
    """A warning where a set has another number of rows than its release; None where it has not, or where that is not known."""
    if released is None or found == released:
        return None
    seen = f"warning: {name} has {found:,} {what}, and the release {released:,} ({source})"
    return f"{seen}: is it complete, and of this version?"


def check_given(**files: Path | None) -> None:
    """Raises ConfigError for a file that an option names and that is not there. files: option -> its value."""
    for option, path in files.items():
        if path is not None and not path.is_file():
            raise ConfigError(f"--{option} {path}: there is no such file; correct the path")


def find_corpus(corpus: Path, out: Path, marks: Sequence[tuple[str, str]]) -> Path:
    """The folder that the corpus lies in. marks: folders in `corpus` (`.` is itself), each with a file that tells that it is there.

    Raises ConfigError where there is none, and where `out` and the corpus overlap.
    """
    if not corpus.is_dir():
        raise ConfigError(
            f"--corpus {corpus}: there is no such folder; give the one that the corpus was unpacked to"
        )
    corpus, target = corpus.resolve(), out.resolve()
    if target == corpus or target in corpus.parents or corpus in target.parents:
        raise ConfigError(
            f"--out {out}: overlaps with {corpus}, which is never written to; give another folder"
        )
    for inner, mark in marks:
        if (corpus / inner / mark).is_file():
            return (corpus / inner).resolve()
    expected = " nor ".join(str(Path(inner) / mark) for inner, mark in marks)
    raise ConfigError(
        f"--corpus {corpus}: has no {expected}; give the folder of the release, as it was unpacked"
    )
