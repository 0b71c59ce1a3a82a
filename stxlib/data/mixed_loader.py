"""Batches of speech and text together: a part of each in every step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from stxlib.data.batch import LatentBatch, MixedBatch, TextBatch
from stxlib.data.speech_loader import SpeechBatchConfig, SpeechBatches
from stxlib.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class MixedBatchConfig:
    """How speech and text share a batch."""

    kind: Literal["mixed"] = "mixed"
    """speech and text, both with labels"""
    speech: SpeechBatchConfig = field(default_factory=SpeechBatchConfig)
    """the speech in a batch"""
    text_ratio: float = 3.0
    """seconds of text, as if spoken, for each second of `speech.batch_seconds` (above 0)"""
    max_units: int = 400
    """sentences with more units are left out of training; of latents that were made before, none is"""

    def __post_init__(self) -> None:
        if not 0 < self.text_ratio < math.inf:
            raise ConfigError(
                f"text_ratio: {self.text_ratio:g}; give a number above 0 (objective speech_to_text learns from speech alone)"
            )
        if self.max_units < 1:
            raise ConfigError(f"max_units: {self.max_units}; give 1 or more")

    def batch_units(self, seconds_per_unit: float) -> int:
        """Units of text in a batch, padding included; seconds_per_unit: how long one is."""
        return max(1, round(self.text_ratio * self.speech.batch_seconds / seconds_per_unit))


class TextPart(Protocol):
    """Batches of text, endless."""

    utts: list[str]
    excluded: dict[str, tuple[str, ...]]

    def summary(self) -> str: ...

    def excluded_lines(self) -> list[str]: ...

    def iterate(
        self, start_step: int, stop_step: int, shards: Sequence[int] = (0,)
    ) -> Iterator[TextBatch | LatentBatch]: ...

    def worst_batch(self, shard: int = 0) -> TextBatch | LatentBatch: ...


class MixedBatches:
    """The batch of a step is that of the speech and that of the text at this step; an epoch is one of the speech."""

    def __init__(self, speech: SpeechBatches, text: TextPart, seconds_per_unit: float) -> None:
        """seconds_per_unit: of text, or of latents where these are given."""
        self.speech, self.text, self.seconds_per_unit = speech, text, seconds_per_unit
        self.num_batches = speech.num_batches

    @property
    def excluded(self) -> dict[str, tuple[str, ...]]:
        """Utterances of both that are left out, by reason."""
        reasons = dict.fromkeys((*self.speech.excluded, *self.text.excluded))
        return {
            reason: self.speech.excluded.get(reason, ()) + self.text.excluded.get(reason, ())
            for reason in reasons
        }

    def excluded_lines(self) -> list[str]:
        """One line for each reason and part."""
        return self.speech.excluded_lines() + self.text.excluded_lines()

    def summary(self) -> str:
        """How much there is, for the head of a log."""
        return f"speech {self.speech.summary()}; text {self.text.summary()}"

    def iterate(self, start_step: int, stop_step: int, shards: Sequence[int] = (0,)) -> Iterator[MixedBatch]:
        """The parts `shards` of the batches of the steps from start_step to stop_step - 1: all of a step, then the next."""
        both = zip(
            self.speech.iterate(start_step, stop_step, shards),
            self.text.iterate(start_step, stop_step, shards),
            strict=True,
        )
        for speech, text in both:
            yield MixedBatch(speech, text, self._seconds(text))

    def worst_batch(self, shard: int = 0) -> MixedBatch:
        """The largest batch that can occur, for a test of memory."""
        text = self.text.worst_batch(shard)
        return MixedBatch(self.speech.worst_batch(shard), text, self._seconds(text))

    def _seconds(self, text: TextBatch | LatentBatch) -> float:
        lens = text.source.lens if isinstance(text, TextBatch) else text.latent_lens
        return float(lens.sum()) * self.seconds_per_unit
