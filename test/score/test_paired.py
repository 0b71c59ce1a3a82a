"""The paired test: right under the null, right where systems differ, exact where all swaps can be tried."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stxlib.errors import DataError
from stxlib.score.bootstrap import groups_of
from stxlib.score.metric import Array, Counts, percent
from stxlib.score.paired import compare


def rate(counts: Counts) -> Array:
    return percent(counts["errors"], counts["words"])


def counts_of(errors: list[float] | np.ndarray) -> Counts:
    return {"errors": np.asarray(errors, np.float64), "words": np.full(len(errors), 10.0)}


def utts(number: int) -> list[str]:
    return [f"u{i:04}" for i in range(number)]


def test_all_swaps_by_hand() -> None:
    before, after = [3.0, 1, 4, 1, 5, 9], [2.0, 1, 1, 0, 5, 4]
    result = compare(counts_of(before), counts_of(after), rate, groups_of(utts(6), None), draws=1000)
    observed = sum(after) - sum(before)
    extreme = sum(
        abs(sum((a - b) * sign for a, b, sign in zip(after, before, signs, strict=True))) >= abs(observed)
        for signs in itertools.product((1, -1), repeat=6)
    )
    assert result.is_exact and result.p == extreme / 64
    assert result.difference == pytest.approx(100 * observed / 60)
    assert (result.baseline, result.system) == pytest.approx((100 * 23 / 60, 100 * 13 / 60))
    assert result.changed == (4, 2, 0)


def test_random_swaps_come_close_to_all() -> None:
    random = np.random.default_rng(5)
    before = random.integers(4, size=14) * 1.0
    after = before + random.integers(-2, 2, size=14)
    groups = groups_of(utts(14), None)
    exact = compare(counts_of(before), counts_of(after), rate, groups, draws=20_000)
    close = compare(counts_of(before), counts_of(after), rate, groups, draws=16_000)
    assert exact.is_exact and not close.is_exact
    assert close.p == pytest.approx(exact.p, abs=0.02)


def test_equal_systems() -> None:
    same = counts_of(np.arange(30.0))
    result = compare(same, same, rate, groups_of(utts(30), None), draws=200)
    assert (result.difference, result.p, result.changed) == (0, 1, (0, 30, 0))
    assert (result.difference_interval.low, result.difference_interval.high) == (0, 0)


def test_p_is_uniform_when_nothing_differs() -> None:
    random = np.random.default_rng(1)
    groups = groups_of(utts(40), None)
    found = []
    for seed in range(200):
        a, b = random.poisson(3, size=(2, 40))
        found.append(compare(counts_of(a), counts_of(b), rate, groups, draws=200, seed=seed).p)
    assert np.mean(np.array(found) < 0.1) == pytest.approx(0.1, abs=0.06)
    assert np.mean(found) == pytest.approx(0.5, abs=0.08)


def test_a_real_difference_and_its_interval() -> None:
    random = np.random.default_rng(2)
    before = random.poisson(4, size=300) * 1.0
    after = np.maximum(before - random.integers(0, 2, size=300), 0)
    result = compare(counts_of(before), counts_of(after), rate, groups_of(utts(300), None), draws=2000)
    assert result.p == pytest.approx(1 / 2001)
    assert result.difference_interval.low < result.difference < result.difference_interval.high < 0


def test_by_speaker_one_good_speaker_is_no_evidence() -> None:
    """200 utterances improve, all of one speaker of six."""
    names = [f"s{speaker}-{i}" for speaker in range(6) for i in range(200)]
    speakers = {utt: utt.split("-")[0] for utt in names}
    before = np.full(1200, 3.0)
    after = np.array([1.0 if utt.startswith("s0") else 3.0 for utt in names])
    by_speaker = compare(counts_of(before), counts_of(after), rate, groups_of(names, speakers), draws=500)
    by_utt = compare(counts_of(before), counts_of(after), rate, groups_of(names, None), draws=500)
    assert by_speaker.p == 1.0 and by_utt.p < 0.01


def test_direction_is_symmetric() -> None:
    a, b = counts_of([1.0, 2, 3, 4, 5, 6, 7]), counts_of([2.0, 2, 2, 2, 9, 9, 9])
    groups = groups_of(utts(7), None)
    there, back = compare(a, b, rate, groups, draws=200), compare(b, a, rate, groups, draws=200)
    assert there.p == back.p and there.difference == -back.difference


def test_nothing_counted() -> None:
    empty = {"errors": np.zeros(6), "words": np.zeros(6)}
    with pytest.raises(DataError, match="nothing was counted"):
        compare(empty, empty, rate, groups_of(utts(6), None), draws=100)
