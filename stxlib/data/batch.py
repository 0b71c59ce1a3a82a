"""What a network is fed: frozen, typed batches. A stream that is missing makes another type, not a `None`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor


class _OnDevice:
    def to(self, device: torch.device | str) -> Self:
        """The same batch with every tensor on `device`."""
        moved: dict[str, Any] = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                moved[field.name] = value.to(device, non_blocking=True)
        return replace(self, **moved)  # type: ignore[type-var]


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
    """Transcribed speech: what the decoder shall write (`tokens`) and what is heard at the latent layer (`units`)."""

    utts: tuple[str, ...]
    seeds: Tensor  # (B,) int64: augmentation of an utterance is a function of its seed alone
    waves: Tensor  # (B, N) float32 in [-1, 1]
    wave_lens: Tensor  # (B,) int64, samples
    tokens: Tensor  # (B, U) int64, without <sos> and <eos>
    token_lens: Tensor  # (B,) int64
    units: Tensor  # (B, U') int64
    unit_lens: Tensor  # (B,) int64
    sample_rate: int

    @property
    def num_seconds(self) -> float:
        """Seconds of audio, padding left out."""
        return float(self.wave_lens.sum()) / self.sample_rate


def pad(sequences: Sequence[Tensor], value: float = 0) -> tuple[Tensor, Tensor]:
    """Stack 1-D tensors of different lengths: (B, longest) filled up with `value`, and their (B,) int64 lengths."""
    lens = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.int64)
    return torch.nn.utils.rnn.pad_sequence(list(sequences), batch_first=True, padding_value=value), lens
