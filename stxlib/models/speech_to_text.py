"""Speech to text: encoder, a CTC output on its latents, and the backbone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor, nn

from stxlib.models.backbone import Backbone, BackboneConfig
from stxlib.models.public_encoder import PublicEncoderConfig
from stxlib.models.speech_encoder import SpeechEncoderConfig
from stxlib.models.wave_encoder import build_wave_encoder


@dataclass(frozen=True, kw_only=True)
class SpeechToTextConfig:
    kind: Literal["speech_to_text"] = "speech_to_text"
    """hybrid CTC/attention recognizer with a CTC at the latent layer"""
    encoder: SpeechEncoderConfig | PublicEncoderConfig = field(default_factory=SpeechEncoderConfig)
    """from the wave to the latents"""
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    """from the latents to the tokens"""


class SpeechToText(nn.Module):
    """A speech encoder, a linear CTC output of `num_units` units on its latents, and a backbone of `vocab_size` tokens."""

    def __init__(self, config: SpeechToTextConfig, vocab_size: int, num_units: int) -> None:
        super().__init__()
        self.encoder = build_wave_encoder(config.encoder)
        self.config = replace(config, encoder=self.encoder.config)
        self.vocab_size = vocab_size
        self.num_units = num_units
        self.unit_head = nn.Linear(self.encoder.dim, num_units)
        self.backbone = Backbone(config.backbone, self.encoder.dim, vocab_size)

    @property
    def sample_rate(self) -> int:
        """Samples a second of the waves it takes."""
        return self.encoder.config.sample_rate

    def encode(self, waves: Tensor, wave_lens: Tensor) -> tuple[Tensor, Tensor]:
        """From waves (B, N) to the backbone's encoded frames (B, T', D), and their lengths; nothing is hidden (decoding)."""
        return self.backbone.encode(*self.encoder(waves, wave_lens, None))
