"""The loss of `asr` against readable definitions."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stxlib.data.batch import Sequences, SpeechBatch, pad
from stxlib.errors import ConfigError, DataError
from stxlib.models.backbone import BackboneConfig
from stxlib.models.speech_encoder import SpeechEncoderConfig
from stxlib.models.speech_to_text import SpeechToText, SpeechToTextConfig
from stxlib.nn.conformer import ConformerConfig
from stxlib.nn.transformer_decoder import DecoderConfig
from stxlib.objectives.sequence_loss import ctc_loss, shift_tokens
from stxlib.objectives.speech_to_text import SpeechToTextLossConfig, SpeechToTextObjective
from stxlib.text.target_vocabulary import Task

SMALL = ConformerConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24, kernel_size=3, dropout=0.0)
CONFIG = SpeechToTextConfig(
    encoder=SpeechEncoderConfig(num_mels=20, conv_channels=4, conformer=SMALL),
    backbone=BackboneConfig(
        conformer=SMALL, decoder=DecoderConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24, dropout=0.0)
    ),
)


@pytest.fixture
def objective() -> SpeechToTextObjective:
    torch.manual_seed(0)
    network = SpeechToText(CONFIG, vocab_size=9, num_units=7)
    return SpeechToTextObjective(
        network, SpeechToTextLossConfig(ctc_weight=0.3, unit_ctc_weight=0.2, label_smoothing=0.1)
    )


def speech(tokens: list[list[int]], units: list[list[int]], samples: list[int]) -> SpeechBatch:
    generator = torch.Generator().manual_seed(1)
    waves, wave_lens = pad([0.1 * torch.randn(n, generator=generator) for n in samples])
    utts = tuple(f"utt{i}" for i in range(len(tokens)))
    return SpeechBatch(
        utts,
        torch.arange(len(tokens)),
        waves,
        wave_lens,
        16000,
        {"asr": Sequences.of(tokens), "units": Sequences.of(units)},
    )


BATCH = speech([[4, 4, 5], [6], [8, 7]], [[2, 3, 3, 4], [5, 6], []], [9000, 5000, 3500])


def ctc_by_search(log_probs: Tensor, target: list[int]) -> float:
    """-log of the summed probability of all paths that spell the target."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        if [label for label, _ in itertools.groupby(path) if label] == target:
            total += math.exp(sum(float(row[label]) for row, label in zip(log_probs, path, strict=True)))
    return -math.log(total)


def test_ctc_is_the_sum_over_paths() -> None:
    torch.manual_seed(0)
    logits, lens = torch.randn(3, 6, 3), torch.tensor([6, 5, 4])
    targets = [[1, 1, 2], [2], []]
    expected = sum(
        ctc_by_search(row[:n].log_softmax(1), target)
        for row, n, target in zip(logits, lens, targets, strict=True)
    )
    assert float(ctc_loss(logits, lens, Sequences.of(targets))) == pytest.approx(expected, abs=1e-4)


def test_terms_by_definition(objective: SpeechToTextObjective) -> None:
    found = {name: ratio.detach() for name, ratio in objective.eval()(BATCH).items()}
    network = objective.network
    sums = dict.fromkeys(("ctc", "attention", "unit_ctc", "token_accuracy"), 0.0)
    with torch.no_grad():
        for row in range(3):
            tokens, units = (torch.tensor(BATCH.labels[name].tolist()[row]) for name in ("asr", "units"))
            num_tokens, num_units = len(tokens), len(units)
            lens = BATCH.wave_lens[row : row + 1]
            latents, latent_lens = network.encoder(BATCH.waves[row : row + 1, : lens[0]], lens, None)
            encoded, _ = network.backbone.encode(latents, latent_lens)
            unit_log_probs = network.unit_head(latents).log_softmax(2).transpose(0, 1)
            log_probs = network.backbone.ctc_logits(encoded).log_softmax(2).transpose(0, 1)
            one = {"reduction": "sum", "blank": 0}
            sums["unit_ctc"] += float(
                torch.nn.functional.ctc_loss(
                    unit_log_probs, units[None], latent_lens, torch.tensor([num_units]), **one
                )
            )
            sums["ctc"] += float(
                torch.nn.functional.ctc_loss(
                    log_probs, tokens[None], latent_lens, torch.tensor([num_tokens]), **one
                )
            )
            read = torch.cat([torch.tensor([2]), tokens])
            written = torch.cat([tokens, torch.tensor([3])])
            decoded = network.backbone.decoder_logits(
                encoded, latent_lens, read[None], torch.tensor([num_tokens + 1])
            )[0]
            for log_prob, target in zip(decoded.log_softmax(1), written, strict=True):
                sums["attention"] -= 0.9 * float(log_prob[target]) + 0.1 * float(log_prob.mean())
                sums["token_accuracy"] += float(log_prob.argmax() == target)
    assert {ratio.count for ratio in found.values()} == {3 + 1 + 2 + 3}
    for name, expected in sums.items():
        assert found[name].sum == pytest.approx(expected, rel=1e-4), name
    loss = 0.3 * sums["ctc"] + 0.7 * sums["attention"] + 0.2 * sums["unit_ctc"]
    assert found["loss"].sum == pytest.approx(loss, rel=1e-4)


