from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from stxlib.data.augment import AugmentConfig, GeneratedNoiseConfig
from stxlib.data.batch import SpeechBatch
from stxlib.data.data_dir import DataDir
from stxlib.data.label_store import ctc_frames, utterance_seed
from stxlib.data.sampler import group_by_length
from stxlib.data.speech_loader import SpeechBatchConfig, SpeechBatches, SpeechDevBatches
from stxlib.data.tables import write_table
from stxlib.data.wave_loader import WaveBatches
from stxlib.errors import ConfigError, DataError

MakeDataDir = Callable[..., DataDir]
SECONDS = tuple(0.3 + 0.05 * (index * 7 % 13) for index in range(24))
FRAMES_PER_SECOND = 25.0


def encode(utt: str) -> dict[str, list[int]]:
    number = int(utt[-3:])
    return {"asr": [4 + number % 3] * (1 + number % 2), "units": [2, 3, 4 + number % 5][: 1 + number % 3]}


def batches_of(data: DataDir, **options: Any) -> SpeechBatches:
    config = SpeechBatchConfig(
        batch_seconds=2.5, **{"num_workers": 0, "min_seconds": 0.1} | options.pop("config", {})
    )
    defaults: dict[str, Any] = {
        "ctc": ("asr", "units"),
        "augment": AugmentConfig(noise=GeneratedNoiseConfig()),
        "sample_rate": 16000,
        "seed": 1,
        "num_shards": 1,
        "frames_per_second": FRAMES_PER_SECOND,
    }
    return SpeechBatches(data, options.pop("encode", encode), config=config, **defaults | options)


def assert_equal(left: SpeechBatch, right: SpeechBatch) -> None:
    assert left.utts == right.utts
    assert left.labels.keys() == right.labels.keys() == {"asr", "units"}
    for name in ("seeds", "waves", "wave_lens"):
        a, b = getattr(left, name), getattr(right, name)
        assert a.dtype == b.dtype
        assert torch.equal(a, b), name
    for name, sequences in left.labels.items():
        assert torch.equal(sequences.ids, right.labels[name].ids), name
        assert torch.equal(sequences.lens, right.labels[name].lens), name


