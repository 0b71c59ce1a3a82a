"""The loss of the diffusion synthesizer against its definition, and the laws of objectives."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stxlib.data.batch import Sequences, SpeechBatch, pad
from stxlib.errors import ConfigError, DataError
from stxlib.models.backbone import BackboneConfig
from stxlib.models.diffusion import DiffusionConfig, DiffusionSynthesizer
from stxlib.models.latent_alignment import align_latents
from stxlib.models.speech_encoder import SpeechEncoderConfig
from stxlib.models.speech_to_text import SpeechToText, SpeechToTextConfig
from stxlib.nn.conformer import ConformerConfig
from stxlib.nn.transformer_decoder import DecoderConfig
from stxlib.nn.wavenet import WaveNetConfig
from stxlib.objectives.latent_diffusion import LatentDiffusionLossConfig, LatentDiffusionObjective
from stxlib.ops.diffusion import signal_levels
from stxlib.ops.draws import normal, uniform

UNITS = 6
SAMPLES = [9000, 8000, 8500, 5000, 7000, 6000, 8800, 7600]


def make_objective(duration_weight: float = 1.0, condition_dropout: float = 0.5) -> LatentDiffusionObjective:
    torch.manual_seed(0)
    blocks = ConformerConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24, kernel_size=3, dropout=0.0)
    speech = SpeechToText(
        SpeechToTextConfig(
            encoder=SpeechEncoderConfig(num_mels=20, conv_channels=4, conformer=replace(blocks, dropout=0.5)),
            backbone=BackboneConfig(
                conformer=blocks, decoder=DecoderConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24)
            ),
        ),
        vocab_size=9,
        num_units=UNITS,
    )
    network = DiffusionSynthesizer(
        DiffusionConfig(
            encoder=blocks,
            denoiser=WaveNetConfig(num_layers=4, dim=48),
            condition_dropout=condition_dropout,
            duration_dropout=0.0,
        ),
        UNITS,
        speech.encoder.dim,
    )
    objective = LatentDiffusionObjective(
        network, speech, LatentDiffusionLossConfig(duration_weight=duration_weight)
    )
    batch = eight_utterances()
    speech.encoder.estimate_normalization([(batch.waves, batch.wave_lens)])
    objective.estimate_statistics([batch])
    return objective


def eight_utterances() -> SpeechBatch:
    generator = torch.Generator().manual_seed(1)
    tones = [torch.sin(torch.arange(n) * (0.05 + 0.25 * i)) for i, n in enumerate(SAMPLES)]
    waves, wave_lens = pad(
        [0.1 * tone + 0.01 * torch.randn(len(tone), generator=generator) for tone in tones]
    )
    units = [torch.randint(1, UNITS, (2 + i % 3,), generator=generator).tolist() for i in range(8)]
    utts = tuple(f"utt{i}" for i in range(8))
    return SpeechBatch(utts, torch.arange(8) + 7, waves, wave_lens, 16000, {"units": Sequences.of(units)})


def rows(batch: SpeechBatch, chosen: slice) -> SpeechBatch:
    lens, units = batch.wave_lens[chosen], batch.labels["units"]
    part = Sequences(units.ids[chosen, : int(units.lens[chosen].max())], units.lens[chosen])
    return SpeechBatch(
        batch.utts[chosen],
        batch.seeds[chosen],
        batch.waves[chosen, : int(lens.max())],
        lens,
        batch.sample_rate,
        {"units": part},
    )


def sums(objective: LatentDiffusionObjective, batch: SpeechBatch) -> dict[str, float]:
    return {name: float(ratio.detach().sum) for name, ratio in objective(batch).items()}


def test_terms_by_definition() -> None:
    objective, batch = make_objective(duration_weight=0.7).eval(), eight_utterances()
    network, units = objective.network, batch.labels["units"]
    found = {name: ratio.detach() for name, ratio in objective(batch).items()}
    velocity_error = duration_error = 0.0
    num_elements = num_durations = 0
    for row in range(8):
        one = rows(batch, slice(row, row + 1))
        aligned = align_latents(
            objective.speech,
            one.waves,
            one.wave_lens,
            *(getattr(one.labels["units"], x) for x in ("ids", "lens")),
        )
        seed, num_frames = batch.seeds[row : row + 1], int(aligned.latent_lens)
        sample = ((aligned.latents - network.latent_mean) / network.latent_std)[:, :num_frames]
        noise = normal(seed, aligned.latent_lens, network.dim, 0)
        time = 1 + int(1000 * float(uniform(seed, torch.tensor([1]), 2)))
        signal, rest = math.sqrt(signal_levels()[time]), math.sqrt(1 - signal_levels()[time])
        encoded = network.encode(aligned.segments.units, aligned.segments.lens)
        conditions, _ = network.conditions(encoded, aligned.segments)
        velocity = network.denoiser(
            signal * sample + rest * noise,
            aligned.latent_lens,
            torch.tensor([time]),
            network.denoiser.project(conditions),
        )
        velocity_error += float((velocity - (signal * noise - rest * sample)).detach().square().sum())
        num_elements += sample.numel()
        predicted = network.log_durations(encoded, aligned.segments.lens).detach()[0]
        for position in range(int(units.lens[row]) + 1):
            label, blank = (
                int(x[0, position]) for x in (aligned.segments.label_frames, aligned.segments.blank_frames)
            )
            duration_error += (float(predicted[position, 1]) - math.log1p(blank)) ** 2
            duration_error += (float(predicted[position, 0]) - math.log1p(label)) ** 2 if position else 0.0
            num_durations += 2 if position else 1
    assert found["velocity_error"].sum == pytest.approx(velocity_error, rel=1e-4)
    assert found["duration_error"].sum == pytest.approx(duration_error, rel=1e-4)
    assert (found["velocity_error"].count, found["duration_error"].count) == (num_elements, num_durations)
    weight = 0.7 * network.dim * network.frames_per_unit / 2
    assert found["loss"].sum == pytest.approx(velocity_error + weight * duration_error, rel=1e-4)
    assert found["loss"].count == num_elements
    # A duration's weight makes the second term about its mean.
    means = found["velocity_error"].value + 0.7 * found["duration_error"].value
    assert found["loss"].value == pytest.approx(means, rel=0.3)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_splitting(size: int) -> None:
    objective, batch = make_objective().train(), eight_utterances()

    def gradients(parts: list[SpeechBatch]) -> tuple[float, list[Tensor]]:
        objective.zero_grad()
        total, count = 0.0, 0
        for part in parts:
            loss = objective(part)["loss"]
            loss.sum.backward()
            total, count = total + float(loss.detach().sum), count + int(loss.count)
        return total / count, [p.grad / count for p in objective.parameters() if p.grad is not None]

    whole_loss, whole = gradients([batch])
    loss, split = gradients([rows(batch, slice(start, start + size)) for start in range(0, 8, size)])
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    for one, other in zip(whole, split, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * max(1.0, float(one.abs().max())))


def test_padding() -> None:
    objective, batch = make_objective().train(), eight_utterances()
    units = batch.labels["units"]
    garbage = units.ids.masked_fill(torch.arange(units.ids.shape[1]) >= units.lens[:, None], UNITS - 1)
    waves = batch.waves.masked_fill(
        torch.arange(batch.waves.shape[1]) >= batch.wave_lens[:, None], float("nan")
    )
    spoilt = replace(batch, waves=waves, labels={"units": Sequences(garbage, units.lens)})
    assert sums(objective, spoilt) == pytest.approx(sums(objective, batch), rel=1e-5)
    longer = replace(batch, waves=torch.nn.functional.pad(batch.waves, (0, 9000)))
    assert sums(objective, longer) == pytest.approx(sums(objective, batch), rel=1e-5)


def test_what_is_drawn_is_a_function_of_the_seed() -> None:
    objective, batch = make_objective(), eight_utterances()
    other = replace(batch, seeds=batch.seeds + 100)
    for training in (True, False):
        objective.train(training)
        assert sums(objective, batch) == sums(objective, batch)
        assert sums(objective, batch)["velocity_error"] != sums(objective, other)["velocity_error"]


def test_units_are_hidden_from_the_denoiser_in_training_only() -> None:
    objective, batch = make_objective(condition_dropout=0.999), eight_utterances()
    objective.train()
    objective(batch)["loss"].sum.backward()
    place, nothing = objective.network.place.weight.grad, objective.network.nothing.grad
    assert place is not None and nothing is not None
    assert not bool(place.any()) and bool(nothing.any())
    hidden = sums(objective, batch)
    assert sums(objective.eval(), batch)["velocity_error"] != pytest.approx(
        hidden["velocity_error"], rel=1e-4
    )
    never = make_objective(condition_dropout=0.0)
    trained = sums(never.train(), batch)
    assert trained == pytest.approx(sums(never.eval(), batch), rel=1e-6)


def test_gradients_reach_the_synthesizer_and_no_further() -> None:
    objective = make_objective().train()
    objective(eight_utterances())["loss"].sum.backward()
    idle = [name for name, p in objective.network.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
    assert all(p.grad is None and not p.requires_grad for p in objective.speech.parameters())
    without = make_objective(duration_weight=0.0)
    frozen = {name for name, p in without.network.named_parameters() if not p.requires_grad}
    assert frozen and all(name.startswith("duration_predictor.") for name in frozen)


def test_too_few_latents_are_an_error() -> None:
    batch = rows(eight_utterances(), slice(0, 1))
    crowded = replace(batch, labels={"units": Sequences.of([[1, 2] * 20])})
    with pytest.raises(DataError, match="alignment: utterance 0 of the batch has .* its labels need 40"):
        make_objective()(crowded)


def test_a_weight_out_of_range_is_an_error() -> None:
    with pytest.raises(ConfigError, match="duration_weight: -1; use 0 or more"):
        LatentDiffusionLossConfig(duration_weight=-1.0)
    assert LatentDiffusionLossConfig().tasks == ()


def test_eight_utterances_are_learnt_by_heart() -> None:
    objective, batch = make_objective(condition_dropout=0.0).train(), eight_utterances()
    network = objective.network
    optimizer = torch.optim.AdamW(
        [p for p in objective.parameters() if p.requires_grad], lr=8e-3, weight_decay=0.0
    )
    for step in range(150):
        optimizer.zero_grad()
        found = objective(replace(batch, seeds=batch.seeds + 1000 * step))
        (found["loss"].sum / found["loss"].count).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = 8e-3 * (1 - step / 150)
        optimizer.step()
    assert found["duration_error"].value < 0.01
    # At times of little noise it cannot be told from what was learnt by heart.
    assert found["velocity_error"].value < 0.5

    objective.eval()
    units = batch.labels["units"]
    aligned = align_latents(objective.speech, batch.waves, batch.wave_lens, units.ids, units.lens)
    network.config = replace(network.config, durations="predicted", sampling_steps=10)
    durations = network.durations(units.ids, units.lens, batch.seeds)
    assert torch.equal(durations.label_frames, aligned.segments.label_frames)
    assert torch.equal(durations.blank_frames, aligned.segments.blank_frames)
    made, lens = network.sample(units.ids, units.lens, batch.seeds)
    real = network.normalize(aligned.latents[:, : made.shape[1]], lens)
    wrong = (network.normalize(made, lens) - real).square().sum() / real.square().sum()
    assert float(wrong) < 0.4  # of the variance; the mean latent would have 1, latents of others 2
    images = objective.inspect(batch).images
    assert {name: tuple(image.shape) for name, image in images.items()} == {
        "latents": (16, int(lens[0])),
        "synthesized": (16, int(lens[0])),
    }
    assert all(0 <= float(image.min()) <= float(image.max()) <= 1 for image in images.values())
    assert float((images["latents"] - images["synthesized"]).abs().mean()) < 0.15


def test_units_that_the_encoder_mishears_are_misheard_in_what_is_synthesized() -> None:
    objective = make_objective().eval()
    network, units = objective.network, eight_utterances().labels["units"]
    seeds = torch.arange(8)
    before = network.durations(units.ids, units.lens, seeds).units[:, 1:]
    assert torch.equal(before, units.ids)
    share = objective.estimate_mishearing([eight_utterances()])
    assert 0 < share < 1
    heard = network.durations(units.ids, units.lens, seeds).units[:, 1:]
    assert not torch.equal(heard, units.ids) and torch.equal(heard == 0, units.ids == 0)
    latents, lens = network.sample(units.ids, units.lens, seeds, num_steps=1)
    assert latents.shape[1] == int(lens.max())