def test_shifted_tokens() -> None:
    tokens_in, tokens_out, lens = shift_tokens(Sequences.of([[5, 6, 7], [8], []]), 9)
    assert tokens_in.tolist() == [[9, 5, 6, 7], [9, 8, 0, 0], [9, 0, 0, 0]]
    assert lens.tolist() == [4, 2, 1]
    assert [row[:n].tolist() for row, n in zip(tokens_out, lens, strict=True)] == [[5, 6, 7, 3], [8, 3], [3]]


def test_utterances_without_enough_frames_are_named(objective: SpeechToTextObjective) -> None:
    # 3,500 samples are 20 frames and 5 latents; 3 equal tokens need 5, 4 need 7.
    fits = speech([[4], [5, 5, 5]], [[2], [3]], [9000, 3500])
    assert bool(objective(fits)["loss"].sum.isfinite())
    too_many = speech([[4], [5, 5, 5, 5]], [[2], [3]], [9000, 3500])
    with pytest.raises(DataError, match=r"fewer latent frames than the labels need: utt1 \(5 for 7\); leave"):
        objective(too_many)
    with pytest.raises(DataError, match=r"utt0 \(5 for 6\), utt2 \(0 for 1\)"):
        objective(speech([[4], [5], [6]], [[2, 3, 4, 5, 6, 2], [3], [2]], [3500, 3500, 300]))
    with pytest.raises(DataError, match=r"utt0 \(0 for 0\)"):
        objective(speech([[]], [[]], [300]))


def test_spec_augment_in_training_only(objective: SpeechToTextObjective) -> None:
    def loss(batch: SpeechBatch) -> float:
        return float(objective(batch)["loss"].detach().sum)

    other = replace(BATCH, seeds=BATCH.seeds + 10)
    objective.train()
    assert loss(BATCH) == loss(BATCH) and loss(BATCH) != loss(other)
    objective.eval()
    assert loss(BATCH) == loss(other)
    objective.train()
    objective.network.encoder.eval()  # as the trainer leaves a frozen encoder
    assert loss(BATCH) != loss(other)


def test_token_dropout_is_a_matter_of_training(objective: SpeechToTextObjective) -> None:
    config = replace(objective.config, token_dropout=0.99)
    blind = SpeechToTextObjective(objective.network, config)

    def terms(objective: SpeechToTextObjective) -> dict[str, float]:
        torch.manual_seed(0)
        return {name: float(ratio.detach().sum) for name, ratio in objective(BATCH).items()}

    assert terms(blind.eval()) == terms(objective.eval())
    trained, dropped = terms(objective.train()), terms(blind.train())
    assert dropped["attention"] != trained["attention"] and dropped["ctc"] == trained["ctc"]


