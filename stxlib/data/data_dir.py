"""A data directory: one sorted table per stream, all with the same utterance ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stxlib.data.audio import AudioSource, UnreadableAudio, measure_source, read_source, resample_wave
from stxlib.data.tables import line_of, read_table, sort_ids
from stxlib.errors import DataError

# Tables whose ids are not utterances: recordings and speakers.
_OTHER_KEYS = ("wav.scp", "spk2", "reco2", "rec2")


def is_utterance_stream(name: str) -> bool:
    """Whether a table of this name is keyed by utterance (`wav.scp` is keyed by recording)."""
    return not name.startswith(_OTHER_KEYS)


def list_streams(path: Path) -> list[str]:
    """Names of the tables of a folder, sorted: `wav.scp` and every file without a dot in its name."""
    if not path.is_dir():
        raise DataError(f"{path}: there is no such data directory; check the path, or run stage 1 (data)")
    return sorted(
        entry.name
        for entry in path.iterdir()
        if entry.is_file() and (entry.name == "wav.scp" or "." not in entry.name)
    )


@dataclass(frozen=True)
class Summary:
    """The size of a set. `str(summary)` is the line that stage 1 prints."""

    name: str
    utterances: int
    hours: float
    """0 for a set without audio."""
    speakers: int
    """0 where `utt2spk` is missing."""
    vocabulary: int
    """Word types of `text`; 0 for a set without transcripts."""
    streams: tuple[str, ...]

    def __str__(self) -> str:
        hours = f"{self.hours:.2f} h" if "wav.scp" in self.streams else "no audio"
        words = f"{self.vocabulary} word types" if "text" in self.streams else "no transcripts"
        speakers = f"{self.speakers} speakers" if self.speakers else "speakers unknown"
        counts = f"{hours}, {self.utterances} utterances, {speakers}, {words}"
        return f"{self.name}: {counts} ({' '.join(self.streams)})"


class DataDir:
    """A folder of tables, read when first asked for. Small enough to be pickled to worker processes.

    Utterances are the ids of `segments`, else of `wav.scp`, else of `text` (a text-only set). Every stream that is keyed
    by utterance has exactly these ids. An audio path that is not absolute is looked for from the current directory, from
    the data directory and from its parent, in this order.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.streams = frozenset(list_streams(self.path))
        self._tables: dict[str, dict[str, str]] = {}

    def __repr__(self) -> str:
        return f"DataDir({str(self.path)!r})"

    def __getstate__(self) -> dict[str, Any]:
        # A worker reads audio and nothing else: transcripts would only cost memory in each of them.
        tables = {name: self._tables[name] for name in ("wav.scp", "segments") if name in self._tables}
        return {"path": self.path, "streams": self.streams, "_tables": tables}

    def has(self, name: str) -> bool:
        """Whether there is a stream of this name."""
        return name in self.streams

    @cached_property
    def utts(self) -> tuple[str, ...]:
        """All utterance ids, in the order of their bytes."""
        for name in ("segments", "wav.scp", "text"):
            if self.has(name):
                return tuple(self._read(name))
        raise DataError(
            f"{self.path}: has neither wav.scp nor text; a data directory holds at least one of them"
        )

    def table(self, name: str) -> dict[str, str]:
        """One stream, by id. Raises `DataError` where it is missing, or where its ids are not those of the set."""
        if not self.has(name):
            present = " ".join(sorted(self.streams)) or "nothing"
            raise DataError(
                f"{self.path}: has no stream {name!r} (it has {present}); write the table {name} there"
            )
        values = self._read(name)
        if is_utterance_stream(name) and values.keys() != self._utt_set:
            self._report_difference(name, values)
        return values

    @property
    def has_audio(self) -> bool:
        """Whether the set has recordings; a text-only set has none."""
        return self.has("wav.scp")

    @cached_property
    def seconds(self) -> dict[str, float]:
        """Seconds of every utterance: from `utt2dur`, else from `segments`, else from the headers of the audio files.

        Raises `DataError` for audio that cannot be measured so.
        """
        seconds, unreadable = self.measure_seconds()
        if unreadable:
            raise DataError(next(iter(unreadable.values())))
        return seconds

    def measure_seconds(self, *, allow_pipes: bool = False) -> tuple[dict[str, float], dict[str, str]]:
        """Seconds by utterance, and a message for each utterance whose audio cannot be read."""
        if self.has("utt2dur"):
            seconds = {}
            for utt, value in self.table("utt2dur").items():
                try:
                    seconds[utt] = float(value)
                except ValueError:
                    where = f"{self.path / 'utt2dur'}:{line_of(self.path / 'utt2dur', utt)}"
                    raise DataError(
                        f"{where}: {value!r} of {utt!r} is no number of seconds; correct it"
                    ) from None
            return seconds, {}
        seconds, unreadable = {}, {}
        for utt in self.utts:
            try:
                num_samples, rate = self.measure(utt, allow_pipes=allow_pipes)
                seconds[utt] = num_samples / rate
            except UnreadableAudio as error:
                unreadable[utt] = str(error)
        return seconds, unreadable

    def measure(self, utt: str, *, allow_pipes: bool = False) -> tuple[int, int]:
        """Number of samples and rate in Hz of an utterance, as stored (not resampled), from the header where it has one."""
        recording, start, end = self.segment(utt)
        source = self.source(recording)
        with _Naming(self.path, recording, utt):
            num_samples, rate = measure_source(source, allow_pipes=allow_pipes)
            if self.has("segments"):
                last = num_samples if end == -1 else min(round(end * rate), num_samples)
                num_samples = last - round(start * rate)
            if num_samples <= 0:
                raise UnreadableAudio("zero length")
        return num_samples, rate

    def load_wave(self, utt: str, sample_rate: int, allow_pipes: bool = False) -> np.ndarray:
        """Samples of an utterance: (N,) float32 in [-1, 1], one channel, at `sample_rate` Hz.

        Raises `UnreadableAudio` (a `DataError`) naming table, line and utterance; `DataError` for a `command |` without
        `allow_pipes`.
        """
        recording, start, end = self.segment(utt)
        source = self.source(recording)
        with _Naming(self.path, recording, utt):
            wave, rate = read_source(source, allow_pipes=allow_pipes, start=start, end=end)
            return resample_wave(wave, rate, sample_rate)

    def segment(self, utt: str) -> tuple[str, float, float]:
        """Recording, start and end (seconds; -1 is the end of the recording) of an utterance."""
        if not self.has("segments"):
            return utt, 0.0, -1.0
        value = self._read("segments")[utt]
        try:
            recording, start, end = value.split()
            return recording, float(start), float(end)
        except ValueError:
            path = self.path / "segments"
            where = f"{path}:{line_of(path, utt)}"
            seen = f"{value!r} of {utt!r} is not `<recording> <start> <end>`"
            raise DataError(f"{where}: {seen}; write three fields, times in seconds") from None

    def source(self, recording: str) -> AudioSource:
        """Where a recording lies, its path resolved. Raises `UnreadableAudio` where it is not in `wav.scp`."""
        value = self.table("wav.scp").get(recording)
        if value is None:
            raise UnreadableAudio(
                f"{self.path / 'wav.scp'}: recording {recording!r} of segments is not there; "
                f"add it, or run utils/validate_data_dir.py {self.path} --fix"
            )
        return resolve(AudioSource.parse(value), self.path)

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Distinct speakers, sorted; empty where `utt2spk` is missing."""
        return tuple(sort_ids(set(self.table("utt2spk").values()))) if self.has("utt2spk") else ()

    def summary(self, *, allow_pipes: bool = False) -> Summary:
        """Hours, utterances, speakers and vocabulary; audio that cannot be read counts nothing."""
        words: set[str] = set()
        if self.has("text"):
            for line in self.table("text").values():
                words.update(line.split())
        seconds = self.measure_seconds(allow_pipes=allow_pipes)[0] if self.has_audio else {}
        hours = sum(seconds.values()) / 3600
        streams = tuple(sorted(self.streams))
        return Summary(str(self.path), len(self.utts), hours, len(self.speakers), len(words), streams)

    @cached_property
    def _utt_set(self) -> frozenset[str]:
        return frozenset(self.utts)

    def _read(self, name: str) -> dict[str, str]:
        if name not in self._tables:
            self._tables[name] = read_table(self.path / name)
        return self._tables[name]

    def _report_difference(self, name: str, values: dict[str, str]) -> None:
        path = self.path / name
        fix = f"run utils/validate_data_dir.py {self.path} --fix"
        missing = sort_ids(self._utt_set - values.keys())
        extra = sort_ids(values.keys() - self._utt_set)
        if missing:
            seen = f"utterance {missing[0]!r} is not there ({len(missing)} such; first: {', '.join(missing[:3])})"
            raise DataError(f"{path}: {seen}; add it, or {fix}")
        seen = (
            f"id {extra[0]!r} is no utterance of the set ({len(extra)} such; first: {', '.join(extra[:3])})"
        )
        raise DataError(f"{path}:{line_of(path, extra[0])}: {seen}; delete it, or {fix}")


class _Naming:
    """Puts table, line and utterance before what is wrong with a recording."""

    def __init__(self, folder: Path, recording: str, utt: str) -> None:
        self.folder, self.recording, self.utt = folder, recording, utt

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DataError):
            path = self.folder / "wav.scp"
            message = f"{path}:{line_of(path, self.recording)}: utterance {self.utt!r}: {error}"
            if isinstance(error, UnreadableAudio):
                message += (
                    f"; restore the audio, or run utils/validate_data_dir.py {self.folder} --fix to drop it"
                )
            raise type(error)(message) from None


def resolve(source: AudioSource, folder: Path) -> AudioSource:
    """The source with a path that exists from here: as it is, from the data directory, or from its parent.

    Where none exists the path is left as written, for the message of whoever opens it.
    """
    if source.command or Path(source.path).is_absolute() or Path(source.path).exists():
        return source
    for candidate in _places(folder, source.path):
        if candidate.exists():
            return AudioSource(path=str(candidate), offset=source.offset)
    return source


def _places(folder: Path, path: str) -> Iterator[Path]:
    yield folder / path
    yield folder.resolve().parent / path
