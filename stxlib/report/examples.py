"""Utterances to look at and to hear: the worst, and some that are neither good nor bad by choice."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from stxlib.data.data_dir import DataDir
from stxlib.errors import DataError
from stxlib.score.alignment import Alignment

Item = TypeVar("Item")

SAMPLE_RATE = 16_000
MAX_SECONDS = 12.0
"longer utterances are not embedded"


def worst(alignments: Sequence[Alignment], number: int) -> list[Alignment]:
    """Those with the most errors; of equals, those with the higher rate."""

    def badness(item: Alignment) -> tuple[float, float, str]:
        return -item.num_errors, -item.num_errors / max(1, len(item.reference)), item.utt

    return [item for item in sorted(alignments, key=badness)[:number] if item.num_errors]


def evenly(items: Sequence[Item], number: int) -> list[Item]:
    """Evenly spaced through the set: not chosen by how they came out, and the same every time."""
    number = min(number, len(items))
    return [items[(2 * place + 1) * len(items) // (2 * number)] for place in range(number)]


class Clips:
    """Audio as `data:` addresses, until the budget of the page is spent.

    budget: bytes of base64 in all.
    """

    def __init__(self, budget: int) -> None:
        self._left = budget
        self._done: set[tuple[str, str]] = set()

    def clip(self, data: DataDir | None, utt: str) -> str | None:
        """A WAV of 16 kHz and 16 bits; None if there is no audio, it is long, is on the page already, or the budget is spent.

        Commands in wav.scp are not run for a report. Raises DataError for audio that cannot be read.
        """
        if data is None or not data.has_audio or (key := (str(data.path), utt)) in self._done:
            return None
        samples = data.load_wave(utt, SAMPLE_RATE)
        size = 4 * ((44 + 2 * len(samples) + 2) // 3)
        if len(samples) > MAX_SECONDS * SAMPLE_RATE or size > self._left:
            return None
        self._left -= size
        self._done.add(key)
        return "data:audio/wav;base64," + base64.b64encode(encode_wav(samples, SAMPLE_RATE)).decode("ascii")


def encode_wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """(N,) floats in [-1, 1] as a WAV file of 16 bits."""
    whole = np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(whole.tobytes())
    return file.getvalue()


def open_data(ref: str | None, data: Path | None, name: str) -> DataDir | None:
    """The data directory of a scored set: where it was scored from, else `data`/<set>; None if it is in neither place."""
    places = [*([Path(ref)] if ref else []), *([data / name] if data is not None else [])]
    for place in places:
        if place.is_dir():
            try:
                return DataDir(place)
            except DataError:
                continue
    return None