def test_inspection(objective: SpeechToTextObjective) -> None:
    found = objective.eval().inspect(BATCH, num_hypotheses=2)
    num_frames = (1 + (9000 - 400) // 160) // 4
    assert {name: tuple(image.shape) for name, image in found.images.items()} == {
        "attention": (4, num_frames),
        "ctc": (3, num_frames),
        "unit_ctc": (4, num_frames),
    }
    assert all(float(image.min()) >= 0 and float(image.max()) <= 1 for image in found.images.values())
    torch.testing.assert_close(found.images["attention"].sum(1), torch.ones(4))
    assert found.references == [[4, 4, 5], [6]]
    assert len(found.hypotheses) == 2


def test_weights_out_of_range_are_errors() -> None:
    with pytest.raises(ConfigError, match="ctc_weight: 1.5 is not between 0 and 1"):
        SpeechToTextLossConfig(ctc_weight=1.5)
    with pytest.raises(ConfigError, match="unit_ctc_weight: -1"):
        SpeechToTextLossConfig(unit_ctc_weight=-1.0)
    with pytest.raises(ConfigError, match="token_dropout: 1.0"):
        SpeechToTextLossConfig(token_dropout=1.0)
    with pytest.raises(ConfigError, match="label_smoothing: 1.0"):
        SpeechToTextLossConfig(label_smoothing=1.0)


def test_several_tasks_are_a_sum_and_each_begins_with_its_own_token(objective: SpeechToTextObjective) -> None:
    labels = {"asr": BATCH.labels["asr"], "slu": Sequences.of([[8], [7, 5], [6, 6, 6, 6, 6, 6]])}
    batch = replace(BATCH, labels=labels | {"units": BATCH.labels["units"]})

    def found(tasks: tuple[Task, ...], starts: dict[str, int]) -> dict[str, float]:
        config = replace(objective.config, tasks=tasks)
        terms = SpeechToTextObjective(objective.network, config, starts).eval()(batch)
        return {name: float(ratio.detach().sum) for name, ratio in terms.items()} | {
            "count": float(terms["loss"].count)
        }

    starts = {"asr": 4, "slu": 5}
    both, one, other = found(("asr", "slu"), starts), found(("asr",), starts), found(("slu",), starts)
    assert both["attention"] == pytest.approx(one["attention"] + other["attention"], rel=1e-5)
    assert both["count"] == one["count"] + other["count"] == 9 + 12
    assert both["ctc"] == pytest.approx(one["ctc"]) == pytest.approx(other["ctc"])
    assert both["asr_accuracy"] + both["slu_accuracy"] == both["token_accuracy"]
    config = replace(objective.config, tasks=("asr", "slu"), task_weights=("slu=3",))
    weighted = SpeechToTextObjective(objective.network, config, starts).eval()(batch)["attention"]
    assert float(weighted.detach().sum) == pytest.approx(one["attention"] + 3 * other["attention"], rel=1e-5)
    assert found(("slu",), {"slu": 6})["attention"] != pytest.approx(other["attention"], rel=1e-5)


def test_what_has_no_weight_needs_no_labels_and_is_not_trained(objective: SpeechToTextObjective) -> None:
    config = replace(objective.config, tasks=("sentiment",), ctc_weight=0.0, unit_ctc_weight=0.0)
    assert config.ctc_labels == ()
    only = SpeechToTextObjective(objective.network, config)
    batch = replace(BATCH, labels={"sentiment": Sequences.of([[4], [5], [4]])})
    found = only(batch)
    assert found.keys() == {"loss", "attention", "token_accuracy"}
    found["loss"].sum.backward()
    idle = {name for name, p in only.named_parameters() if p.grad is None}
    assert (
        idle
        == {name for name, p in only.named_parameters() if not p.requires_grad}
        == {
            "network.unit_head.weight",
            "network.unit_head.bias",
            "network.backbone.ctc.weight",
            "network.backbone.ctc.bias",
        }
    )
    assert only.eval().inspect(batch).images.keys() == {"attention"}


def test_tasks_that_cannot_be_are_errors() -> None:
    with pytest.raises(
        ConfigError, match="ctc_task: slu is not written in the order of speech; use asr or ner"
    ):
        SpeechToTextLossConfig(ctc_task="slu")
    with pytest.raises(ConfigError, match="tasks: asr asr; give each task once"):
        SpeechToTextLossConfig(tasks=("asr", "asr"))
    with pytest.raises(ConfigError, match="task_weights: slu=0; expected task=number, above 0"):
        SpeechToTextLossConfig(task_weights=("slu=0",))


def test_ctc_alone(objective: SpeechToTextObjective) -> None:
    alone = SpeechToTextObjective(
        objective.network, replace(objective.config, ctc_weight=1.0, tasks=("slu",))
    )
    found = alone.eval()(BATCH)  # no labels of the decoder's task are needed
    assert found.keys() == {"loss", "ctc", "unit_ctc"} and int(found["loss"].count) == 3 + 1 + 2 + 3
    assert alone.inspect(BATCH).images.keys() == {"ctc", "unit_ctc"}
    assert not any(p.requires_grad for p in alone.network.backbone.decoder.parameters())


def test_words_are_read_before_another_task_is_written(objective: SpeechToTextObjective) -> None:
    """Against one utterance at a time, written out; and what is asked of the words stays what it was."""
    targets = [[8], [7, 5], [6, 6, 6]]
    batch = replace(BATCH, labels=BATCH.labels | {"slu": Sequences.of(targets)})
    config = replace(objective.config, tasks=("asr", "slu"), label_smoothing=0.0)
    starts = {"asr": 4, "slu": 5}
    plain = SpeechToTextObjective(objective.network, config, starts).eval()(batch)
    found = SpeechToTextObjective(objective.network, replace(config, words_first=True), starts).eval()(batch)
    network, expected = objective.network, 0.0
    with torch.no_grad():
        for row, (words, target) in enumerate(zip(BATCH.labels["asr"].tolist(), targets, strict=True)):
            lens = BATCH.wave_lens[row : row + 1]
            encoded, encoded_lens = network.encode(BATCH.waves[row : row + 1, : lens[0]], lens)
            read = torch.tensor([[4, *words, 5, *target]])
            logits = network.backbone.decoder_logits(
                encoded, encoded_lens, read, torch.tensor([read.shape[1]])
            )[0]
            log_probs = logits.log_softmax(1)[len(words) + 1 :]
            expected -= sum(float(p[t]) for p, t in zip(log_probs, [*target, 3], strict=True))
    asr = SpeechToTextObjective(objective.network, replace(config, tasks=("asr",)), starts).eval()(batch)
    attention = float(found["attention"].detach().sum)
    assert attention == pytest.approx(float(asr["attention"].detach().sum) + expected, rel=1e-5)
    assert attention != pytest.approx(float(plain["attention"].detach().sum), rel=1e-5)
    assert found["loss"].count == plain["loss"].count
    with pytest.raises(ConfigError, match="words_first: asr is not among the tasks slu; add it"):
        SpeechToTextLossConfig(tasks=("slu",), words_first=True)
