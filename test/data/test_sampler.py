from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxlib.data.sampler import BucketSampler
from stxlib.data.speech_loader import SpeechBatchConfig
from stxlib.errors import ConfigError

CONFIG = SpeechBatchConfig(batch_seconds=40)


def lengths(count: int = 500, seed: int = 0) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).gamma(4, 1.0, count), 0.3, 15)


def sampler(
    seconds: np.ndarray | None = None, config: SpeechBatchConfig = CONFIG, **options: int
) -> BucketSampler:
    return BucketSampler(
        lengths() if seconds is None else seconds,
        config.batch_seconds,
        num_buckets=config.num_buckets,
        **({"seed": 1} | options),
    )


any_lengths = st.lists(st.floats(0.01, 60), min_size=1, max_size=120).map(np.array)
configs = st.builds(SpeechBatchConfig, batch_seconds=st.floats(1, 200), num_buckets=st.integers(1, 30))


@settings(max_examples=150, deadline=None)
@given(any_lengths, configs, st.integers(0, 3))
def test_an_epoch_holds_each_utterance_once_within_the_limit(
    seconds: np.ndarray, config: SpeechBatchConfig, epoch: int
) -> None:
    batches = sampler(seconds, config)
    seen = []
    for position in range(batches.num_batches):
        batch = batches.batch(epoch * batches.num_batches + position)
        assert len(batch)
        assert len(batch) == 1 or len(batch) * seconds[batch].max() <= config.batch_seconds * (1 + 1e-6)
        assert (np.diff(seconds[batch]) <= 0).all()
        seen += batch.tolist()
    assert sorted(seen) == list(range(len(seconds)))


@settings(max_examples=60, deadline=None)
@given(any_lengths, configs, st.integers(2, 4))
def test_shards_are_a_partition_and_never_empty(
    seconds: np.ndarray, config: SpeechBatchConfig, num_shards: int
) -> None:
    try:
        batches = sampler(seconds, config, num_shards=num_shards)
    except ConfigError:
        return
    for step in range(2 * batches.num_batches):
        parts = [batches.shard(step, shard) for shard in range(num_shards)]
        assert min(map(len, parts)) >= 1
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        assert sorted(np.concatenate(parts)) == sorted(batches.batch(step))


@settings(max_examples=60, deadline=None)
@given(any_lengths, configs)
def test_no_batch_is_worse_than_the_worst(seconds: np.ndarray, config: SpeechBatchConfig) -> None:
    batches = sampler(seconds, config)
    worst = batches.worst_shard(0)
    limit = len(worst) * seconds[worst].max()
    for step in range(3 * batches.num_batches):
        batch = batches.batch(step)
        assert len(batch) * seconds[batch].max() <= limit + 1e-9


def test_a_batch_is_a_function_of_seed_and_step_alone() -> None:
    forwards, jumping = sampler(), sampler()
    steps = range(5 * forwards.num_batches)
    in_order = [forwards.batch(step) for step in steps]
    for step in np.random.default_rng(0).permutation(len(in_order)):
        np.testing.assert_array_equal(jumping.batch(int(step)), in_order[step])
    other = sampler(seed=2)
    assert any(list(other.batch(step)) != list(in_order[step]) for step in range(5))


def test_epochs_differ_in_order_and_in_company() -> None:
    batches = sampler()
    epochs = [
        [
            tuple(batches.batch(epoch * batches.num_batches + position))
            for position in range(batches.num_batches)
        ]
        for epoch in range(2)
    ]
    assert epochs[0] != epochs[1]
    assert len(set(map(frozenset, epochs[0])) & set(map(frozenset, epochs[1]))) < batches.num_batches / 3


def test_batches_of_an_epoch_are_not_in_order_of_length() -> None:
    batches = sampler()
    longest = [lengths()[batches.batch(step)].max() for step in range(batches.num_batches)]
    assert abs(np.corrcoef(np.arange(len(longest)), longest)[0, 1]) < 0.5


def test_the_order_is_the_same_in_every_process() -> None:
    code = (
        "import numpy as np; from stxlib.data.sampler import *;"
        "s = BucketSampler(np.linspace(1, 9, 50), 30, num_buckets=20, seed=7);"
        "print([s.batch(step).tolist() for step in (0, 30)])"
    )
    found = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)
    ]
    assert found[0] == found[1]
    s = BucketSampler(np.linspace(1, 9, 50), 30, num_buckets=20, seed=7)
    assert found[0].decode().strip() == str([s.batch(step).tolist() for step in (0, 30)])


def test_little_is_lost_to_padding_even_with_a_long_tail() -> None:
    seconds = np.concatenate([lengths(3000), [29.0, 25.0, 24.0]])
    batches = sampler(seconds)
    padded = sum(
        len(batch) * seconds[batch].max() for batch in map(batches.batch, range(batches.num_batches))
    )
    assert seconds.sum() / padded > 0.93
    assert seconds.sum() / (40 * batches.num_batches) > 0.85


def test_a_batch_that_cannot_fill_all_parts_is_an_error() -> None:
    with pytest.raises(
        ConfigError, match=r"smallest has 1 utterances for 2 parts.*60 are needed; raise batch_seconds"
    ):
        sampler(np.array([30.0, 30.0, 1.0]), num_shards=2)


def test_a_plan_over_100000_utterances_takes_well_under_a_second() -> None:
    seconds = lengths(100_000)
    start = time.process_time()
    batches = sampler(seconds, SpeechBatchConfig(batch_seconds=400))
    batches.batch(123_456_789)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    "options",
    [{"batch_seconds": 0}, {"min_seconds": 5, "max_seconds": 4}, {"num_buckets": 0}, {"num_workers": -1}],
)
def test_bad_configs(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SpeechBatchConfig(**options)  # type: ignore[arg-type]
