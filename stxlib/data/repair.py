"""Repair of a data directory: what cannot stay is dropped and listed, the rest is sorted, the old tables are kept."""

from __future__ import annotations

import shutil
from pathlib import Path

from stxlib.data.data_dir import is_utterance_stream
from stxlib.data.tables import Problem, sort_ids, write_table
from stxlib.data.validate import LENGTH_STREAMS, AudioCheck, Checked, check_data_dir
from stxlib.errors import DataError


def fix_data_dir(
    path: Path | str,
    *,
    sample_rate: int | None = None,
    audio: AudioCheck = "samples",
    allow_pipes: bool = False,
) -> tuple[list[str], Checked]:
    """Drop unusable utterances and lines, correct lengths, sort; tables that change go to `.backup/` first.

    Returns one line for everything that was done, and the state of the folder afterwards (a command that was not allowed
    to run is left in it, and so is still a problem).
    Raises `DataError`, and changes nothing, where no utterance would be left.
    """
    folder = Path(path)
    checked = check_data_dir(folder, sample_rate=sample_rate, audio=audio, allow_pipes=allow_pipes)
    keep = [utt for utt in checked.utts if utt not in checked.dropped]
    if not keep:
        first = checked.problems[0] if checked.problems else f"{folder}: there are no utterances"
        raise DataError(f"{first} (no utterance would be left, so nothing was changed)")
    done = [
        f"dropped {utt!r}: {problem.seen} ({_place(problem)})" for utt, problem in checked.dropped.items()
    ]
    named = {id(problem) for problem in checked.dropped.values()}
    done += [
        f"{_ACTIONS.get(problem.kind, 'dropped the line')}: {problem.seen} ({_place(problem)})"
        for problem in checked.problems
        if id(problem) not in named and problem.kind != "command" and problem.id not in checked.dropped
    ]
    damaged = {problem.path.name for problem in checked.problems if problem.kind in _TABLE_KINDS}
    tables = _repaired(checked, keep)
    for name, values in tables.items():
        if name not in checked.tables:
            done.append(f"wrote {folder / name}, which was missing")
        elif name in damaged or values != checked.tables[name]:
            done.append(f"wrote {folder / name}; the old one is {_back_up(folder / name)}")
        else:
            continue
        write_table(folder / name, values)
    for name in checked.tables.keys() - tables.keys():
        done.append(
            f"removed {folder / name}, which can be derived; the old one is {_back_up(folder / name)}"
        )
        (folder / name).unlink()
    if not done:
        return done, checked
    # What is left was decoded above: its headers are enough now.
    again: AudioCheck = "none" if audio == "none" else "headers"
    return done, check_data_dir(folder, sample_rate=sample_rate, audio=again, allow_pipes=allow_pipes)


_LENGTH_KINDS = {"wrong length", "missing length", "bad number"}
_ACTIONS = {"unsorted": "sorted", "byte order mark": "removed"} | dict.fromkeys(_LENGTH_KINDS, "corrected")
_TABLE_KINDS = {"unsorted", "duplicate", "no value", "empty line", "not UTF-8", "byte order mark"}


def _repaired(checked: Checked, keep: list[str]) -> dict[str, dict[str, str]]:
    tables = {}
    for name, table in checked.tables.items():
        if name in LENGTH_STREAMS:
            continue
        tables[name] = {utt: table[utt] for utt in keep} if is_utterance_stream(name) else dict(table)
    if "segments" in tables:
        used = {value.split()[0] for value in tables["segments"].values()}
        tables["wav.scp"] = {
            entry: value for entry, value in checked.tables["wav.scp"].items() if entry in used
        }
    elif "wav.scp" in tables:
        tables["wav.scp"] = {utt: checked.tables["wav.scp"][utt] for utt in keep}
    for name in LENGTH_STREAMS:
        lengths = _lengths(checked, name, keep)
        if lengths:
            tables[name] = lengths
    if "spk2utt" in tables and "utt2spk" in tables:
        tables["spk2utt"] = invert(tables["utt2spk"])
    return tables


def _lengths(checked: Checked, name: str, keep: list[str]) -> dict[str, str]:
    """The lengths as they were where they were right, as measured elsewhere; nothing where one is not known."""
    wrong = {
        problem.id
        for problem in checked.problems
        if problem.kind in _LENGTH_KINDS and problem.path.name == name
    }
    table = checked.tables.get(name, {})
    lengths = {utt: table[utt] for utt in keep if utt in table and utt not in wrong}
    for utt in keep:
        if utt not in lengths:
            if utt not in checked.lengths:
                return {}
            num_samples, rate = checked.lengths[utt]
            lengths[utt] = f"{num_samples / rate:.4f}" if name == "utt2dur" else str(num_samples)
    return lengths


def invert(utt2spk: dict[str, str]) -> dict[str, str]:
    """`spk2utt` of an `utt2spk`: the utterances of each speaker, sorted, blanks between."""
    speakers: dict[str, list[str]] = {}
    for utt in sort_ids(utt2spk):
        speakers.setdefault(utt2spk[utt], []).append(utt)
    return {speaker: " ".join(speakers[speaker]) for speaker in sort_ids(speakers)}


def _back_up(path: Path) -> Path:
    """Copy a table to `.backup/`, under a name that no earlier copy has."""
    folder = path.parent / ".backup"
    folder.mkdir(exist_ok=True)
    copy, number = folder / path.name, 0
    while copy.exists():
        number += 1
        copy = folder / f"{path.name}.{number}"
    shutil.copy2(path, copy)
    return copy


def _place(problem: Problem) -> str:
    return f"{problem.path}:{problem.line}" if problem.line else str(problem.path)
