"""Batches of speech and text together: a part of each in every step, and text that is not heard."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from stxlib.data.batch import BatchWithUnheard, LatentBatch, MixedBatch, TextBatch
from stxlib.data.speech_loader import SpeechBatchConfig, SpeechBatches
from stxlib.data.text_loader import TextBatches
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
    unheard_ratio: float = 0.0
    """the same for text that the decoder writes without hearing it, by which it learns what sentences there are (0 or more; 0: none)"""
    max_units: int = 400
    """sentences with more units are left out of training, but for latents that were made before"""

    def __post_init__(self) -> None:
        if not 0 < self.text_ratio < math.inf:
            raise ConfigError(
                f"text_ratio: {self.text_ratio:g}; give a number above 0 (objective speech_to_text learns from speech alone)"
            )
        if not 0 <= self.unheard_ratio < math.inf:
            raise ConfigError(f"unheard_ratio: {self.unheard_ratio:g}; give 0 or more")
        if self.max_units < 1:
            raise ConfigError(f"max_units: {self.max_units}; give 1 or more")

    def text_units(self, seconds_per_unit: float) -> int:
        """Units of text that is heard in a batch, padding included; seconds_per_unit: how long one is."""
        return self._units(self.text_ratio, seconds_per_unit)

    def unheard_units(self, seconds_per_unit: float) -> int:
        """The same of text that is not heard."""
        return self._units(self.unheard_ratio, seconds_per_unit)

    def _units(self, ratio: float, seconds_per_unit: float) -> int:
        return max(1, round(ratio * self.speech.batch_seconds / seconds_per_unit))


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
        return _joined(self.speech.excluded, self.text.excluded)

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


class BatchesWithUnheard:
    """Mixed batches with text that is not heard in each of them."""

    def __init__(self, heard: MixedBatches, unheard: TextBatches) -> None:
        """unheard: may hold the sentences of the text that is heard (`TextBatches.in_batches_of`)."""
        self.heard, self.unheard = heard, unheard
        self.num_batches = heard.num_batches
        self._is_same_text = unheard.excluded is heard.text.excluded

    @property
    def excluded(self) -> dict[str, tuple[str, ...]]:
        """Utterances of all parts that are left out, by reason."""
        return (
            self.heard.excluded if self._is_same_text else _joined(self.heard.excluded, self.unheard.excluded)
        )

    def excluded_lines(self) -> list[str]:
        """One line for each reason and part."""
        return self.heard.excluded_lines() + ([] if self._is_same_text else self.unheard.excluded_lines())

    def summary(self) -> str:
        """How much there is, for the head of a log."""
        return f"{self.heard.summary()}; unheard {self.unheard.summary()}"

    def iterate(
        self, start_step: int, stop_step: int, shards: Sequence[int] = (0,)
    ) -> Iterator[BatchWithUnheard]:
        """As that of `MixedBatches`."""
        parts = zip(
            self.heard.iterate(start_step, stop_step, shards),
            self.unheard.iterate(start_step, stop_step, shards),
            strict=True,
        )
        for heard, unheard in parts:
            yield BatchWithUnheard(heard.speech, heard.text, heard.text_seconds, unheard)

    def worst_batch(self, shard: int = 0) -> BatchWithUnheard:
        """The largest batch that can occur, for a test of memory."""
        heard = self.heard.worst_batch(shard)
        return BatchWithUnheard(heard.speech, heard.text, heard.text_seconds, self.unheard.worst_batch(shard))


def _joined(
    one: Mapping[str, tuple[str, ...]], other: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Utterances of both by reason, each once."""
    reasons = dict.fromkeys((*one, *other))
    return {reason: tuple(dict.fromkeys(one.get(reason, ()) + other.get(reason, ()))) for reason in reasons}
