"""Intervals: seeded, by speaker, of the right width, and fast."""

from __future__ import annotations

import time

import numpy as np
import pytest

from stxlib.score.bootstrap import bootstrap, draw_weights, groups_of, interval
from stxlib.score.metric import Array, Counts, percent


def rate(counts: Counts) -> dict[str, Array]:
    return {"rate": percent(counts["errors"], counts["words"])}


def test_draws_are_whole_sets() -> None:
    weights = np.concatenate(list(draw_weights(7, 500, seed=1)))
    assert weights.shape == (500, 7)
    assert (weights.sum(1) == 7).all()
    assert weights.mean(0) == pytest.approx(np.ones(7), abs=0.15)
    assert len(np.unique(weights, axis=0)) > 300


def test_chunks_do_not_change_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(draw_weights(7, 100, seed=1)))
    monkeypatch.setattr("stxlib.score.bootstrap._CHUNK", 14)
    assert np.array_equal(np.concatenate(list(draw_weights(7, 100, seed=1))), whole)


def test_interval_of_a_proportion() -> None:
    """400 words of which 100 are wrong: the normal approximation gives 25 +- 4.24."""
    counts = {"errors": np.repeat([1.0, 0.0], [100, 300]), "words": np.ones(400)}
    groups = groups_of([str(i) for i in range(400)], None)
    found = bootstrap(counts, rate, groups, draws=4000, seed=1)["rate"]
    assert found.low == pytest.approx(25 - 4.24, abs=0.5)
    assert found.high == pytest.approx(25 + 4.24, abs=0.5)
    assert found == bootstrap(counts, rate, groups, draws=4000, seed=1)["rate"]
    assert found != bootstrap(counts, rate, groups, draws=4000, seed=2)["rate"]


def test_speakers_are_drawn_whole() -> None:
    """All utterances of a speaker alike: by utterance the interval is far too narrow."""
    utts = [f"s{speaker}-{i}" for speaker in range(10) for i in range(40)]
    speakers = {utt: utt.split("-")[0] for utt in utts}
    errors = np.array([1.0 if utt[1] < "5" else 0.0 for utt in utts])
    counts = {"errors": errors, "words": np.ones(400)}
    by_speaker, by_utt = groups_of(utts, speakers), groups_of(utts, None)
    assert (by_speaker.kind, by_speaker.size, by_utt.kind) == ("speaker", 10, "utterance")
    wide, narrow = (bootstrap(counts, rate, groups)["rate"] for groups in (by_speaker, by_utt))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_few_speakers_are_no_sample() -> None:
    assert groups_of(["a", "b", "c"], {"a": "x", "b": "y", "c": "x"}).kind == "utterance"


def test_nothing_counted() -> None:
    counts = {"errors": np.zeros(3), "words": np.zeros(3)}
    found = bootstrap(counts, rate, groups_of(["a", "b", "c"], None), draws=100)["rate"]
    assert np.isnan(found.low) and np.isnan(found.high)
    assert interval(np.array([np.nan, 1.0, 1.0])).low == 1.0


def test_speed_of_a_large_set() -> None:
    random = np.random.default_rng(0)
    counts = {"errors": random.integers(3, size=13_078) * 1.0, "words": np.full(13_078, 7.0)}
    groups = groups_of([str(i) for i in range(13_078)], None)
    start = time.perf_counter()
    bootstrap(counts, rate, groups, draws=1000)
    assert time.perf_counter() - start < 5


def test_sentences_where_speakers_are_not_known() -> None:
    utts = [str(i) for i in range(12)]
    groups = groups_of(utts, None, [utt[-1] for utt in utts])
    assert (groups.kind, groups.size) == ("sentence", 10)
    assert groups.index[0] == groups.index[10] != groups.index[2]
    speakers = {utt: str(i % 6) for i, utt in enumerate(utts)}
    assert groups_of(utts, speakers, utts).kind == "speaker"
