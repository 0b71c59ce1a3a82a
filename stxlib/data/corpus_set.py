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


@dataclass
class CorpusSet:
    """One set on its way from the rows of a corpus to a data directory: an utterance a recording, or text alone."""

    audio: dict[str, Path] = field(default_factory=dict)
    "by utterance; empty for text alone"
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
        """Take an utterance out again."""
        self.dropped.add(utt, reason, self.places.pop(utt))
        self.audio.pop(utt, None)
        for table in self.tables.values():
            table.pop(utt, None)

    def write(self, folder: Path, *, fix: bool = False) -> DataDir:
        """Write the tables, lengths from the headers of the audio among them, and the list of what was left out, which is printed.

        fix: utterances whose audio is missing or broken are left out. Raises DataError for them otherwise, and where nothing is left.
        """
        lengths, unreadable = measure_files(self.audio)
        if unreadable and not fix:
            first = next(iter(unreadable))
            more = f" ({len(unreadable)} such in this set)" if len(unreadable) > 1 else ""
            seen = f"{self.places[first]}: utterance {first!r}: {unreadable[first]}{more}"
            raise DataError(f"{seen}; unpack or download the audio again, {LEAVE_OUT}")
        for utt, cause in unreadable.items():
            missing = "missing audio" in cause
            self.drop(utt, "its audio is missing" if missing else "its audio cannot be read")
        if not self.places:
            raise DataError(
                f"{folder.name}: no row of {self.num_rows} can be used; the corpus is not what it has to be"
            )
        if self.audio:
            write_table(folder / "wav.scp", {utt: str(path) for utt, path in self.audio.items()})
            write_table(folder / "utt2num_samples", {utt: str(count) for utt, (count, _) in lengths.items()})
            durations = {utt: f"{count / rate:.4f}" for utt, (count, rate) in lengths.items()}
            write_table(folder / "utt2dur", durations)
        for stream, table in self.tables.items():
            write_table(folder / stream, table)
        self.dropped.report(folder)
        return DataDir(folder)


def write_sets(sets: Mapping[str, CorpusSet], out: Path, *, fix: bool) -> list[str]:
    """Write the sets below `out`, all or none, as `made_folder` and `CorpusSet.write` do; returns a line about each."""
    with made_folder(out) as draft:
        summaries = [rows.write(draft / name, fix=fix).summary() for name, rows in sets.items()]
    return [str(summary).replace(str(draft), str(out)) for summary in summaries]


def measure_files(paths: Mapping[str, Path]) -> tuple[dict[str, tuple[int, int]], dict[str, str]]:
    """Samples and rate in Hz of audio files by their headers; and what is wrong with those that have no samples or cannot be read."""

    def measure(path: Path) -> tuple[int, int] | str:
        try:
            num_samples, rate = measure_source(AudioSource(path=str(path)), allow_pipes=False)
        except UnreadableAudio as error:
            return str(error)
        return (num_samples, rate) if num_samples else f"{path}: zero length"

    lengths, unreadable = {}, {}
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for utt, measured in zip(paths, pool.map(measure, paths.values()), strict=True):
            if isinstance(measured, str):
                unreadable[utt] = measured
            else:
                lengths[utt] = measured
    return lengths, unreadable


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
