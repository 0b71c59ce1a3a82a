"""The language model's objective: the probability of whole sentences, any split of a batch, and that it learns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stxlib.data.batch import Sequences, TextBatch
from stxlib.models.causal_lm import CausalLM, CausalLMConfig
from stxlib.objectives.language_model import LanguageModelLossConfig, LanguageModelObjective
from stxlib.text.tokenizer import EOS, SOS

VOCAB = 13
CONFIG = CausalLMConfig(dim=24, num_heads=2, ff_dim=32, dropout=0.0)


def batch_of(*sentences: list[int]) -> TextBatch:
    utts = tuple(f"u{index}" for index in range(len(sentences)))
    return TextBatch(utts, torch.arange(len(utts)), Sequences.of(sentences), {})


@pytest.fixture
def objective() -> LanguageModelObjective:
    torch.manual_seed(0)
    objective = LanguageModelObjective(CausalLM(CONFIG, VOCAB), LanguageModelLossConfig())
    with torch.no_grad():
        objective.network.embedding.weight.mul_(40)
    return objective


SENTENCES = [[4, 5, 6, 7, 8], [9], [10, 4, 4], [5, 12, 6, 5, 5, 5, 7]]


def test_loss_is_the_probability_of_the_sentences_and_their_ends(objective: LanguageModelObjective) -> None:
    found = objective(batch_of(*SENTENCES))
    network, expected = objective.network, 0.0
    with torch.no_grad():
        for sentence in SENTENCES:
            state = network.start(1)
            for last, following in zip([SOS, *sentence], [*sentence, EOS], strict=True):
                log_probs, state = network.step(state, torch.tensor([last]))
                expected -= float(log_probs[0, following])
    assert float(found["loss"].sum.detach()) == pytest.approx(expected, rel=1e-5)
    num_tokens = sum(map(len, SENTENCES)) + len(SENTENCES)
    assert found["loss"].count == found["token_accuracy"].count == num_tokens


def test_a_batch_is_the_sum_of_its_parts_and_padding_is_nothing(objective: LanguageModelObjective) -> None:
    batch = batch_of(*SENTENCES)
    whole = objective(batch)
    parts = [objective(batch_of(sentence)) for sentence in SENTENCES]
    for name in ("loss", "token_accuracy"):
        total = sum(float(part[name].detach().sum) for part in parts)
        assert float(whole[name].detach().sum) == pytest.approx(total, rel=1e-5)
    ids = batch.source.ids.clone()
    for row, length in enumerate(batch.source.lens):
        ids[row, length:] = VOCAB - 1
    garbage = objective(replace(batch, source=Sequences(ids, batch.source.lens)))
    assert torch.equal(garbage["loss"].sum, whole["loss"].sum)


def test_gradients_are_the_sum_of_their_parts_and_reach_every_parameter(
    objective: LanguageModelObjective,
) -> None:
    def gradients(*batches: TextBatch) -> list[torch.Tensor]:
        objective.zero_grad()
        for batch in batches:
            objective(batch)["loss"].sum.backward()
        return [parameter.grad.clone() for parameter in objective.parameters()]

    whole = gradients(batch_of(*SENTENCES))
    split = gradients(*(batch_of(sentence) for sentence in SENTENCES))
    for one, other in zip(whole, split, strict=True):
        assert one.any()
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * max(1.0, float(one.abs().max())))


def test_training_twice_gives_the_same_bits() -> None:
    def trained() -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        objective = LanguageModelObjective(
            CausalLM(replace(CONFIG, dropout=0.1), VOCAB), LanguageModelLossConfig()
        )
        optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
        for step in range(3):
            torch.manual_seed(step)
            optimizer.zero_grad()
            objective(batch_of(*SENTENCES))["loss"].sum.backward()
            optimizer.step()
        return objective.state_dict()

    first, second = trained(), trained()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_eight_sentences_by_heart() -> None:
    torch.manual_seed(1)
    objective = LanguageModelObjective(CausalLM(CONFIG, VOCAB), LanguageModelLossConfig())
    sentences = [[4 + row, *torch.randint(4, VOCAB, (6,)).tolist()] for row in range(8)]
    batch = batch_of(*sentences)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-2)
    for _ in range(150):
        loss = objective(batch)["loss"]
        optimizer.zero_grad()
        (loss.sum / loss.count).backward()
        optimizer.step()
    # Nothing can tell the first token: log 8 nats of 8 tokens; everything after it is known.
    assert objective(batch)["loss"].value == pytest.approx(torch.tensor(8.0).log().item() / 8, abs=0.05)
    seen = objective.eval().inspect(batch)
    assert (
        [row[1:] for row in seen.hypotheses]
        == [row[1:] for row in seen.references]
        == [sentence[1:] for sentence in sentences[:4]]
    )


def test_what_is_shown(objective: LanguageModelObjective) -> None:
    seen = objective.inspect(batch_of(*SENTENCES), num_hypotheses=2)
    assert seen.references == SENTENCES[:2] and [len(row) for row in seen.hypotheses] == [5, 1]
    picture = seen.images["next_token"]
    assert picture.shape == (6, 6) and 0 <= float(picture.min()) <= float(picture.max()) <= 1
    with torch.no_grad():
        log_probs = objective.network(torch.tensor([[SOS, 4]]), torch.tensor([2])).log_softmax(2)
    assert float(picture[1, 1]) == pytest.approx(float(log_probs[0, 1, 5].exp()), abs=1e-5)
