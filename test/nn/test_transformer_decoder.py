"""Step by step = whole sequences, for beams that are reordered, grown, and lose utterances."""

from __future__ import annotations

import pytest
import torch

from stxlib.nn.transformer_decoder import DecoderConfig, TransformerDecoder


@pytest.fixture
def decoder() -> TransformerDecoder:
    torch.manual_seed(0)
    return TransformerDecoder(
        DecoderConfig(dim=16, num_heads=2, ff_dim=24), memory_dim=12, vocab_size=11
    ).eval()


@torch.no_grad()
def test_steps_are_the_whole_forward(decoder: TransformerDecoder) -> None:
    encoded, lens = torch.randn(3, 9, 12), torch.tensor([9, 4, 0])
    tokens = torch.randint(11, (3, 7))
    whole = decoder(encoded, lens, tokens).log_softmax(2)
    state = decoder.start(encoded, lens)
    for position in range(7):
        assert state.num_tokens == position
        log_probs, state = decoder.step(state, tokens[:, position])
        torch.testing.assert_close(log_probs, whole[:, position], rtol=0, atol=1e-5)


@torch.no_grad()
def test_reordered_beams(decoder: TransformerDecoder) -> None:
    encoded, lens = torch.randn(3, 9, 12), torch.tensor([9, 4, 6])
    generator = torch.Generator().manual_seed(2)
    state = decoder.start(encoded, lens).select(torch.arange(3).repeat_interleave(4))
    utterances = [0, 1, 2]
    histories = torch.empty(12, 0, dtype=torch.int64)
    for position in range(6):
        last = torch.randint(11, (len(histories),), generator=generator)
        histories = torch.cat([histories, last[:, None]], dim=1)
        log_probs, state = decoder.step(state, last)
        rows = torch.tensor(utterances).repeat_interleave(4)
        whole = decoder(encoded[rows], lens[rows], histories).log_softmax(2)[:, -1]
        torch.testing.assert_close(log_probs, whole, rtol=0, atol=1e-5)
        kept = range(len(utterances))
        if position == 2:  # an utterance is finished
            kept = [0, 2]
            utterances = [utterances[row] for row in kept]
        choice = torch.cat([4 * row + torch.randint(4, (4,), generator=generator) for row in kept])
        state, histories = state.select(choice), histories[choice]


@torch.no_grad()
def test_select_wants_equal_beams(decoder: TransformerDecoder) -> None:
    state = decoder.start(torch.randn(2, 5, 12), torch.tensor([5, 5]))
    with pytest.raises(AssertionError, match="hypotheses per utterance differ"):
        state.select(torch.tensor([0, 0, 1]))
    with pytest.raises(AssertionError, match="reordered"):
        state.select(torch.tensor([1, 0]))


@torch.no_grad()
def test_attention_pictures_are_what_forward_uses(decoder: TransformerDecoder) -> None:
    encoded, lens = torch.randn(2, 9, 12), torch.tensor([9, 4])
    weights = decoder.attention_weights(encoded, lens, torch.randint(11, (2, 3)))
    assert weights.shape == (2, 3, 9)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 3))
    assert bool((weights[1, :, 4:] == 0).all())
    # With values that name the frame, the attention's output is the weighted frame number.
    cross = decoder.layers[0].cross_attention
    keys, _ = cross.memory(encoded)
    values = torch.arange(9.0)[:, None].expand_as(keys)
    cross.out.weight.copy_(torch.eye(16))
    mask = decoder.start(encoded, lens).mask
    x = torch.randn(2, 3, 16)
    found = cross(x, (keys, values), mask).mean(2)
    torch.testing.assert_close(found, (cross.weights(x, (keys, values), mask) * torch.arange(9.0)).sum(2))


def test_a_later_token_changes_nothing_before(decoder: TransformerDecoder) -> None:
    encoded, lens = torch.randn(1, 9, 12), torch.tensor([9])
    tokens = torch.tensor([[2, 5, 6, 7]])
    other = torch.tensor([[2, 5, 9, 8]])
    first, second = decoder(encoded, lens, tokens), decoder(encoded, lens, other)
    assert torch.equal(first[:, :2], second[:, :2])
    assert not torch.equal(first[:, 2:], second[:, 2:])
