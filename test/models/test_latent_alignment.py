"""Aligned latents: those of the frozen encoder, with every frame accounted for."""

from __future__ import annotations

import pytest
import torch

from stxlib.errors import DataError
from stxlib.models.backbone import BackboneConfig
from stxlib.models.latent_alignment import align_latents
from stxlib.models.speech_encoder import SpeechEncoderConfig
from stxlib.models.speech_to_text import SpeechToText, SpeechToTextConfig
from stxlib.nn.conformer import ConformerConfig
from stxlib.nn.transformer_decoder import DecoderConfig

BLOCK = ConformerConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24, kernel_size=3, dropout=0.5)
CONFIG = SpeechToTextConfig(
    encoder=SpeechEncoderConfig(num_mels=20, conv_channels=4, conformer=BLOCK),
    backbone=BackboneConfig(
        conformer=BLOCK, decoder=DecoderConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24)
    ),
)


@pytest.fixture(scope="module")
def network() -> SpeechToText:
    torch.manual_seed(0)
    return SpeechToText(CONFIG, vocab_size=11, num_units=7)


WAVES, WAVE_LENS = (
    torch.randn(2, 16000, generator=torch.Generator().manual_seed(0)),
    torch.tensor([16000, 9000]),
)
UNITS, UNIT_LENS = torch.tensor([[1, 2, 3, 4], [5, 5, 0, 0]]), torch.tensor([4, 2])


def test_latents_are_those_of_the_encoder_at_rest(network: SpeechToText) -> None:
    network.train()
    network.encoder.subsampling.eval()  # a part that is frozen
    aligned = align_latents(network, WAVES, WAVE_LENS, UNITS, UNIT_LENS)
    assert network.training and network.encoder.training and network.encoder.conformer.training
    assert not network.encoder.subsampling.training
    assert not aligned.latents.requires_grad
    latents, lens = network.eval().encoder(WAVES, WAVE_LENS, None)
    assert torch.equal(aligned.latents, latents) and torch.equal(aligned.latent_lens, lens)
    assert torch.equal(aligned.segments.frame_lens, lens)
    assert aligned.segments.units.tolist() == [[0, 1, 2, 3, 4], [0, 5, 5, 0, 0]]
    hidden = align_latents(network, WAVES, WAVE_LENS, UNITS, UNIT_LENS, seeds=torch.tensor([1, 2]))
    assert not torch.equal(hidden.latents, latents)


def test_too_many_units_are_an_error(network: SpeechToText) -> None:
    with pytest.raises(DataError, match="utterance 1 of the batch has .* its labels need 5; leave it out"):
        align_latents(
            network,
            WAVES,
            torch.tensor([16000, 1600]),
            torch.ones(2, 3, dtype=torch.int64),
            torch.tensor([1, 3]),
        )
