"""A small untrained network and sounds for it, for the commands that decode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from stxlib.data.batch import pad
from stxlib.models.backbone import BackboneConfig
from stxlib.models.networks import NetworkSizes
from stxlib.models.saved import SavedConfig, save_network
from stxlib.models.speech_encoder import SpeechEncoderConfig
from stxlib.models.speech_to_text import SpeechToText, SpeechToTextConfig
from stxlib.nn.conformer import ConformerConfig
from stxlib.nn.transformer_decoder import DecoderConfig
from stxlib.text.phones import SubwordsConfig, UnitVocabulary
from stxlib.text.saved import Units, UnitsConfig, save_units
from stxlib.text.target_vocabulary import TargetVocabulary
from stxlib.text.targets import Targets
from stxlib.text.tokenizer import EOS, SentencePieceConfig, SubwordTokenizer


def speech(seconds: float, seed: int, rate: int = 16000) -> np.ndarray:
    """Return a tone that changes every 50 ms, with noise: something for a network to tell apart."""
    rng = np.random.default_rng(seed)
    num_samples = round(seconds * rate)
    tone = np.sin(np.cumsum(2 * np.pi / rate * rng.uniform(150, 3000, num_samples // 800 + 1).repeat(800)))
    return (0.2 * tone[:num_samples] + 0.02 * rng.standard_normal(num_samples)).astype(np.float32)


def save_model(folder: Path, seed: int = 5, vocabulary: TargetVocabulary | None = None, **saved: Any) -> Path:
    """Save a network whose output, though meaningless, differs from wave to wave; return its folder.

    vocabulary: of its targets, where it writes more than words. saved: of `SavedConfig`.
    """
    lines = ["turn the light on", "play the song again", "what is the weather in tonburgh"]
    targets = Targets(vocabulary or TargetVocabulary())
    tokens = SubwordTokenizer.train(lines, SentencePieceConfig(vocab_size=30)).extended(targets.symbols)
    units = UnitVocabulary.of(tokens.symbols[4 : tokens.num_pieces])
    settings = UnitsConfig(units=SubwordsConfig(), targets=targets.vocabulary.config)
    save_units(Units(tokens, units, settings, targets), folder / "units")
    torch.manual_seed(seed)
    block = ConformerConfig(dim=16, num_heads=2, ff_dim=16, kernel_size=3, num_layers=1)
    decoder = DecoderConfig(dim=16, num_heads=2, ff_dim=16, num_layers=1)
    config = SpeechToTextConfig(
        encoder=SpeechEncoderConfig(conformer=block, conv_channels=4),
        backbone=BackboneConfig(conformer=block, decoder=decoder),
    )
    network = SpeechToText(config, tokens.vocab_size, units.vocab_size)
    waves, wave_lens = pad([torch.from_numpy(speech(2.0, 99))])
    network.encoder.estimate_normalization([(waves, wave_lens)])
    with torch.no_grad():
        # What all frames have in common is taken off: it would decide alone, and every wave would read alike.
        encoded, _ = network.eval().encode(waves, wave_lens)
        network.backbone.ctc.weight.mul_(30)
        network.backbone.ctc.bias.copy_(-network.backbone.ctc.weight @ encoded[0].mean(0))
        network.backbone.decoder.out.bias[EOS] += 1
    sizes = NetworkSizes(vocab_size=tokens.vocab_size, num_units=units.vocab_size)
    learnt = SavedConfig(sizes=sizes, network=config, **saved)
    save_network(folder / "train", network, learnt, units_dir=folder / "units")
    return folder / "train"
