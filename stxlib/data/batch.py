"""What a network is fed: frozen, typed batches. A stream that is missing makes another type, not a `None`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor


class _OnDevice:
    def to(self, device: torch.device | str) -> Self:
        """The same with every tensor on `device`."""
        moved = {field.name: _move(getattr(self, field.name), device) for field in fields(self)}  # type: ignore[arg-type]
        return replace(self, **moved)  # type: ignore[type-var]


def _move(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, _OnDevice):
        return value.to(device)
    if isinstance(value, dict):
        return {name: _move(item, device) for name, item in value.items()}
    return value


@dataclass(frozen=True)
class Sequences(_OnDevice):
    """One sequence of ids for each utterance of a batch."""

    ids: Tensor  # (B, U) int64, filled up with 0
    lens: Tensor  # (B,) int64

    @staticmethod
    def of(sequences: Sequence[Sequence[int]]) -> Sequences:
        """From plain numbers."""
        if not sequences:
            return Sequences(torch.zeros(0, 0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
        return Sequences(*pad([torch.tensor(ids, dtype=torch.int64) for ids in sequences]))

    def first(self, count: int) -> Sequences:
        """Of the first `count` utterances."""
        return Sequences(self.ids[:count], self.lens[:count])

    def tolist(self) -> list[list[int]]:
        """Plain numbers, without padding."""
        return [row[:n] for row, n in zip(self.ids.tolist(), self.lens.tolist(), strict=True)]


@dataclass(frozen=True)
class WaveBatch(_OnDevice):
    """Speech without labels, as decoding reads it."""

    utts: tuple[str, ...]
    waves: Tensor  # (B, N) float32 in [-1, 1]
    wave_lens: Tensor  # (B,) int64, samples
    sample_rate: int

    @property
    def num_seconds(self) -> float:
        """Seconds of audio, padding left out."""
        return float(self.wave_lens.sum()) / self.sample_rate


@dataclass(frozen=True)
class SpeechBatch(_OnDevice):
    """Labelled speech. `labels` are by name: `units`, heard at the latent layer, and what is to be written for each task (`asr`, ...)."""

    utts: tuple[str, ...]
    seeds: Tensor  # (B,) int64: augmentation of an utterance is a function of its seed alone
    waves: Tensor  # (B, N) float32 in [-1, 1]
    wave_lens: Tensor  # (B,) int64, samples
    sample_rate: int
    labels: dict[str, Sequences]

    size_unit = "audio_s"

    @property
    def size(self) -> float:
        """Seconds of audio, padding left out."""
        return float(self.wave_lens.sum()) / self.sample_rate


@dataclass(frozen=True)
class TextBatch(_OnDevice):
    """Labelled text: what is read, and what is to be written for each task."""

    utts: tuple[str, ...]
    seeds: Tensor  # (B,) int64: what is drawn for a sentence is a function of its seed alone
    source: Sequences
    labels: dict[str, Sequences]

    size_unit = "tokens"

    @property
    def size(self) -> float:
        """Tokens that are read, padding left out."""
        return float(self.source.lens.sum())


@dataclass(frozen=True)
class LatentBatch(_OnDevice):
    """Labelled text that has been turned into latents before."""

    utts: tuple[str, ...]
    seeds: Tensor  # (B,) int64
    latents: Tensor  # (B, T', D) float32, zero past latent_lens
    latent_lens: Tensor  # (B,) int64
    labels: dict[str, Sequences]


@dataclass(frozen=True)
class MixedBatch(_OnDevice):
    """Labelled speech, and labelled text that is learnt from as if it had been spoken."""

    speech: SpeechBatch
    text: TextBatch | LatentBatch
    text_seconds: float  # how long the text is, about, if it is spoken

    size_unit = "audio_s"

    @property
    def utts(self) -> tuple[str, ...]:
        """Of both."""
        return self.speech.utts + self.text.utts

    @property
    def size(self) -> float:
        """Seconds of both, padding left out."""
        return self.speech.size + self.text_seconds


@dataclass(frozen=True)
class BatchWithUnheard(MixedBatch):
    """Besides, labelled text that is written without being heard; it has no part in the size, which is of what is heard."""

    unheard: TextBatch


def pad(sequences: Sequence[Tensor], value: float = 0) -> tuple[Tensor, Tensor]:
    """Stack 1-D tensors of different lengths: (B, longest) filled up with `value`, and their (B,) int64 lengths."""
    lens = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.int64)
    return torch.nn.utils.rnn.pad_sequence(list(sequences), batch_first=True, padding_value=value), lens
