"""Durations of units, and of the phones that were spoken in their place."""

from __future__ import annotations

import numpy as np
import pytest

from stxlib.judge.durations import compare_durations, read_phone_times, true_durations


def test_figures() -> None:
    one, two = np.array([40.0, 80, 120, np.nan]), np.array([80.0, 40, 120, 40])
    assert compare_durations(one, two) == pytest.approx(
        {
            "pairs": 3,
            "mean": 80,
            "deviation": np.std([40, 80, 120]),
            "reference_mean": 80,
            "reference_deviation": np.std([40, 80, 120]),
            "correlation": 0.5,
            "mean_absolute_difference": 80 / 3,
            "distribution_distance": 0,
        }
    )
    assert compare_durations(np.array([40.0, 40]), np.array([40.0, 80]))["correlation"] is None
    nothing = compare_durations(np.array([np.nan]), np.array([1.0]))
    assert nothing["pairs"] == 0 and nothing["mean"] is None and len(nothing) == 8


def test_true_durations_tile_the_audio() -> None:
    found = true_durations(["a", "b", "c"], ["a", "b", "c"], np.array([0.1, 0.15, 0.3]), 0.5)
    np.testing.assert_allclose(found, [100, 50, 150, 200])
    assert found.sum() == pytest.approx(500)


def test_phones_that_were_spoken_otherwise() -> None:
    # b was spoken as x: a variant; d was left out; nothing is known of the units around the gap.
    found = true_durations(
        ["a", "b", "c", "d", "e", "f"], ["a", "x", "c", "e", "f"], np.array([0.1, 0.2, 0.3, 0.4, 0.5]), 0.6
    )
    np.testing.assert_allclose(found, [100, 100, 100, np.nan, np.nan, 100, 100])
    # x was put in after a: the time of a is not that of the phones until b.
    found = true_durations(["a", "b", "c"], ["a", "x", "b", "c"], np.array([0.1, 0.2, 0.3, 0.4]), 0.5)
    np.testing.assert_allclose(found, [100, np.nan, 100, 100])
    # An extra phone in front: when the first unit begins is unknown.
    found = true_durations(["a", "b", "c"], ["x", "a", "b", "c"], np.array([0.1, 0.2, 0.3, 0.4]), 0.5)
    np.testing.assert_allclose(found, [np.nan, 100, 100, 100])


def test_units_that_are_no_phones() -> None:
    assert np.isnan(true_durations(["th", "at"], ["ð", "æ"], np.array([0.1, 0.2]), 0.3)).all()
    assert np.isnan(true_durations(["a"], [], np.array([]), 0.3)).all()


def test_phone_times() -> None:
    names, starts = read_phone_times('[["ð", 0.16, 0.2], ["ə", 0.2, 0.3]]')
    assert names == ["ð", "ə"] and starts.tolist() == [0.16, 0.2]
    assert read_phone_times("[]")[0] == []
    for wrong in ("ð 0.1 0.2", '[["ð", 0.1]]', '[["ð", "early", 0.2]]', "3"):
        with pytest.raises(ValueError, match=r"not \[\[phone, start, end\], ...\]"):
            read_phone_times(wrong)
