"""Forced alignment against all paths of a tiny vocabulary."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from stxlib.errors import DataError
from stxlib.ops.align import forced_align, min_ctc_frames


def collapse(path: tuple[int, ...]) -> list[int]:
    return [label for label, _ in itertools.groupby(path) if label]


def best_by_search(log_probs: Tensor, target: list[int]) -> tuple[tuple[int, ...], float]:
    frames = range(len(log_probs))
    paths = [
        path
        for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs))
        if collapse(path) == target
    ]
    scores = [sum(float(log_probs[t, path[t]]) for t in frames) for path in paths]
    return paths[scores.index(max(scores))], max(scores)


def test_the_best_of_all_paths() -> None:
    generator = torch.Generator().manual_seed(3)
    targets = [[1, 2], [1, 1], [2], [], [2, 1, 2]]
    lens = torch.tensor([5, 6, 1, 3, 4])
    log_probs = torch.randn(5, 6, 3, generator=generator).mul(2).log_softmax(2)
    padded = torch.tensor([target + [2] * (3 - len(target)) for target in targets])
    target_lens = torch.tensor([len(target) for target in targets])
    paths, scores = forced_align(log_probs, lens, padded, target_lens)
    for row, target in enumerate(targets):
        path, score = best_by_search(log_probs[row, : lens[row]], target)
        assert paths[row, : lens[row]].tolist() == list(path)
        assert paths[row, lens[row] :].tolist() == [0] * (6 - int(lens[row]))
        assert float(scores[row]) == pytest.approx(score, abs=1e-5)


def test_fewest_frames() -> None:
    targets = torch.tensor([[1, 1, 2, 2], [1, 2, 1, 1], [3, 3, 3, 3], [1, 1, 1, 1]])
    assert min_ctc_frames(targets, torch.tensor([4, 3, 4, 0])).tolist() == [6, 3, 7, 0]
    assert min_ctc_frames(
        torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)
    ).tolist() == [0, 0]


def test_too_few_frames_is_an_error() -> None:
    with pytest.raises(DataError, match="utterance 1 of the batch has 2 frames, and its labels need 3"):
        forced_align(
            torch.zeros(2, 4, 3), torch.tensor([4, 2]), torch.tensor([[1, 2], [1, 1]]), torch.tensor([2, 2])
        )
