"""SLUE-VoxCeleb (sentiment) as released, v0.2.

    slue-voxceleb/slue-voxceleb_{fine-tune,dev,test_blind,test}.tsv   id normalized_text speaker_id split sentiment start_second end_second
    slue-voxceleb/{fine-tune,dev,test}_raw/<id>.flac                  whole recordings; an utterance is from start_second to end_second

The text is taken as it stands: SLUE counts word errors on it so. Rows of other sentiments than Negative, Neutral and Positive are
left out, of words as of sentiment, as slue-toolkit does. Where start and end fall between samples, the nearest are taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from stxlib.data.audio import END_TOLERANCE_SECONDS
from stxlib.data.corpus_set import LEAVE_OUT, CorpusSet, count_text
from stxlib.data.slue_corpus import (
    PARTS,
    RELEASE_SOURCE,
    SetName,
    SlueRow,
    find_recordings,
    find_table,
    is_blind,
    read_rows,
    tell_unknown_speakers,
)
from stxlib.data.slue_table import SENTIMENTS
from stxlib.data.text_rows import squeeze
from stxlib.errors import DataError

NAME = "slue-voxceleb"
RELEASED: Mapping[SetName, int] = MappingProxyType({"train": 5777, "dev": 1454, "test": 3553})
"rows of the tables, before any is left out (Shon et al. 2022 as of v0.2; slue-toolkit, README)"
USABLE: Mapping[SetName, int] = MappingProxyType({"train": 5729, "dev": 1437})
"rows of them with one of SLUE's three sentiments (rows of predictions that were published for them)"
_OLD_DEV_ROWS = 954  # of v0.1, whose dev set has three negative utterances


class _NoCut(ValueError):
    """A row that tells no part of its recording: the reason, and what was seen."""


def read_voxceleb(root: Path, which: SetName, table: Path | None = None, *, fix: bool = False) -> CorpusSet:
    """A set: audio, `segments`, `utt2spk`, lengths, and where it is not blind `text` and `sentiment`.

    root: the folder slue-voxceleb. table: of the set, in place of the one there. Dropped: rows of another sentiment than SLUE's three, and
    without words; with `fix` those whose times are no part of their recording. Prints what is unlike the release. Raises DataError naming
    file and line.
    """
    table = table or find_table(root, NAME, which)
    blind = is_blind(table)
    labels = () if blind else ("normalized_text", "sentiment")
    rows = read_rows(table, ("start_second", "end_second", *labels))
    if warning := count_text(f"{NAME} {which}", "rows", len(rows), RELEASED[which], RELEASE_SOURCE):
        old = (
            "; these are the rows of v0.1: get v0.2" if which == "dev" and len(rows) == _OLD_DEV_ROWS else ""
        )
        print(warning + old)
    if blind:
        print(f"note: {NAME} {which}: {table.name} is blind: no text and no sentiment, nothing to be scored")
    found = CorpusSet(num_rows=len(rows))
    kept = [row for row in rows if blind or _is_usable(row, found)]
    if len(rows) == RELEASED[which] and not blind:
        usable = sum(row.cells["sentiment"] in SENTIMENTS for row in rows)
        what = "rows with a sentiment that counts"
        if warning := count_text(f"{NAME} {which}", what, usable, USABLE.get(which), RELEASE_SOURCE):
            print(warning)
    recordings = find_recordings(root / f"{PARTS[which]}_raw", ".flac", rows)
    for row in kept:
        found.add(row.utt, row.place, {}, recordings[row.utt])
    measured = found.measure()
    clipped = []
    for row in kept:
        values = {"utt2spk": row.speaker or row.utt}
        if not blind:
            values |= {"text": squeeze(row.cells["normalized_text"]), "sentiment": row.cells["sentiment"]}
        length = measured[row.utt]
        if not isinstance(length, str):  # else `CorpusSet.write` tells, or leaves it out
            try:
                values |= _cut(row, *length)
            except _NoCut as error:
                reason, seen = error.args
                if not fix:
                    raise DataError(f"{row.place}: {seen}, {LEAVE_OUT}") from None
                found.drop(row.utt, reason)
                continue
            if values["segments"].split()[2] != row.cells["end_second"]:
                clipped.append(row.utt)
        found.add(row.utt, row.place, values)
    tell_unknown_speakers(f"{NAME} {which}", (row for row in kept if row.utt in found.places))
    if clipped:
        shown = " ".join(clipped[:5])
        print(
            f"note: {NAME} {which}: {len(clipped)} rows end after their recording, and are cut there ({shown})"
        )
    return found


def _is_usable(row: SlueRow, found: CorpusSet) -> bool:
    sentiment = row.cells["sentiment"]
    if sentiment not in SENTIMENTS:
        found.dropped.add(row.utt, f"sentiment {sentiment or 'None'}", row.place)
    elif squeeze(row.cells["normalized_text"]) in ("", "None"):
        found.dropped.add(row.utt, "no words", row.place)
    else:
        return True
    return False


def _cut(row: SlueRow, num_samples: int, rate: int) -> dict[str, str]:
    """`segments`, with times as the table has them, the end at most that of the recording; and the lengths of what is between.

    Raises _NoCut.
    """
    start, end = row.cells["start_second"], row.cells["end_second"]
    try:
        first, last = float(start), float(end)
    except ValueError:
        first = last = math.nan
    if not 0 <= first < last < math.inf:
        raise _NoCut(
            "its times are no part of a recording",
            f"start_second {start!r}, end_second {end!r}; expected 0 <= start < end, in seconds",
        )
    seconds = num_samples / rate
    if first >= seconds:
        raise _NoCut(
            "starts after the end of its recording",
            f"{row.utt} starts at {start} s, and its recording has {seconds:.3f} s; "
            "expected whole recordings in the folders *_raw: unpack the release again",
        )
    if last > seconds + END_TOLERANCE_SECONDS:
        end = f"{seconds:.4f}"
    length = min(round(float(end) * rate), num_samples) - round(first * rate)
    return {
        "segments": f"{row.utt} {start} {end}",
        "utt2num_samples": str(length),
        "utt2dur": f"{length / rate:.4f}",
    }
