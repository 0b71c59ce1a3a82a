"""What is peculiar to learning from two kinds of latents; the laws of all objectives are in test_laws_networks.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from stxlib.data.batch import BatchWithUnheard, LatentBatch, MixedBatch, Sequences, SpeechBatch, TextBatch
from stxlib.errors import ConfigError
from stxlib.models.backbone import BackboneConfig
from stxlib.models.speech_encoder import SpeechEncoderConfig
from stxlib.models.speech_to_text import SpeechToText, SpeechToTextConfig
from stxlib.nn.conformer import ConformerConfig
from stxlib.nn.transformer_decoder import DecoderConfig
from stxlib.objectives.latent_synthesis import (
    LatentMaskConfig,
    LatentSynthesisLossConfig,
    LatentSynthesisObjective,
)
from stxlib.ops.segments import Segments

DIM, VOCAB, UNITS = 16, 13, 9
BLOCKS = ConformerConfig(num_layers=1, dim=DIM, num_heads=2, ff_dim=24, kernel_size=5, dropout=0.0)
DECODER = DecoderConfig(num_layers=1, dim=DIM, num_heads=2, ff_dim=24, dropout=0.0)


class TwoFrames(nn.Module):
    """A synthesizer of two equal frames for each unit."""

    def __init__(self) -> None:
        super().__init__()
        self.num_units, self.dim, self.frames_per_unit = UNITS, DIM, 2.0
        self.register_buffer("rows", torch.randn(UNITS, DIM))
        self.register_buffer("latent_mean", torch.full((DIM,), 7.0))
        self.register_buffer("latent_std", torch.ones(DIM))

    def sample(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        latents = self.rows[units].repeat_interleave(2, 1)
        valid = torch.arange(latents.shape[1]) < 2 * unit_lens[:, None]
        return latents * valid[:, :, None], 2 * unit_lens

    def durations(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> Segments:
        raise NotImplementedError


def objective(**options: object) -> LatentSynthesisObjective:
    torch.manual_seed(0)
    config = SpeechToTextConfig(
        encoder=SpeechEncoderConfig(num_mels=12, conv_channels=4, conformer=BLOCKS),
        backbone=BackboneConfig(conformer=BLOCKS, decoder=DECODER),
    )
    loss = LatentSynthesisLossConfig(tasks=("asr", "slu"), **options)  # type: ignore[arg-type]
    return LatentSynthesisObjective(
        SpeechToText(config, VOCAB, UNITS), TwoFrames(), loss, {"asr": 4, "slu": 5}
    )


def batch() -> MixedBatch:
    labels = {"asr": Sequences.of([[6, 7], [8]]), "slu": Sequences.of([[9], [10, 11]])}
    waves = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(1))
    speech = SpeechBatch(("a", "b"), torch.tensor([1, 2]), waves, torch.tensor([16000, 12000]), 16000, labels)
    text = TextBatch(("c", "d"), torch.tensor([3, 4]), Sequences.of([[3, 4, 5], [6]]), labels)
    return MixedBatch(speech, text, 1.0)


def unheard(**labels: list[list[int]]) -> TextBatch:
    return TextBatch(
        ("e",),
        torch.tensor([5]),
        Sequences.of([[7]]),
        {task: Sequences.of(ids) for task, ids in labels.items()},
    )


def besides(both: MixedBatch, text: TextBatch) -> BatchWithUnheard:
    return BatchWithUnheard(both.speech, both.text, both.text_seconds, text)


def test_parts_of_latents_are_hidden_behind_the_mean_in_training_only() -> None:
    mask = LatentMaskConfig(num_time_masks=2, max_time_frames=20, max_time_part=0.4)
    learning = objective(latent_mask=mask)
    latents, lens, seeds = torch.zeros(30, 50, DIM), torch.full((30,), 50), torch.arange(30)
    assert torch.equal(learning.eval().hide(latents, lens, seeds), latents)
    learning.train()
    hidden = learning.hide(latents, lens, seeds)
    frames = (hidden == 7.0).all(2)
    assert torch.equal(frames, (hidden != 0).any(2))  # a frame is as it was, or the mean
    shares = frames.double().mean(1)
    assert 0 <= float(shares.min()) < float(shares.max()) <= 0.8
    alone = learning.hide(latents[3:4], lens[3:4], seeds[3:4])
    assert torch.equal(alone[0], hidden[3])
    mask = replace(mask, num_time_masks=0, num_freq_masks=1, max_freq_bins=DIM)
    columns = (objective(latent_mask=mask).train().hide(latents, lens, seeds) == 7.0).all(1)
    assert 0.2 < float(columns.double().mean()) < 0.8


def test_text_counts_as_much_as_its_weight() -> None:
    both = batch()
    whole, half, none = (objective(text_weight=weight).eval()(both)["loss"] for weight in (1.0, 0.5, 0.0))
    speech = objective().eval()(both.speech)["loss"]
    assert float(none.sum) == pytest.approx(float(speech.sum)) and float(none.count) == float(speech.count)
    assert float(half.sum - none.sum) == pytest.approx(0.5 * float(whole.sum - none.sum), rel=1e-4)
    assert float(half.count - none.count) == 0.5 * float(whole.count - none.count)
    with pytest.raises(ConfigError, match="text_weight: -1"):
        LatentSynthesisLossConfig(text_weight=-1)


def test_text_that_is_not_heard_counts_as_much_as_its_weight() -> None:
    both = batch()
    with_unheard = besides(both, unheard(asr=[[6, 8, 8]]))
    none, third = objective().eval()(both), objective(unheard_weight=0.3).eval()(with_unheard)
    attention = third["unheard_attention"]
    assert attention.count == third["unheard_token_accuracy"].count == 4  # three tokens and the end
    assert float(third["loss"].sum - none["loss"].sum) == pytest.approx(0.3 * float(attention.sum), rel=1e-4)
    assert float(third["loss"].count - none["loss"].count) == pytest.approx(0.3 * 4)
    assert not any(name.startswith("unheard") for name in none)
    for wrong in (0.0, float("nan")):
        with pytest.raises(ConfigError, match="unheard_weight: "):
            LatentSynthesisLossConfig(unheard_weight=wrong)


def test_what_is_not_heard_has_no_say_in_what_is_written() -> None:
    learning, text = objective().eval(), unheard(asr=[[6, 8, 8]])
    found = learning.written_unheard(text)[0]
    deaf = replace(text, source=Sequences.of([[3, 4, 5, 6]]), seeds=torch.tensor([9]))
    assert float(found.detach()) == float(learning.written_unheard(deaf)[0].detach())
    twice = replace(
        unheard(asr=[[6, 8, 8], [6, 8, 8]]),
        utts=("e", "f"),
        seeds=torch.tensor([5, 6]),
        source=Sequences.of([[7], [7]]),
    )
    assert float(learning.written_unheard(twice)[0].detach()) == pytest.approx(
        2 * float(found.detach()), rel=1e-5
    )
    found.backward()
    backbone = learning.network.backbone
    assert backbone.decoder.embedding.weight.grad is not None and backbone.ctc.weight.grad is None


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (
            {"ctc_weight": 1.0},
            {"asr": [[6]]},
        ),
        ({}, {"sentiment": [[6]]}),
    ],
    ids=["no decoder", "no task of the decoder"],
)
def test_where_the_decoder_has_nothing_to_write_of_unheard_text_it_is_of_no_account(
    options: dict[str, float], labels: dict[str, list[list[int]]]
) -> None:
    both, learning = batch(), objective(**options).eval()
    found = learning(besides(both, unheard(**labels)))
    assert float(found["loss"].sum.detach()) == float(learning(both)["loss"].sum.detach())
    assert not any(name.startswith("unheard") for name in found)


def test_latents_that_were_made_before_are_learnt_from_alike() -> None:
    learning, both = objective().eval(), batch()
    text = both.text
    assert isinstance(text, TextBatch)
    latents, lens = learning.latents_of(text)
    stored = replace(both, text=LatentBatch(text.utts, text.seeds, latents, lens, text.labels))
    assert float(learning(stored)["loss"].sum) == float(learning(both)["loss"].sum)


def test_a_part_without_the_labels_of_a_task_is_learnt_from_without_it() -> None:
    both = batch()
    untranscribed = replace(both.speech, labels={"slu": both.speech.labels["slu"]})
    for options in ({}, {"words_first": True}):
        learning = objective(**options).train()
        found = learning(replace(both, speech=untranscribed))
        found["loss"].sum.backward()
        assert float(found["token_accuracy"].count) == 5  # two targets with their ends
        assert {"text_asr_accuracy", "text_slu_accuracy", "text_ctc"} <= found.keys() and "ctc" not in found
        assert learning.network.backbone.ctc.weight.grad is not None  # of text
    inspection = objective().eval().inspect(untranscribed)
    assert set(inspection.images) == {"attention"} and inspection.hypotheses == []


def test_sentences_too_short_for_ctc_are_counted_and_harmless() -> None:
    both = batch()
    text = both.text
    assert isinstance(text, TextBatch)
    long = Sequences.of([[6, 7, 8, 9, 10, 11, 12], [8, 8, 8, 8]])  # of 6 and 2 frames
    found = objective().train()(replace(both, text=replace(text, labels={**text.labels, "asr": long})))
    assert (int(found["text_ctc_left_out"].sum), found["text_ctc_left_out"].count) == (2, 2)
    assert bool(found["loss"].sum.isfinite()) and float(found["text_ctc"].sum) == 0


def test_what_is_frozen_learns_nothing() -> None:
    learning = objective().train()
    learning(batch())["loss"].sum.backward()
    frozen = [name for name, parameter in learning.named_parameters() if parameter.grad is None]
    assert frozen and all(name.startswith(("network.encoder.", "network.unit_head.")) for name in frozen)