def test_a_batch_holds_the_right_things(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(seconds=SECONDS)
    batches = batches_of(data, augment=AugmentConfig(speeds=(1.0,)))
    seen: list[str] = []
    for step in range(batches.num_batches):
        batch = batches.batch(step)
        seen += batch.utts
        assert batch.waves.dtype == torch.float32
        longest = int(batch.wave_lens.max())
        # Padded to the next multiple of 0.32 s: few shapes.
        assert batch.waves.shape[0] == len(batch.utts) and batch.waves.shape[1] % 5120 == 0
        assert 0 <= batch.waves.shape[1] - longest < 5120
        assert len(batch.utts) * longest / 16000 <= 2.5 + 1e-6
        for row, utt in enumerate(batch.utts):
            wave = data.load_wave(utt, 16000)
            np.testing.assert_array_equal(batch.waves[row, : len(wave)].numpy(), wave)
            assert batch.wave_lens[row] == len(wave)
            assert not batch.waves[row, len(wave) :].any()
            for name, ids in encode(utt).items():
                assert batch.labels[name].tolist()[row] == ids
                assert not batch.labels[name].ids[row, len(ids) :].any()
            assert batch.seeds[row] == utterance_seed(1, step, utt)
        assert (
            batch.labels["asr"].ids.dtype
            == batch.labels["asr"].lens.dtype
            == batch.seeds.dtype
            == torch.int64
        )
    assert sorted(seen) == list(data.utts)
    assert batches.num_seconds == pytest.approx(sum(SECONDS))


@pytest.mark.parametrize("num_workers", [1, 3])
def test_batches_do_not_depend_on_the_number_of_workers(make_data_dir: MakeDataDir, num_workers: int) -> None:
    data = make_data_dir(seconds=SECONDS, sample_rate=8000)
    alone = list(batches_of(data, num_shards=2).iterate(3, 9, (0, 1)))
    state = torch.get_rng_state()
    helped = list(batches_of(data, num_shards=2, config={"num_workers": num_workers}).iterate(3, 9, (0, 1)))
    assert torch.equal(state, torch.get_rng_state())
    assert len(alone) == len(helped) == 12
    for left, right in zip(alone, helped, strict=True):
        assert_equal(left, right)


def test_batches_do_not_depend_on_the_number_of_threads(make_data_dir: MakeDataDir) -> None:
    batches = batches_of(make_data_dir(seconds=SECONDS, sample_rate=8000))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = batches.batch(4)
        torch.set_num_threads(2)
        assert_equal(batches.batch(4), one)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_spawned_processes_read_the_same(make_data_dir: MakeDataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = batches_of(make_data_dir(seconds=SECONDS))
    copy = pickle.loads(pickle.dumps(batches._reader))
    job = batches._job(5, 0)
    np.testing.assert_array_equal(copy.read(job).waves, batches._reader.read(job).waves)


@pytest.mark.slow
def test_workers_may_be_spawned(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(seconds=SECONDS)
    code = (
        "import sys, torch.multiprocessing as mp\n"
        "from stxlib.data.data_dir import DataDir\n"
        "from stxlib.data.wave_loader import WaveBatches\n"
        "if __name__ == '__main__':\n"
        "    mp.set_start_method('spawn')\n"
        f"    batches = WaveBatches(DataDir({str(data.path)!r}), batch_seconds=5, sample_rate=16000, num_workers=2)\n"
        "    print(sorted(utt for batch in batches for utt in batch.utts))\n"
    )
    script = data.path / "spawn.py"
    script.write_text(code)
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(list(data.utts))


def test_a_traceback_does_not_wait_for_workers(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(seconds=SECONDS)
    code = (
        "from stxlib.data.data_dir import DataDir\n"
        "from stxlib.data.wave_loader import WaveBatches\n"
        f"batches = WaveBatches(DataDir({str(data.path)!r}), batch_seconds=1, sample_rate=16000, num_workers=2)\n"
        "reading = iter(batches)\n"
        "next(reading)\n"
        "raise RuntimeError('while it is open')\n"
    )
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("RuntimeError: while it is open"), done.stderr


def test_resuming_equals_going_on(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(seconds=SECONDS)
    whole = list(batches_of(data).iterate(0, 12))
    resumed = list(batches_of(data).iterate(7, 12))
    for left, right in zip(whole[7:], resumed, strict=True):
        assert_equal(left, right)
    assert_equal(batches_of(data).batch(9), whole[9])


def test_steps_come_first_and_ranks_get_parts_of_one_batch(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(seconds=SECONDS)
    whole = batches_of(data)
    split = batches_of(data, num_shards=2)
    if whole.num_batches != split.num_batches:
        pytest.fail("the number of shards changed the batches")
    ranks = [list(split.iterate(0, 6, (rank,))) for rank in (0, 1)]
    both = list(split.iterate(0, 6, (0, 1)))
    assert [len(rank) for rank in ranks] == [6, 6]
    for step in range(6):
        assert_equal(both[2 * step], ranks[0][step])
        assert_equal(both[2 * step + 1], ranks[1][step])
        assert sorted(ranks[0][step].utts + ranks[1][step].utts) == sorted(whole.batch(step).utts)


def test_seeds_are_stable() -> None:
    assert utterance_seed(1, 2, "ütt") == utterance_seed(1, 2, "ütt")
    seeds = {utterance_seed(seed, step, utt) for seed in range(3) for step in range(3) for utt in ("a", "ü")}
    assert len(seeds) == 18
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert utterance_seed(1, 2, "a") == 7036124720165479518


def test_ctc_needs_a_blank_between_repeats() -> None:
    assert [ctc_frames(ids) for ids in ([], [1], [1, 1], [1, 2, 2, 2], [1, 2, 1])] == [0, 1, 3, 6, 3]


def test_what_cannot_be_learnt_is_left_out_by_reason(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(seconds=(0.05, 0.5, 0.9, 0.6, 0.7, 0.5))

    def labels(utt: str) -> dict[str, list[int]]:
        # At 25 frames a second and speed 1.1, 0.6 s are 13.6 frames, two of which are the edges'.
        # What only the decoder writes may be of any length.
        tokens, units = {"ütt-001": ([], [5]), "ütt-003": ([3], [5] * 7), "ütt-004": ([3], [5] * 6)}.get(
            utt, ([3], [5])
        )
        return {"asr": tokens, "units": units, "slu": [7] * 50}

    batches = batches_of(data, encode=labels, config={"max_seconds": 0.8})
    assert batches.excluded == {
        "too_long": ("ütt-002",),
        "too_short": ("ütt-000",),
        "no_label": ("ütt-001",),
        "fewer_frames_than_labels": ("ütt-003",),
    }
    assert batches.utts == ["ütt-004", "ütt-005"]
    assert batches.excluded_lines()[0].endswith("train: 1 of 6 utterances left out: too_long (ütt-002)")
    with pytest.raises(DataError, match=r"no utterance is left \(too_short 6\)"):
        batches_of(data, config={"min_seconds": 5})


def test_too_many_parts_are_an_error(make_data_dir: MakeDataDir) -> None:
    with pytest.raises(ConfigError, match="raise batch_seconds"):
        batches_of(make_data_dir(seconds=SECONDS), num_shards=9)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_unreadable_audio_ends_the_run_unless_it_is_allowed(
    make_data_dir: MakeDataDir, num_workers: int
) -> None:
    data = make_data_dir(seconds=SECONDS)
    for utt in ("ütt-003", "ütt-010"):
        (data.path / "wav" / f"{utt}.wav").write_bytes(b"")
    config = {"num_workers": num_workers}
    epochs = 2 * batches_of(data).num_batches
    for allowed in (0, 1):
        with pytest.raises(
            DataError, match=rf"wav.scp:(4|11): utterance .*{allowed + 1} unreadable, max_bad_utts"
        ):
            list(batches_of(data, config=config, max_bad_utts=allowed).iterate(0, epochs))
    batches = batches_of(data, config=config, max_bad_utts=2)
    read = list(batches.iterate(0, epochs))
    assert sorted(batches.bad_utts) == ["ütt-003", "ütt-010"]  # each counted once, in two epochs
    assert len(read) == epochs
    seen = [utt for batch in read for utt in batch.utts]
    assert {utt: seen.count(utt) for utt in data.utts} == {
        utt: 0 if utt in batches.bad_utts else 2 for utt in data.utts
    }


def test_where_nothing_of_a_part_can_be_read_another_stands_in(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(seconds=(1.0, 1.1, 1.2))
    (data.path / "wav" / "ütt-001.wav").unlink()
    batches = batches_of(data, max_bad_utts=1, encode=lambda utt: {"asr": [3], "units": [3]})
    read = list(batches.iterate(0, batches.num_batches))
    assert all(batch.utts for batch in read)
    assert {utt for batch in read for utt in batch.utts} == {"ütt-000", "ütt-002"}


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_command_ends_the_run_also_in_a_worker(make_data_dir: MakeDataDir, num_workers: int) -> None:
    data = make_data_dir(seconds=SECONDS)
    write_table(data.path / "wav.scp", {utt: f"cat {data.path}/wav/{utt}.wav |" for utt in data.utts})
    data = DataDir(data.path)
    config = {"num_workers": num_workers}
    with pytest.raises(DataError, match=r"would run a command.*--allow_pipes true"):
        list(batches_of(data, config=config, max_bad_utts=100).iterate(0, 3))
    assert len(list(batches_of(data, config=config, allow_pipes=True).iterate(0, 3))) == 3


def test_the_worst_batch_is_as_large_as_any(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(seconds=SECONDS)
    batches = batches_of(data, num_shards=2)
    worst = batches.worst_batch(0)
    assert len(worst.utts) == worst.waves.shape[0] == len(worst.labels["asr"].ids)
    for shard in (0, 1):
        for batch in batches.iterate(0, 3 * batches.num_batches, (shard,)):
            assert batch.waves.numel() <= worst.waves.numel()


def test_dev_batches_are_each_utterance_once_over_all_ranks(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(seconds=SECONDS)
    dev = SpeechDevBatches(
        data,
        encode,
        ctc=("asr", "units"),
        config=SpeechBatchConfig(batch_seconds=2.5, num_workers=0, max_seconds=0.5),
        sample_rate=16000,
        frames_per_second=FRAMES_PER_SECOND,
    )
    alone = list(dev.iterate())
    assert sorted(utt for batch in alone for utt in batch.utts) == list(data.utts)
    lens = [int(length) for batch in alone for length in batch.wave_lens]
    assert lens == sorted(lens)
    shared = [batch for rank in range(3) for batch in dev.iterate(rank, 3)]
    assert sorted(batch.utts for batch in shared) == sorted(batch.utts for batch in alone)
    assert [batch.utts for batch in dev.iterate()] == [batch.utts for batch in alone]
    assert dev.num_batches == len(alone)


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("durations", [True, False])
def test_decoding_collects_unreadable_audio(
    make_data_dir: MakeDataDir, num_workers: int, durations: bool
) -> None:
    data = make_data_dir(seconds=SECONDS, durations=durations)
    (data.path / "wav" / "ütt-005.wav").write_text("no audio")
    options: dict[str, Any] = {"batch_seconds": 3, "sample_rate": 16000, "num_workers": num_workers}
    batches = WaveBatches(data, **options)
    read = list(batches)
    assert list(batches.unreadable) == ["ütt-005"]
    assert "wav.scp:6: utterance 'ütt-005'" in batches.unreadable["ütt-005"]
    assert sorted([utt for batch in read for utt in batch.utts] + ["ütt-005"]) == list(data.utts)
    lens = [int(length) for batch in read for length in batch.wave_lens]
    assert lens == sorted(lens, reverse=True)
    assert all(len(batch.utts) * int(batch.wave_lens.max()) <= 48000 for batch in read)
    parts = [WaveBatches(data, part=part, num_parts=3, **options) for part in range(3)]
    assert sorted(utt for part in parts for utt in part.utts) == list(data.utts)


def test_a_set_that_cannot_be_read_at_all_decodes_to_nothing(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(durations=False)
    for path in (data.path / "wav").iterdir():
        path.unlink()
    batches = WaveBatches(data, batch_seconds=3, sample_rate=16000)
    assert list(batches) == []
    assert tuple(batches.unreadable) == batches.utts == data.utts


def test_groups_keep_the_limit() -> None:
    assert group_by_length(np.array([3.0, 1.0, 2.0, 9.0]), 6) == [[1, 2], [0], [3]]
    assert group_by_length(np.zeros(0), 6) == []


def test_workers_leave_signals_to_the_trainer(make_data_dir: MakeDataDir) -> None:
    iterator = batches_of(make_data_dir(seconds=SECONDS), config={"num_workers": 1}).iterate(0, 60)
    next(iterator)
    workers = multiprocessing.active_children()
    assert workers
    for worker in workers:
        assert worker.pid is not None

        os.kill(worker.pid, signal.SIGTERM)
        os.kill(worker.pid, signal.SIGINT)
    assert len(list(iterator)) == 59
    assert not any(worker.is_alive() for worker in workers)
