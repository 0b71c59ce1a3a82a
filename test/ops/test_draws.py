"""Random numbers by utterance: of its seed alone."""

from __future__ import annotations

import torch

from stxlib.ops.draws import normal, uniform

SEEDS = torch.tensor([5, 2**62 + 1, -3, 5 + 2**32])
LENS = torch.tensor([400, 7, 0, 400])


def test_an_utterance_draws_the_same_alone_and_in_a_batch() -> None:
    for drawn, alone in (
        (uniform(SEEDS, LENS, 3), lambda row: uniform(SEEDS[row, None], LENS[row, None], 3)),
        (normal(SEEDS, LENS, 4, 3), lambda row: normal(SEEDS[row, None], LENS[row, None], 4, 3)),
    ):
        assert drawn.dtype == torch.float32
        for row, length in enumerate(LENS.tolist()):
            assert torch.equal(drawn[row, :length], alone(row)[0])
            assert not bool(drawn[row, length:].any())


def test_seeds_and_streams_are_independent() -> None:
    numbers = normal(SEEDS, LENS, 4, 0)
    assert not torch.equal(numbers[0], numbers[3])  # seeds that agree in 32 bits
    pairs = torch.stack([numbers[0].flatten(), numbers[3].flatten(), normal(SEEDS, LENS, 4, 1)[0].flatten()])
    assert float((torch.corrcoef(pairs) - torch.eye(3)).abs().max()) < 0.1
    assert torch.equal(numbers, normal(SEEDS, LENS, 4, 0))


def test_distributions() -> None:
    seeds = torch.arange(50)
    numbers = normal(seeds, torch.full((50,), 400), 2, 0).double()
    assert abs(float(numbers.mean())) < 0.02 and abs(float(numbers.std()) - 1) < 0.02
    numbers = uniform(seeds, torch.full((50,), 400), 0).double()
    assert abs(float(numbers.mean()) - 0.5) < 0.01 and 0 <= float(numbers.min()) <= float(numbers.max()) < 1


def test_nothing_to_draw() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    assert uniform(none, none, 0).shape == (0, 0) and normal(none, none, 3, 0).shape == (0, 0, 3)
