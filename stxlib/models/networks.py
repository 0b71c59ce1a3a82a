"""Every network by its `kind`. A new one is a new file, and its names here."""

from __future__ import annotations

from dataclasses import dataclass

from stxlib.models.causal_lm import CausalLM, CausalLMConfig
from stxlib.models.classifier import Classifier, ClassifierConfig
from stxlib.models.diffusion import DiffusionConfig, DiffusionSynthesizer
from stxlib.models.fixed_projection import FixedProjection, FixedProjectionConfig
from stxlib.models.speech_to_text import SpeechToText, SpeechToTextConfig
from stxlib.models.text_to_text import TextToText, TextToTextConfig
from stxlib.models.wave_encoder import WaveEncoder

NetworkConfig = (
    SpeechToTextConfig
    | TextToTextConfig
    | ClassifierConfig
    | FixedProjectionConfig
    | DiffusionConfig
    | CausalLMConfig
)
Network = SpeechToText | TextToText | Classifier | FixedProjection | DiffusionSynthesizer | CausalLM


@dataclass(frozen=True, kw_only=True)
class NetworkSizes:
    """What the vocabularies decide."""

    vocab_size: int
    """tokens"""
    num_units: int
    """units of the CTC at the latents"""
    num_classes: tuple[int, ...] = ()
    """of a classifier: classes of each task"""
    latent_dim: int = 0
    """of a synthesizer: width of the latents"""


def build_network(config: NetworkConfig, sizes: NetworkSizes, tasks: tuple[str, ...]) -> Network:
    """The network of a config, untrained. tasks: what it is to write."""
    if isinstance(config, SpeechToTextConfig):
        return SpeechToText(config, sizes.vocab_size, sizes.num_units)
    if isinstance(config, TextToTextConfig):
        return TextToText(config, sizes.vocab_size)
    if isinstance(config, FixedProjectionConfig):
        return FixedProjection(config, sizes.num_units, sizes.latent_dim)
    if isinstance(config, DiffusionConfig):
        return DiffusionSynthesizer(config, sizes.num_units, sizes.latent_dim)
    if isinstance(config, CausalLMConfig):
        return CausalLM(config, sizes.vocab_size)
    return Classifier(config, sizes.vocab_size, dict(zip(tasks, sizes.num_classes, strict=True)))


def speech_encoder(network: Network) -> WaveEncoder | None:
    """The part that takes waves; None in a network that takes text or units."""
    encoder = network.encoder if isinstance(network, SpeechToText | Classifier) else None
    return encoder if isinstance(encoder, WaveEncoder) else None
