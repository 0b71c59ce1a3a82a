"""Everything that can be wrong with a data directory, each with file, line, id and remedy.

Kinds of problem: unsorted, duplicate, no value, empty line, not UTF-8, byte order mark (of a table); id without text, id
without audio, missing id, unknown id, unknown recording, bad segment, zero length, segment past the end, missing audio,
unreadable audio, wrong sample rate, NaN samples, command, bad number, wrong length, missing length, bad JSON (of a set).
"""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stxlib.data.audio import END_TOLERANCE_SECONDS, AudioSource, UnreadableAudio, measure_source, read_source
from stxlib.data.data_dir import is_utterance_stream, list_streams, resolve
from stxlib.data.tables import Problem, parse_table, sort_ids
from stxlib.errors import DataError

AudioCheck = Literal["none", "headers", "samples"]
_JSON_STREAMS = ("semantics", "entities")
LENGTH_STREAMS = ("utt2dur", "utt2num_samples")
# Lengths in tables are rounded; half a frame is no disagreement.
_LENGTH_TOLERANCE_SECONDS = END_TOLERANCE_SECONDS


@dataclass
class Checked:
    """What was read of a data directory, and what is wrong with it."""

    path: Path
    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    lines: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    dropped: dict[str, Problem] = field(default_factory=dict)
    """Utterances that cannot stay, with the (first) reason."""
    lengths: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Samples and rate in Hz of every utterance that was measured."""

    @property
    def utts(self) -> list[str]:
        """Ids of `segments`, else of `wav.scp`, else of `text`, sorted."""
        for name in ("segments", "wav.scp", "text"):
            if name in self.tables:
                return sort_ids(self.tables[name])
        raise DataError(
            f"{self.path}: has neither wav.scp nor text; a data directory holds at least one of them"
        )

    def report(
        self, name: str, entry: str, kind: str, seen: str, remedy: str, drop: list[str] | None = None
    ) -> None:
        """Note a problem with an entry of a table, and the utterances that it makes unusable."""
        line = self.lines.get(name, {}).get(entry, 0)
        problem = Problem(self.path / name, line, entry, kind, seen, remedy)
        self.problems.append(problem)
        for utt in drop or ():
            self.dropped.setdefault(utt, problem)


def check_data_dir(
    path: Path | str,
    *,
    sample_rate: int | None = None,
    audio: AudioCheck = "samples",
    allow_pipes: bool = False,
) -> Checked:
    """Read all tables of a data directory, and its audio, and collect what is wrong.

    sample_rate: rate in Hz that recordings must have; None allows any, since audio is resampled when it is read.
    audio: `samples` decodes everything, `headers` opens every file, `none` looks at tables only.
    Raises `DataError` where there is no data directory at all.
    """
    checked = Checked(Path(path))
    for name in list_streams(checked.path):
        table, lines = parse_table(checked.path / name, checked.problems.append, allow_empty=name == "text")
        checked.tables[name], checked.lines[name] = table, lines
    fix = f"run utils/validate_data_dir.py {path} --fix"
    _check_ids(checked, fix)
    _check_values(checked, fix)
    segments = _check_segments(checked, fix)
    if audio != "none" and "wav.scp" in checked.tables:
        _check_audio(checked, segments, sample_rate, audio == "samples", allow_pipes, fix)
        _check_lengths(checked, fix)
    return checked


def _check_ids(checked: Checked, fix: str) -> None:
    utts = checked.utts
    known = set(utts)
    home = (
        "segments" if "segments" in checked.tables else "wav.scp" if "wav.scp" in checked.tables else "text"
    )
    for name, table in checked.tables.items():
        if not is_utterance_stream(name):
            continue
        for utt in utts:
            if utt not in table:
                seen = f"utterance {utt!r} is not in {name}"
                remedy = f"add it to {checked.path / name}, or {fix}"
                if name in LENGTH_STREAMS:
                    checked.report(name, utt, "missing length", seen, remedy)
                else:
                    kind = "id without text" if name == "text" else "missing id"
                    checked.report(home, utt, kind, seen, remedy, [utt])
            elif name == "text" and not table[utt]:
                seen = f"utterance {utt!r} has no words"
                checked.report(name, utt, "id without text", seen, f"write its transcript, or {fix}", [utt])
        for entry in table:
            if entry not in known:
                kind = "id without audio" if home != "text" else "unknown id"
                seen = f"id {entry!r} is not in {home}"
                checked.report(name, entry, kind, seen, f"add it to {checked.path / home}, or {fix}")


def _check_values(checked: Checked, fix: str) -> None:
    for name in LENGTH_STREAMS:
        for utt, value in checked.tables.get(name, {}).items():
            try:
                good = math.isfinite(float(value)) and float(value) > 0
            except ValueError:
                good = False
            if not good:
                seen = f"{value!r} of {utt!r} is no length"
                checked.report(
                    name, utt, "bad number", seen, f"delete the file (it can be derived), or {fix}"
                )
    for name in _JSON_STREAMS:
        for utt, value in checked.tables.get(name, {}).items():
            try:
                json.loads(value)
            except ValueError as error:
                seen = f"the value of {utt!r} is not JSON ({error})"
                checked.report(name, utt, "bad JSON", seen, f"correct it, or {fix}", [utt])


def _check_segments(checked: Checked, fix: str) -> dict[str, list[tuple[str, float, float]]]:
    """(utterance, start, end) by recording; without `segments` each recording is one utterance, 0 to -1."""
    recordings = checked.tables.get("wav.scp", {})
    by_recording: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    if "segments" not in checked.tables:
        for utt in recordings:
            by_recording[utt].append((utt, 0.0, -1.0))
        return by_recording
    for utt, value in checked.tables["segments"].items():
        try:
            recording, start_field, end_field = value.split()
            start, end = float(start_field), float(end_field)
            if not (math.isfinite(start) and math.isfinite(end) and start >= 0):
                raise ValueError
        except ValueError:
            seen = f"{value!r} of {utt!r} is not `<recording> <start> <end>` in seconds"
            checked.report("segments", utt, "bad segment", seen, f"correct it, or {fix}", [utt])
            continue
        if recording not in recordings:
            seen = f"recording {recording!r} of {utt!r} is not in wav.scp"
            remedy = f"add it to {checked.path / 'wav.scp'}, or {fix}"
            checked.report("segments", utt, "unknown recording", seen, remedy, [utt])
        elif end != -1 and end <= start:
            seen = f"segment {utt!r} from {start:g} to {end:g} s has zero length"
            checked.report("segments", utt, "zero length", seen, f"correct it, or {fix}", [utt])
        else:
            by_recording[recording].append((utt, start, end))
    return by_recording


def _check_audio(
    checked: Checked,
    segments: dict[str, list[tuple[str, float, float]]],
    sample_rate: int | None,
    decode: bool,
    allow_pipes: bool,
    fix: str,
) -> None:
    sources = {
        recording: resolve(AudioSource.parse(checked.tables["wav.scp"][recording]), checked.path)
        for recording in segments
    }

    def measure(recording: str) -> tuple[int, int] | UnreadableAudio:
        try:
            if decode:
                samples, rate = read_source(sources[recording], allow_pipes=allow_pipes)
                return len(samples), rate
            num_samples, rate = measure_source(sources[recording], allow_pipes=allow_pipes)
            return (
                (num_samples, rate) if num_samples else UnreadableAudio(f"{sources[recording]}: zero length")
            )
        except UnreadableAudio as error:
            return error

    runnable = []
    for recording, source in sources.items():
        if source.command and not allow_pipes:
            seen = f"recording {recording!r} is a command: `{source.command} |`"
            remedy = "read it, then give --allow_pipes true to run it, or write its output to a file"
            checked.report("wav.scp", recording, "command", seen, remedy)
        else:
            runnable.append(recording)
    # Decoders release the interpreter lock, so threads are enough.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for recording, measured in zip(runnable, pool.map(measure, runnable), strict=True):
            utts = [utt for utt, _, _ in segments[recording]]
            if isinstance(measured, UnreadableAudio):
                seen = f"recording {recording!r}: {measured}"
                checked.report(
                    "wav.scp", recording, _kind(str(measured)), seen, f"restore the file, or {fix}", utts
                )
                continue
            num_samples, rate = measured
            if sample_rate is not None and rate != sample_rate:
                seen = f"recording {recording!r} has {rate} Hz, not {sample_rate} Hz"
                remedy = (
                    f"resample it, do without --sample_rate (audio is resampled when it is read), or {fix}"
                )
                checked.report("wav.scp", recording, "wrong sample rate", seen, remedy, utts)
            _check_ends(checked, segments[recording], num_samples, rate, fix)


def _check_ends(
    checked: Checked, segments: list[tuple[str, float, float]], num_samples: int, rate: int, fix: str
) -> None:
    seconds = num_samples / rate
    for utt, start, end in segments:
        if end > seconds + END_TOLERANCE_SECONDS or start >= seconds:
            seen = f"segment {utt!r} from {start:g} to {end:g} s is past the end of its recording ({seconds:.3f} s)"
            checked.report("segments", utt, "segment past the end", seen, f"correct it, or {fix}", [utt])
        else:
            last = num_samples if end == -1 else min(round(end * rate), num_samples)
            checked.lengths[utt] = (last - round(start * rate), rate)


def _check_lengths(checked: Checked, fix: str) -> None:
    for name in LENGTH_STREAMS:
        for utt, value in checked.tables.get(name, {}).items():
            if utt not in checked.lengths or utt in checked.dropped:
                continue
            num_samples, rate = checked.lengths[utt]
            try:
                seconds = float(value) if name == "utt2dur" else float(value) / rate
            except ValueError:
                continue  # a bad number, told already
            if abs(seconds - num_samples / rate) > _LENGTH_TOLERANCE_SECONDS:
                true = f"{num_samples / rate:.3f} s" if name == "utt2dur" else f"{num_samples} samples"
                seen = f"{value} of {utt!r} is not the length of its audio ({true})"
                checked.report(
                    name, utt, "wrong length", seen, f"delete the file (it can be derived), or {fix}"
                )


def _kind(message: str) -> str:
    for words, kind in (
        ("missing audio", "missing audio"),
        ("zero length", "zero length"),
        ("(0 bytes)", "zero length"),
        ("NaN", "NaN samples"),
    ):
        if words in message:
            return kind
    return "unreadable audio"
