"""SLUE's corpora as released (v0.2): where their tables and recordings lie, and what is the same in both.

    slue-<corpus>/slue-<corpus>_{fine-tune,dev,test_blind,test}.tsv

Source: Shon et al. 2022 (arXiv 2111.10367) and slue-toolkit's `prepare` scripts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from stxlib.data.slue_table import slue_rows
from stxlib.errors import DataError

SetName = Literal["train", "dev", "test"]
PARTS: Mapping[SetName, str] = MappingProxyType({"train": "fine-tune", "dev": "dev", "test": "test"})
"set -> its name in the release"
RELEASE_SOURCE = "v0.2, arXiv 2111.10367"


@dataclass(frozen=True)
class SlueRow:
    """A row of a table."""

    place: str
    "`file:line`"
    utt: str
    cells: Mapping[str, str]

    @property
    def speaker(self) -> str | None:
        """None where the table says `None`, nothing, or has no such column."""
        speaker = "_".join(self.cells.get("speaker_id", "").split())
        return None if speaker in ("", "None", "nan") else speaker


def marks(name: str) -> tuple[tuple[str, str], ...]:
    """Where `find_corpus` is to look for the folder `name` (slue-voxceleb, slue-voxpopuli)."""
    return ((".", f"{name}_fine-tune.tsv"), (name, f"{name}_fine-tune.tsv"))


def find_table(root: Path, name: str, which: SetName) -> Path:
    """The table of a set; of test the one with labels, else the blind one. Raises DataError."""
    paths = [root / f"{name}_{PARTS[which]}.tsv"]
    if which == "test":
        paths.append(root / f"{name}_test_blind.tsv")
    for path in paths:
        if path.is_file():
            return path
    missing = " nor ".join(path.name for path in paths)
    raise DataError(f"{root}: has no {missing}; unpack the release again")


def is_blind(table: Path) -> bool:
    """Whether it is a table of a test set whose labels were kept back, by its name."""
    return table.name.endswith("_blind.tsv")


def read_rows(table: Path, needed: Sequence[str]) -> list[SlueRow]:
    """All rows, in order. Raises DataError naming file and line, also for an id that is no name of a file."""
    rows = []
    for number, cells in slue_rows(table, needed):
        utt, place = cells["id"], f"{table}:{number}"
        if utt.split() != [utt] or "/" in utt:
            raise DataError(f"{place}: the id {utt!r} is no name of a recording; give the table as released")
        rows.append(SlueRow(place, utt, cells))
    if not rows:
        raise DataError(f"{table}: has a header and no rows; unpack the release again")
    return rows


def find_recordings(folder: Path, suffix: str, rows: Sequence[SlueRow]) -> dict[str, Path]:
    """Utterance -> its recording, absolute, whether it is there or not; recordings without a row are told.

    Raises DataError where there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: there is no such folder; expected the recordings, <id>{suffix}, as released"
        )
    paths = {row.utt: folder.resolve() / f"{row.utt}{suffix}" for row in rows}
    extra = {path.stem for path in folder.glob(f"[!.]*{suffix}")} - paths.keys()
    if extra:
        print(f"note: {folder}: {len(extra)} recordings are in no row of the table ({min(extra)} ...)")
    return paths


def tell_unknown_speakers(name: str, rows: Iterable[SlueRow]) -> None:
    """Print how many rows have no speaker: each is then a speaker of its own."""
    unknown = [row.utt for row in rows if row.speaker is None]
    if unknown:
        print(
            f"note: {name}: {len(unknown)} rows have no speaker; each counts as one of its own ({unknown[0]} ...)"
        )
