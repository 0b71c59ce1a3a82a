"""CTC prefix scores against sums over all alignments, a public implementation's values, and one another."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stxlib.ops.ctc_prefix import CtcPrefixes, prefix_score

NEVER = -math.inf


def random_log_probs(*shape: int, seed: int = 0, scale: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).log_softmax(-1)


def label_sequences(log_probs: Tensor) -> dict[tuple[int, ...], float]:
    """Log probability of every label sequence: the sum over all alignments, one by one."""
    total: dict[tuple[int, ...], float] = {}
    num_frames, num_labels = log_probs.shape
    for path in itertools.product(range(num_labels), repeat=num_frames):
        labels = tuple(label for label, _ in itertools.groupby(path) if label)
        score = sum(float(log_probs[t, label]) for t, label in enumerate(path))
        total[labels] = np.logaddexp(total.get(labels, NEVER), score)
    return total


def fast_score(log_probs: Tensor, lens: Tensor, prefixes: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return psi and p of one prefix (of equal lengths, not empty) for each utterance, by the batched path."""
    states = CtcPrefixes.start(log_probs, lens)
    rows = torch.arange(len(prefixes))
    labels = torch.tensor([list(prefix) for prefix in prefixes])
    psi = torch.zeros(len(prefixes), dtype=log_probs.dtype)
    for u in range(labels.shape[1]):
        psi = states.scores(labels[:, u : u + 1])[:, 0]
        states = states.extend(rows, labels[:, u])
    return psi, states.end_scores()


@pytest.mark.parametrize(("num_frames", "num_labels"), [(1, 3), (2, 3), (4, 3), (5, 3), (4, 4)])
def test_both_paths_equal_the_sum_over_all_alignments(num_frames: int, num_labels: int) -> None:
    log_probs = random_log_probs(num_frames, num_labels, seed=num_frames)
    truth = label_sequences(log_probs)
    num_checked = 0
    for num_tokens in range(num_frames + 2):  # one label more than frames: impossible
        for prefix in itertools.product(range(1, num_labels), repeat=num_tokens):
            begins = [score for labels, score in truth.items() if labels[:num_tokens] == prefix]
            psi = float(np.logaddexp.reduce(begins)) if begins else NEVER
            p = truth.get(prefix, NEVER)
            assert prefix_score(log_probs, prefix) == pytest.approx((psi, p), abs=1e-9)
            if prefix:
                fast = fast_score(log_probs[None], torch.tensor([num_frames]), [prefix])
                assert [float(value) for value in fast] == pytest.approx((psi, p), abs=1e-9)
            num_checked += 1
    assert num_checked == sum((num_labels - 1) ** n for n in range(num_frames + 2))


def test_golden(test_data: Path) -> None:
    golden = np.load(test_data / "golden" / "ctc_prefix_A.npz")
    num_scores = num_states = 0
    for c, case in enumerate(json.loads(str(golden["meta_json"]))["cases"]):
        eos = case["eos"]
        log_probs = torch.from_numpy(golden[f"c{c}/log_probs"])
        start = CtcPrefixes.start(log_probs[None], torch.tensor([case["T"]]))
        compare(start.forward[1:, :, 0], golden[f"c{c}/state0"])
        for h, hypothesis in enumerate(case["hyps"]):
            states = start
            for s in range(len(hypothesis) + 1):
                at = f"c{c}/h{h}/s{s}"
                if f"{at}/scores" not in golden:
                    break
                prefix, candidates = golden[f"{at}/prefix"][1:].tolist(), golden[f"{at}/cand"]
                compare(states.forward[1:, :, 0], golden[f"{at}/prev_state"])
                fast = states.scores(torch.from_numpy(candidates)[None])[0]
                fast = torch.where(torch.from_numpy(candidates) == eos, states.end_scores(), fast)
                compare(fast, golden[f"{at}/scores"])
                slow = [
                    NEVER if label == 0
                    else prefix_score(log_probs, prefix)[1] if label == eos
                    else prefix_score(log_probs, [*prefix, int(label)])[0]
                    for label in candidates
                ]  # fmt: skip
                compare(torch.tensor(slow), golden[f"{at}/scores"])
                num_scores += len(candidates)
                if f"{at}/states" in golden:
                    labels = torch.from_numpy(candidates)
                    usable = (labels != 0) & (labels != eos)
                    new = states.extend(torch.zeros(int(usable.sum()), dtype=torch.int64), labels[usable])
                    compare(new.forward[1:].permute(2, 0, 1), golden[f"{at}/states"][usable.numpy()])
                    num_states += int(usable.sum())
                if s < len(hypothesis):
                    states = states.extend(torch.tensor([0]), torch.tensor([hypothesis[s]]))
    assert num_scores > 300 and num_states > 100, (num_scores, num_states)


