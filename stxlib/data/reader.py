"""Reading of waves into padded arrays, in this process or in workers, in the order of the jobs."""

from __future__ import annotations

import atexit
import signal
import weakref
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from stxlib.data.audio import UnreadableAudio
from stxlib.data.augment import Augment
from stxlib.data.data_dir import DataDir
from stxlib.errors import StxError
from stxlib.parallel import end_with_parent

# How many other utterances are tried where nothing of a job can be read.
_MAX_SUBSTITUTES = 100

# Padded lengths are multiples of this: CPU kernels are compiled for each new shape, and few shapes make a step a fifth faster.
_GRID_SECONDS = 0.32


class ReadJob(NamedTuple):
    """Utterances (indices into the reader's list) with their augmentation seeds."""

    indices: list[int]
    seeds: list[int]


class Waves(NamedTuple):
    """What became of a job: the readable utterances, padded, and a message for each that is not."""

    indices: list[int]
    seeds: list[int]
    waves: np.ndarray  # (B, N) float32
    wave_lens: np.ndarray  # (B,) int64
    unreadable: list[tuple[str, str]]


class Reader(Dataset[Any]):
    """Loads, resamples and augments the waves of a job. Can be pickled, so it can be sent to a worker process."""

    def __init__(
        self,
        data: DataDir,
        utts: Sequence[str],
        sample_rate: int,
        *,
        allow_pipes: bool,
        augment: Augment | None = None,
        substitute: bool,
    ) -> None:
        """substitute: where nothing of a job can be read, the next readable utterance of `utts` stands in."""
        self.data = data
        self.utts = tuple(utts)
        self.sample_rate = sample_rate
        self.allow_pipes = allow_pipes
        self.augment = augment
        self.substitute = substitute

    def __getitem__(self, job: ReadJob) -> Waves | StxError:
        # An exception would cross from the worker as a traceback inside another: it goes as a value instead.
        try:
            return self.read(job)
        except StxError as error:
            return error

    def read(self, job: ReadJob) -> Waves:
        """Read a job. Raises `DataError` for what is not the audio's fault, such as a command that is not allowed."""
        # One thread, as in a worker: two may round sums in another way, and the number of workers would matter.
        num_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return self._read(job)
        finally:
            torch.set_num_threads(num_threads)

    def _read(self, job: ReadJob) -> Waves:
        unreadable: list[tuple[str, str]] = []
        read = [
            (index, seed, wave)
            for index, seed in zip(job.indices, job.seeds, strict=True)
            if (wave := self._load(index, seed, unreadable)) is not None
        ]
        if not read and self.substitute:
            for distance in range(1, min(_MAX_SUBSTITUTES, len(self.utts))):
                index = (job.indices[0] + distance) % len(self.utts)
                wave = self._load(index, job.seeds[0], unreadable)
                if wave is not None:
                    read = [(index, job.seeds[0], wave)]
                    break
            else:
                raise UnreadableAudio(
                    f"{unreadable[0][1]} ({len(unreadable)} utterances in a row cannot be read)"
                )
        wave_lens = np.array([len(wave) for _, _, wave in read], dtype=np.int64)
        waves = np.zeros((len(read), padded_length(wave_lens, self.sample_rate)), dtype=np.float32)
        for row, (_, _, wave) in zip(waves, read, strict=True):
            row[: len(wave)] = wave
        return Waves(
            [index for index, _, _ in read], [seed for _, seed, _ in read], waves, wave_lens, unreadable
        )

    def _load(self, index: int, seed: int, unreadable: list[tuple[str, str]]) -> np.ndarray | None:
        utt = self.utts[index]
        try:
            wave = self.data.load_wave(utt, self.sample_rate, self.allow_pipes)
        except UnreadableAudio as error:
            unreadable.append((utt, str(error)))
            return None
        return self.augment(wave, seed) if self.augment else wave


def padded_length(wave_lens: np.ndarray, sample_rate: int) -> int:
    """Samples in a row of a batch of waves of these lengths (B,): the next multiple of 0.32 s."""
    grid = int(_GRID_SECONDS * sample_rate)
    return -(-int(wave_lens.max(initial=0)) // grid) * grid


def read_jobs(reader: Reader, jobs: Iterable[ReadJob], num_workers: int) -> Iterator[Waves]:
    """Read jobs in their order with `num_workers` processes (0: this one). Raises what a worker ran into."""
    if num_workers == 0:
        for job in jobs:
            yield reader.read(job)
        return
    reading = _read_with_workers(reader, jobs, num_workers)
    _OPEN.add(reading)
    yield from reading


def _read_with_workers(reader: Reader, jobs: Iterable[ReadJob], num_workers: int) -> Generator[Waves]:
    loader: DataLoader[Any] = DataLoader(
        reader,
        batch_size=None,  # a job is a batch already
        sampler=jobs,  # any iterable will do
        num_workers=num_workers,
        worker_init_fn=_start_worker,
        # Arrays go through a pipe, not through tensors in shared memory: /dev/shm is 64 MB in many containers.
        collate_fn=_as_it_is,
        # Of its own, or each start would draw from the global generator, and the number of workers would matter.
        generator=torch.Generator(),
    )
    for waves in _start(loader):  # without a name for it, which a traceback would keep
        if isinstance(waves, StxError):
            raise waves
        yield waves


def _start(loader: DataLoader[Any]) -> Iterator[Any]:
    started = iter(loader)
    # The last that is registered runs first: once more, to come before the hooks of torch, which wait for the workers.
    atexit.unregister(_close)
    atexit.register(_close)
    return started


_OPEN: weakref.WeakSet[Generator[Waves]] = weakref.WeakSet()


def _close() -> None:
    """At exit, end the workers of what a traceback keeps open: else multiprocessing sends them SIGTERM, which they ignore, and waits."""
    for reading in list(_OPEN):
        reading.close()


def _start_worker(worker: int) -> None:
    torch.set_num_threads(1)
    # A signal to the whole process group is for the trainer, which saves and then ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_parent()


def _as_it_is(waves: Any) -> Any:
    return waves
