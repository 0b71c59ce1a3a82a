"""Every encoder of waves: what takes `(waves, wave_lens, seeds)` to latents, and has `config`, `dim` and `latents_per_second`."""

from __future__ import annotations

from stxlib.models.public_encoder import PublicEncoder, PublicEncoderConfig
from stxlib.models.speech_encoder import SpeechEncoder, SpeechEncoderConfig

WaveEncoder = SpeechEncoder | PublicEncoder


def build_wave_encoder(config: SpeechEncoderConfig | PublicEncoderConfig) -> WaveEncoder:
    """The encoder of a config: ours untrained, a public one with its weights (unless the config holds its architecture)."""
    return PublicEncoder(config) if isinstance(config, PublicEncoderConfig) else SpeechEncoder(config)