def compare(ours: Tensor, reference: np.ndarray) -> None:
    """Compare with the public code, which says -1e10 where we say -inf."""
    expected = torch.from_numpy(np.array(reference, dtype=np.float32))
    impossible = expected < -1e9
    assert (ours[impossible] < -1e9).all()
    torch.testing.assert_close(ours[~impossible].float(), expected[~impossible], atol=2e-4, rtol=1e-5)


def test_ragged_batch_equals_one_by_one_and_ignores_padding() -> None:
    lens = torch.tensor([7, 1, 4, 0, 9])
    log_probs = random_log_probs(5, 9, 6, seed=3)
    for b, length in enumerate(lens):
        log_probs[b, length:] = math.nan
    prefixes = [[1, 1, 2], [3, 4, 5], [2, 2, 2], [1, 2, 3], [5, 5, 5]]
    psi, p = fast_score(log_probs, lens, prefixes)
    for b, prefix in enumerate(prefixes):
        expected = prefix_score(log_probs[b, : lens[b]], prefix)
        assert (float(psi[b]), float(p[b])) == pytest.approx(expected, abs=1e-9)
    assert math.isnan(log_probs[1, 5, 0])  # the caller's tensor is as it was
    assert float(p[3]) == NEVER
    assert CtcPrefixes.start(log_probs, lens).end_scores()[3] == 0  # no frames: surely no labels


def test_rows_may_repeat_change_places_and_go() -> None:
    log_probs = random_log_probs(3, 6, 5, seed=4)
    states = CtcPrefixes.start(log_probs, torch.tensor([6, 5, 6]))
    states = states.extend(torch.tensor([2, 0, 2, 1]), torch.tensor([1, 2, 3, 4]))
    states = states.extend(torch.tensor([3, 3, 0]), torch.tensor([4, 1, 2]))
    lens, expected_rows = [6, 5, 6], [(1, [4, 4]), (1, [4, 1]), (2, [1, 2])]
    scores = states.scores(torch.tensor([[0, 1, 2, 3, 4]]).repeat(3, 1))
    for row, (utt, prefix) in enumerate(expected_rows):
        frames = log_probs[utt, : lens[utt]]
        assert float(scores[row, 0]) == NEVER  # blank is no label
        assert float(states.end_scores()[row]) == pytest.approx(prefix_score(frames, prefix)[1])
        for label in range(1, 5):
            expected = prefix_score(frames, [*prefix, label])[0]
            assert float(scores[row, label]) == pytest.approx(expected, abs=1e-9)


def test_minus_infinity_makes_no_nan() -> None:
    log_probs = torch.full((1, 3, 4), NEVER, dtype=torch.float64)
    log_probs[0, 0, 1] = log_probs[0, 1, 0] = log_probs[0, 2, 1] = 0.0  # 1, blank, 1: the only alignment
    for prefix, expected in (
        ((1,), (0, NEVER)),
        ((1, 1), (0, 0)),
        ((2,), (NEVER, NEVER)),
        ((1, 2), (NEVER, NEVER)),
    ):
        assert prefix_score(log_probs[0], prefix) == expected
        fast = fast_score(log_probs, torch.tensor([3]), [prefix])
        assert tuple(float(value) for value in fast) == expected


def test_equal_labels_need_a_frame_between_them() -> None:
    log_probs = random_log_probs(1, 2, 3)
    psi, p = fast_score(log_probs, torch.tensor([2]), [[1, 1]])
    assert float(psi) == NEVER and float(p) == NEVER
    psi, p = fast_score(log_probs, torch.tensor([2]), [[1, 2]])
    assert float(psi) == pytest.approx(float(log_probs[0, 0, 1] + log_probs[0, 1, 2]))


@pytest.mark.parametrize("num_frames", [0, 5])
def test_empty_batch(num_frames: int) -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    states = CtcPrefixes.start(torch.zeros(0, num_frames, 4), nothing)
    assert states.scores(torch.zeros(0, 3, dtype=torch.int64)).shape == (0, 3)
    assert states.extend(nothing, nothing).end_scores().shape == (0,)


def test_no_frames_at_all() -> None:
    states = CtcPrefixes.start(torch.zeros(2, 0, 4), torch.tensor([0, 0]))
    assert states.end_scores().tolist() == [0, 0]
    assert states.scores(torch.tensor([[1], [2]])).tolist() == [[NEVER], [NEVER]]
    assert states.extend(torch.tensor([0]), torch.tensor([1])).end_scores().tolist() == [NEVER]
    assert prefix_score(torch.zeros(0, 4), []) == (0, 0)


def test_single_precision_stays_close_over_a_thousand_frames() -> None:
    log_probs = random_log_probs(1, 1000, 5, seed=7, scale=1.0)
    prefix = [1, 2, 2, 3, 4, 1]
    psi, p = fast_score(log_probs.float(), torch.tensor([1000]), [prefix])
    expected = prefix_score(log_probs[0], prefix)
    assert (float(psi), float(p)) == pytest.approx(expected, abs=2e-2)
    half, _ = fast_score(log_probs.bfloat16(), torch.tensor([1000]), [prefix])
    assert half.dtype == torch.float32
