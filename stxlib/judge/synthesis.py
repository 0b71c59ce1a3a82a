"""Synthesized latents of a set against the latents of its speech, utterance by utterance, and the figures of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxlib.judge.durations import compare_durations, true_durations
from stxlib.judge.latent_statistics import LatentMoments, distances
from stxlib.judge.reading_errors import reading_errors, symbol_errors

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LatentsOfUtterance:
    """Real or synthesized latents of one utterance of U units, how long these last, and what was read in them."""

    latents: NDArray[np.floating]
    "(T, D)"
    label_frames: NDArray[np.int64]
    "(U + 1,), 0 at position 0"
    blank_frames: NDArray[np.int64]
    "(U + 1,), at position 0 those before the first unit"
    units: Sequence[str]
    "read at the latents"
    tokens: Sequence[int] = ()
    "read after the backbone"
    text: str = ""
    "their words"

    @property
    def onsets(self) -> list[int]:
        """(U,) frame where each unit begins."""
        ends: list[int] = (self.label_frames + self.blank_frames).cumsum().tolist()
        return ends[:-1]


class SynthesisScore:
    """Counts and sums over a set; memory grows with its units, not with its latents."""

    def __init__(self, dim: int, frames_per_second: float) -> None:
        """dim: width of the latents."""
        self.utts: list[str] = []
        self._milliseconds = 1000 / frames_per_second
        self._real, self._made = LatentMoments(dim), LatentMoments(dim)
        self._halves = (LatentMoments(dim), LatentMoments(dim))
        self._references: dict[str, dict[str, str]] = {}
        self._readings: dict[str, dict[str, dict[str, str]]] = {}
        self._residual, self._num_paired = 0.0, 0
        self._durations: dict[str, dict[str, list[Array]]] = {"made": {}, "ctc": {}, "true": {}}

    def add(
        self,
        utt: str,
        real: LatentsOfUtterance,
        made: LatentsOfUtterance,
        timed: LatentsOfUtterance | None,
        *,
        units: Sequence[str],
        tokens: Sequence[int],
        text: str,
        seconds: float,
        phone_times: tuple[Sequence[str], Array] | None,
    ) -> None:
        """Count one utterance.

        timed: synthesized with the durations of `real`, so that each latent has a partner; None where the synthesizer takes none.
        units, tokens, text: what should be read; no tokens where they are not looked at. seconds: of its audio. phone_times: names and
        starts (seconds) of the phones that were spoken, where they are known.
        """
        self._real.add(real.latents)
        self._halves[len(self.utts) % 2].add(real.latents)
        self._made.add(made.latents)
        self.utts.append(utt)
        sides = {"real": real, "synthesized": made}
        if timed is not None:
            sides["real_durations"] = timed
            self._residual += float(((real.latents - timed.latents).astype(np.float64) ** 2).sum())
            self._num_paired += len(real.latents)
        self._add_readings(
            utt, "units", " ".join(units), {name: " ".join(s.units) for name, s in sides.items()}
        )
        if tokens:
            self._add_readings(
                utt, "tokens", _joined(tokens), {name: _joined(s.tokens) for name, s in sides.items()}
            )
            self._add_readings(utt, "words", text, {name: side.text for name, side in sides.items()})
        self._add_durations("made", *self._of_path(made))
        self._add_durations("ctc", *self._of_path(real))
        true = np.full(len(units) + 1, np.nan)
        if phone_times is not None:
            true = true_durations(units, *phone_times, seconds)
        self._add_durations("true", true, 1000 * seconds)

    def figures(self, speakers: Mapping[str, str] | None) -> dict[str, Any]:
        """Every figure, for JSON but for nan. speakers: of the utterances, for intervals, where they are known."""
        errors, unit_errors = {}, {}
        for name in ("words", "tokens", "units"):
            if name not in self._references:
                continue
            found = {
                side: reading_errors(self._references[name], readings, speakers)
                for side, readings in self._readings[name].items()
            }
            errors[name] = {side: figures for side, (figures, _) in found.items()}
            if name == "units":
                unit_errors = symbol_errors(found["real"][1], found["synthesized"][1])
        durations = {name: self._compare(one, two) for name, one, two in _COMPARED}
        return {
            "utterances": len(self.utts),
            "latents": {"real": self._real.count, "synthesized": self._made.count},
            "errors": errors,
            "unit_errors": unit_errors,
            "statistics": self._statistics(),
            "per_dimension": {
                f"{name}_{side}": getattr(found, name).tolist()
                for side, found in (("real", self._real), ("synthesized", self._made))
                for name in ("mean", "std")
            },
            "durations": durations,
        }

    @property
    def scale(self) -> tuple[Array, Array]:
        """Mean and standard deviation of the real latents, (D,) each."""
        return self._real.mean, self._real.std.clip(min=1e-12)

    def _statistics(self) -> dict[str, Any]:
        own = {"norm": self._made.norm, "neighbour_correlation": self._made.neighbour_correlation}
        # With one utterance, a half is empty.
        halves = distances(*self._halves) if len(self.utts) > 1 else None
        return {
            "synthesized": distances(self._real, self._made) | own,
            "halves_of_real": halves,
            "explained": self._explained(),
            "real_norm": self._real.norm,
            "real_neighbour_correlation": self._real.neighbour_correlation,
        }

    def _explained(self) -> float | None:
        """Part of the variance of real latents that synthesized ones with the same durations have as well, frame by frame."""
        if not self._num_paired:
            return None
        return 1 - self._residual / (self._num_paired * float((self._real.std**2).sum()))

    def _add_readings(self, utt: str, name: str, reference: str, readings: Mapping[str, str]) -> None:
        self._references.setdefault(name, {})[utt] = reference
        for side, reading in readings.items():
            self._readings.setdefault(name, {}).setdefault(side, {})[utt] = reading

    def _of_path(self, side: LatentsOfUtterance) -> tuple[Array, float, Array, Array]:
        label, blank = (
            frames.astype(np.float64) * self._milliseconds
            for frames in (side.label_frames, side.blank_frames)
        )
        return label + blank, float((label + blank).sum()), label, blank

    def _add_durations(
        self,
        side: str,
        positions: Array,
        total: float,
        label: Array | None = None,
        blank: Array | None = None,
    ) -> None:
        """positions: (U + 1,) milliseconds of each position."""
        rows = {
            "unit": positions[1:-1],
            "first_silence": positions[:1],
            "last_unit": positions[-1:],
            "utterance": np.array([total]),
        }
        if label is not None and blank is not None:
            rows |= {"label": label[1:-1], "blank": blank[1:-1]}
        for row, values in rows.items():
            self._durations[side].setdefault(row, []).append(values)

    def _compare(self, one: str, two: str) -> dict[str, Any] | None:
        """Rows of figures; None where nothing is known of one side."""
        sides = [
            {row: np.concatenate(values) for row, values in self._durations[side].items()}
            for side in (one, two)
        ]
        if not np.isfinite(sides[1]["unit"]).any():
            return None
        shared = [row for row in _ROWS if row in sides[0] and row in sides[1]]
        return {row: compare_durations(sides[0][row], sides[1][row]) for row in shared}


def _joined(tokens: Sequence[int]) -> str:
    return " ".join(map(str, tokens))


_COMPARED = (
    ("synthesized_against_ctc", "made", "ctc"),
    ("synthesized_against_true", "made", "true"),
    ("ctc_against_true", "ctc", "true"),
)
_ROWS = ("unit", "label", "blank", "first_silence", "last_unit", "utterance")
