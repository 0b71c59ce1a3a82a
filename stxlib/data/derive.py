"""New data directories out of others that are never written to."""

from __future__ import annotations

import random
from collections.abc import Collection
from itertools import accumulate
from pathlib import Path
from typing import NoReturn

from stxlib.data.audio import AudioSource, UnreadableAudio
from stxlib.data.data_dir import DataDir, is_utterance_stream, list_streams, resolve
from stxlib.data.repair import invert
from stxlib.data.tables import Problem, parse_table, sort_ids, write_table
from stxlib.errors import DataError


def derive(src: Path | str, dst: Path | str, *, allow_pipes: bool = False) -> DataDir:
    """Copy the tables of a data directory that is only read, and add what is missing.

    Tables get sorted, audio paths absolute, `utt2spk` (each utterance its own speaker), `utt2dur` and `utt2num_samples`
    (samples at the recording's own rate) are made where there is audio and they are missing. Where a recording cannot be
    read, or is a `command |` without `allow_pipes`, no lengths are written: that is for validation to tell and to fix.
    Raises `DataError` for a table that sorting does not repair.
    """
    src, dst = Path(src), Path(dst)
    if dst.resolve() == src.resolve():
        raise DataError(f"{dst}: is the folder to be read as well; write to another one")

    def stop_unless_unsorted(problem: Problem) -> None:
        if problem.kind != "unsorted":
            stop(problem)

    def stop(problem: Problem) -> NoReturn:
        raise DataError(str(problem))

    for name in list_streams(src):
        table, _ = parse_table(src / name, stop_unless_unsorted, allow_empty=name == "text")
        if name == "wav.scp":
            table = {recording: _absolute(value, src) for recording, value in table.items()}
        write_table(dst / name, table)
    data = DataDir(dst)
    if data.has_audio:
        if not data.has("utt2spk"):
            write_table(dst / "utt2spk", {utt: utt for utt in data.utts})
        _derive_lengths(data, allow_pipes)
    return DataDir(dst)


def subset(src: DataDir, dst: Path | str, utts: Collection[str]) -> DataDir:
    """Write the tables of some utterances of a data directory; audio stays where it is, paths become absolute."""
    dst = Path(dst)
    if dst.resolve() == src.path.resolve():
        raise DataError(f"{dst}: is the folder to be read as well; write to another one")
    chosen = set(utts)
    unknown = sort_ids(chosen - set(src.utts))
    if unknown or not chosen:
        seen = (
            f"utterance {unknown[0]!r} is not there ({len(unknown)} such)"
            if unknown
            else "no utterance is chosen"
        )
        raise DataError(f"{src.path}: {seen}; choose among the ids of the set")
    if dst.exists() and (stale := sort_ids(set(list_streams(dst)) - src.streams)):
        raise DataError(
            f"{dst}: holds the stream {stale[0]!r}, which {src.path} has not, of other utterances; write to another folder"
        )
    recordings = {src.segment(utt)[0] for utt in chosen} if src.has("segments") else chosen
    for name in sorted(src.streams):
        if name == "spk2utt":
            continue
        table = src.table(name)
        if is_utterance_stream(name):
            table = {utt: table[utt] for utt in chosen}
        elif name == "wav.scp":
            table = {
                entry: _absolute(value, src.path) for entry, value in table.items() if entry in recordings
            }
        write_table(dst / name, table)
    if src.has("spk2utt") and src.has("utt2spk"):
        write_table(dst / "spk2utt", invert({utt: src.table("utt2spk")[utt] for utt in chosen}))
    return DataDir(dst)


def choose(
    data: DataDir,
    *,
    num_utts: int | None = None,
    hours: float | None = None,
    num_speakers: int | None = None,
    seed: int = 1,
) -> list[str]:
    """Draw utterances: those of some speakers, or as many as asked for, or until `hours` are full; sorted by id.

    The draw is a function of the seed; a smaller one is contained in a larger one with the same seed.
    """
    for name, limit in (("utterances", num_utts), ("hours", hours), ("speakers", num_speakers)):
        if limit is not None and not limit > 0:
            raise DataError(f"{data.path}: {limit} {name} cannot be drawn; give a number above 0")
    utts = list(data.utts)
    shuffler = random.Random(seed)
    if num_speakers is not None:
        speakers = list(data.speakers)
        shuffler.shuffle(speakers)
        if num_speakers > len(speakers):
            raise DataError(f"{data.path}: has {len(speakers)} speakers, not {num_speakers}; ask for fewer")
        kept = set(speakers[:num_speakers])
        utt2spk = data.table("utt2spk")
        utts = [utt for utt in utts if utt2spk[utt] in kept]
    shuffler.shuffle(utts)
    if num_utts is not None:
        if num_utts > len(utts):
            raise DataError(
                f"{data.path}: has {len(utts)} utterances to choose from, not {num_utts}; ask for fewer"
            )
        utts = utts[:num_utts]
    if hours is not None:
        if sum(data.seconds[utt] for utt in utts) < hours * 3600:
            total = sum(data.seconds[utt] for utt in utts) / 3600
            raise DataError(f"{data.path}: has {total:.3f} h to choose from, not {hours:g}; ask for less")
        # Up to the first that does not fit: skipping it would put others into a smaller draw than into a larger one.
        sums = accumulate(data.seconds[utt] for utt in utts)
        utts = [utt for utt, seconds in zip(utts, sums, strict=True) if seconds <= hours * 3600 + 1e-6]
    return sort_ids(utts)


def _absolute(value: str, folder: Path) -> str:
    source = AudioSource.parse(value)
    if source.command:
        return value
    found = resolve(source, folder)
    # A path that leads nowhere is written as if it were meant from the corpus folder, where it will be reported.
    place = Path(found.path) if Path(found.path).exists() else folder.resolve().parent / found.path
    return str(AudioSource(path=str(place.absolute()), offset=source.offset))


def _derive_lengths(data: DataDir, allow_pipes: bool) -> None:
    missing = [name for name in ("utt2dur", "utt2num_samples") if not data.has(name)]
    if not missing:
        return
    lengths = {}
    for utt in data.utts:
        try:
            if data.source(data.segment(utt)[0]).command and not allow_pipes:
                return
            lengths[utt] = data.measure(utt, allow_pipes=allow_pipes)
        except UnreadableAudio:
            return
    if "utt2dur" in missing:
        write_table(
            data.path / "utt2dur", {utt: f"{samples / rate:.4f}" for utt, (samples, rate) in lengths.items()}
        )
    if "utt2num_samples" in missing:
        write_table(
            data.path / "utt2num_samples", {utt: str(samples) for utt, (samples, _) in lengths.items()}
        )
