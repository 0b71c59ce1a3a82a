"""Kaldi archives, through the one import of kaldiio (extra `kaldi`).

kaldiio also opens shell commands and unpickles objects that it meets. Data is not code: files are opened here, and an
archive entry that holds a pickle is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from stxlib.errors import ConfigError, DataError


def _kaldiio() -> ModuleType:
    try:
        import kaldiio.matio
    except ImportError as error:
        raise ConfigError(
            f"kaldi archives: kaldiio cannot be imported ({error}); pip install 'stxlib[kaldi]' (its own licence applies)"
        ) from None
    return kaldiio.matio


def read_entry(path: Path | str, offset: int) -> Any:
    """What lies at `offset` of an archive: an array, or (rate, samples) where it is audio.

    Raises `DataError` for a pickle or for bytes that are no entry; OSError where the file cannot be opened.
    """
    matio = _kaldiio()
    with Path(path).open("rb") as archive:
        archive.seek(offset)
        flag = archive.read(3)
        archive.seek(offset)
        if flag == b"PKL":
            raise DataError(f"{path}:{offset}: the entry is a pickle, which is code; write it again as audio")
        if not flag:
            raise DataError(f"{path}:{offset}: the offset is past the end of the file; write the .scp again")
        try:
            return matio.read_kaldi(archive)
        except (
            Exception
        ) as error:  # kaldiio asserts, unpacks and converts: any kind of exception means bad bytes
            raise DataError(
                f"{path}:{offset}: no Kaldi entry ({type(error).__name__}: {error}); write the archive again"
            ) from None


def read_audio_entry(path: Path | str, offset: int) -> tuple[np.ndarray, int]:
    """Audio at `offset` of an archive: float32 samples in [-1, 1], (N,) or (N, channels), and their rate in Hz."""
    entry = read_entry(path, offset)
    if not (isinstance(entry, tuple) and len(entry) == 2):
        raise DataError(
            f"{path}:{offset}: the entry is a matrix without a sample rate; wav.scp needs audio there"
        )
    rate, samples = entry
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / np.float32(32768), int(rate)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / np.float32(128), int(rate)
    return samples.astype(np.float32), int(rate)


def write_archive(ark: Path | str, scp: Path | str, entries: Mapping[str, Any]) -> None:
    """Write arrays, or (rate, int16 samples) pairs, to an archive and its index `<id> <ark>:<offset>`."""
    _kaldiio().save_ark(str(ark), dict(entries), scp=str(scp))
