"""A language model: step by step = whole sentences, padding and company change nothing, and nobody looks ahead."""

from __future__ import annotations

import pytest
import torch

from stxlib.errors import ConfigError
from stxlib.models.causal_lm import CausalLM, CausalLMConfig

VOCAB = 11
LENS = [9, 4, 1]


@pytest.fixture
def network() -> CausalLM:
    torch.manual_seed(0)
    network = CausalLM(CausalLMConfig(dim=16, num_heads=2, ff_dim=24), VOCAB).eval()
    with torch.no_grad():  # far from uniform
        network.embedding.weight.mul_(40)
    return network


@torch.no_grad()
def test_steps_are_the_whole_forward(network: CausalLM) -> None:
    tokens = torch.randint(VOCAB, (3, 9))
    whole = network(tokens, torch.full((3,), 9)).log_softmax(2)
    state = network.start(3)
    for position in range(9):
        assert state.num_tokens == position
        log_probs, state = network.step(state, tokens[:, position])
        torch.testing.assert_close(log_probs, whole[:, position], rtol=0, atol=1e-5)


@torch.no_grad()
def test_rows_are_reordered_repeated_and_left_out(network: CausalLM) -> None:
    generator = torch.Generator().manual_seed(2)
    state, histories = network.start(2), torch.empty(2, 0, dtype=torch.int64)
    for num_rows in (6, 6, 3, 5, 1):
        last = torch.randint(VOCAB, (len(histories),), generator=generator)
        histories = torch.cat([histories, last[:, None]], dim=1)
        before = state
        log_probs, state = network.step(state, last)
        whole = network(histories, torch.full((len(histories),), histories.shape[1])).log_softmax(2)[:, -1]
        torch.testing.assert_close(log_probs, whole, rtol=0, atol=1e-5)
        assert before.num_tokens == histories.shape[1] - 1, "a state was changed"
        rows = torch.randint(len(histories), (num_rows,), generator=generator)
        state, histories = state.select(rows), histories[rows]


@torch.no_grad()
def test_padding_and_company_change_nothing(network: CausalLM) -> None:
    tokens, lens = torch.randint(VOCAB, (3, 9)), torch.tensor(LENS)
    found = network(tokens, lens)
    garbage = tokens.clone()
    for row, length in enumerate(LENS):
        garbage[row, length:] = VOCAB - 1
        assert bool((found[row, length:] == 0).all())
        alone = network(tokens[row : row + 1, :length], lens[row : row + 1])
        torch.testing.assert_close(alone[0], found[row, :length], rtol=0, atol=1e-5)
    assert torch.equal(found, network(garbage, lens))
    assert float(found.abs().max()) > 0.1


@torch.no_grad()
def test_a_token_tells_nothing_about_those_before_it(network: CausalLM) -> None:
    tokens, lens = torch.randint(VOCAB, (2, 9)), torch.tensor([9, 9])
    found = network(tokens, lens)
    changed = tokens.clone()
    changed[:, 5] = (changed[:, 5] + 1) % VOCAB
    other = network(changed, lens)
    torch.testing.assert_close(other[:, :5], found[:, :5], rtol=0, atol=1e-6)
    assert all(not torch.allclose(other[:, u], found[:, u], atol=1e-3) for u in range(5, 9))


@torch.no_grad()
def test_at_first_all_tokens_are_about_equally_likely() -> None:
    torch.manual_seed(0)
    network = CausalLM(CausalLMConfig(), 300).eval()
    tokens = torch.randint(300, (4, 20))
    log_probs = network(tokens, torch.full((4,), 20)).log_softmax(2)
    assert float((log_probs + torch.tensor(300.0).log()).abs().max()) < 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dim": 12}, "network.dim: 12 is not a multiple of 2 . num_heads = 8"),
        ({"num_layers": 0}, "network.num_layers: 0; use 1 or more"),
        ({"dropout": 1.0}, "network.dropout: 1.0; use 0 or more, and less than 1"),
    ],
)
def test_sizes_that_make_no_network(values: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CausalLMConfig(**values)
