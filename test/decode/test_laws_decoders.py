"""What holds for every decoder: padding and company change nothing, and neither does the device."""

from __future__ import annotations

import typing
from typing import Any

import pytest
import torch

from stxlib.decode.classes import ClassesConfig
from stxlib.decode.ctc_greedy import CtcGreedy
from stxlib.decode.hypothesis import Hypothesis
from stxlib.decode.joint_beam import JointBeam
from stxlib.decode.recognizer import DecoderConfig
from stxlib.models.backbone import Backbone, BackboneConfig
from stxlib.nn.conformer import ConformerConfig
from stxlib.nn.transformer_decoder import DecoderConfig as AttentionConfig
from stxlib.text.tokenizer import BLANK, EOS, SOS

CONFIGS: list[Any] = [config() for config in typing.get_args(DecoderConfig) if config is not ClassesConfig]
DECODERS = {"joint_beam": JointBeam, "ctc_greedy": CtcGreedy}
LENS = [7, 1, 12, 0, 9, 12]


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(0)
    config = BackboneConfig(
        conformer=ConformerConfig(dim=16, num_heads=2, ff_dim=16, kernel_size=3, num_layers=1),
        decoder=AttentionConfig(dim=16, num_heads=2, ff_dim=16, num_layers=2),
    )
    backbone = Backbone(config, 8, 9).eval()
    with torch.no_grad():
        backbone.ctc.weight.mul_(4)
        backbone.decoder.out.weight.mul_(4)
    return backbone


def assert_same(ours: list[list[Hypothesis]], others: list[list[Hypothesis]]) -> None:
    for one, other in zip(ours, others, strict=True):
        assert [hypothesis.tokens for hypothesis in one] == [hypothesis.tokens for hypothesis in other]
        for left, right in zip(one, other, strict=True):
            assert left.score == pytest.approx(right.score, abs=1e-3)
            assert left.parts == pytest.approx(right.parts, abs=1e-3)


def test_every_decoder_is_here() -> None:
    assert [config.kind for config in CONFIGS] == list(DECODERS) and len(CONFIGS) == 2
    assert len(typing.get_args(DecoderConfig)) == 3  # the third, of classes, has a test of its own


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_padding_and_company_change_nothing(config: Any, backbone: Backbone) -> None:
    decoder = DECODERS[config.kind](backbone, config)
    latents, lens = torch.randn(len(LENS), 12, 8), torch.tensor(LENS)
    batch = decoder(latents, lens)
    alone = [
        decoder(latents[b : b + 1, : max(length, 1)], lens[b : b + 1])[0] for b, length in enumerate(LENS)
    ]
    assert_same(batch, alone)
    for b, length in enumerate(LENS):
        latents[b, length:] = torch.nan
    assert_same(batch, decoder(torch.nn.functional.pad(latents, (0, 0, 0, 5), value=9.0), lens))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_blank_start_and_end_are_never_written(config: Any, backbone: Backbone) -> None:
    with torch.no_grad():
        backbone.ctc.bias[[SOS, EOS]] += 20.0
        backbone.decoder.out.bias[[BLANK, SOS]] += 20.0
    found = DECODERS[config.kind](backbone, config)(torch.randn(len(LENS), 12, 8), torch.tensor(LENS))
    written = {token for hypotheses in found for hypothesis in hypotheses for token in hypothesis.tokens}
    assert written and not written & {BLANK, SOS, EOS}


@pytest.mark.requires_cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_a_gpu_finds_the_same(config: Any, backbone: Backbone) -> None:
    latents, lens = torch.randn(len(LENS), 12, 8), torch.tensor(LENS)
    on_cpu = DECODERS[config.kind](backbone, config)(latents, lens)
    assert_same(on_cpu, DECODERS[config.kind](backbone.cuda(), config)(latents.cuda(), lens.cuda()))
