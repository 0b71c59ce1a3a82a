"""The best CTC alignment: collapsing, scores, lengths."""

from __future__ import annotations

import math

import pytest
import torch

from stxlib.ops.ctc_path import best_paths


def frames(labels: list[int], vocab_size: int = 7) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), vocab_size).double().mul(5).log_softmax(-1)


@pytest.mark.parametrize(
    ("labels", "tokens"),
    [
        ([0, 4, 4, 0, 4, 5, 5, 0], (4, 4, 5)),
        ([4], (4,)),
        ([0, 0], ()),
        ([1, 1, 6, 6, 1], (1, 6, 1)),
    ],
)
def test_repeats_and_blanks_go(labels: list[int], tokens: tuple[int, ...]) -> None:
    ((found, score),) = best_paths(frames(labels)[None], torch.tensor([len(labels)]))
    assert found == tokens
    assert score == pytest.approx(len(labels) * float(frames([4])[0, 4]))


def test_padding_is_not_looked_at() -> None:
    log_probs = torch.stack([frames([4, 5, 6]), frames([4, 4, 4]), frames([6, 6, 6])])
    log_probs[1, 1:] = math.nan
    results = best_paths(log_probs, torch.tensor([3, 1, 0]))
    assert [tokens for tokens, _ in results] == [(4, 5, 6), (4,), ()]
    assert results[1][1] == pytest.approx(float(log_probs[1, 0, 4])) and results[2][1] == 0


def test_labels_that_are_never_chosen() -> None:
    log_probs = frames([2, 3, 4])
    log_probs[:2, 5] = log_probs[:2].max() - 1
    ((tokens, _),) = best_paths(log_probs[None], torch.tensor([3]), (2, 3))
    assert tokens == (5, 4)


@pytest.mark.parametrize("shape", [(0, 3, 7), (2, 0, 7)])
def test_empty(shape: tuple[int, int, int]) -> None:
    results = best_paths(torch.zeros(shape), torch.zeros(shape[0], dtype=torch.int64))
    assert results == [((), 0.0)] * shape[0]
