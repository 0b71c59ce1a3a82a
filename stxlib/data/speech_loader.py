"""Batches of speech, read ahead by worker processes: the same batches whatever the number of workers."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from stxlib.data.augment import Augment, AugmentConfig
from stxlib.data.batch import SpeechBatch
from stxlib.data.data_dir import DataDir
from stxlib.data.label_store import LabelStore, ctc_frames, left_out_lines, utterance_seed
from stxlib.data.reader import Reader, ReadJob, Waves, padded_length, read_jobs
from stxlib.data.sampler import BucketSampler, group_by_length
from stxlib.errors import ConfigError, DataError

log = logging.getLogger(__name__)

Encode = Callable[[str], Mapping[str, Sequence[int]]]
"utterance id -> its labels by name"

# Frames that the edges of analysis windows and of subsampling may take from seconds x frames_per_second.
_EDGE_FRAMES = 2


@dataclass(frozen=True, kw_only=True)
class SpeechBatchConfig:
    """How utterances are put into batches, and who reads them."""

    kind: Literal["speech"] = "speech"
    """waves with labels"""
    batch_seconds: float = 40.0
    """seconds of audio in the batch of one step, padding and slowest speed included, all processes together"""
    max_seconds: float = 30.0
    """longer utterances are left out of training"""
    min_seconds: float = 0.2
    """shorter utterances are left out of training"""
    num_buckets: int = 20
    """length buckets (fewer where the data are few); more save padding, fewer mix better"""
    num_workers: int = 1
    """processes that read audio ahead; 0 reads in the training process; the batches do not depend on it"""

    def __post_init__(self) -> None:
        if self.batch_seconds <= 0:
            raise ConfigError(f"batch_seconds: {self.batch_seconds:g}; give a number above 0")
        if not 0 <= self.min_seconds <= self.max_seconds:
            seen = f"min_seconds {self.min_seconds:g}, max_seconds {self.max_seconds:g}"
            raise ConfigError(f"{seen}; 0 <= min_seconds <= max_seconds is needed")
        if self.num_buckets < 1 or self.num_workers < 0:
            seen = f"num_buckets {self.num_buckets}, num_workers {self.num_workers}"
            raise ConfigError(f"{seen}; num_buckets is at least 1 and num_workers at least 0")


class _Labelled:
    """Utterances with labels and lengths, those that cannot be learnt from left out and listed by reason."""

    def __init__(
        self,
        data: DataDir,
        encode: Encode,
        *,
        ctc: Collection[str],
        sample_rate: int,
        min_seconds: float,
        max_seconds: float,
        max_speed: float,
        frames_per_second: float,
        allow_pipes: bool,
        max_bad_utts: int,
    ) -> None:
        self.data = data
        self.sample_rate = sample_rate
        self.max_bad_utts = max_bad_utts
        self.bad_utts: dict[str, str] = {}
        lengths, unreadable = data.measure_seconds(allow_pipes=allow_pipes)
        self._note_bad(unreadable.items())
        excluded: dict[str, list[str]] = {
            reason: [] for reason in ("too_long", "too_short", "no_label", "fewer_frames_than_labels")
        }
        self.utts: list[str] = []
        self.labels = LabelStore()
        seconds = []
        for utt in data.utts:
            if utt in unreadable:
                continue
            length = lengths[utt]
            if length > max_seconds:
                excluded["too_long"].append(utt)
                continue
            if length < min_seconds:
                excluded["too_short"].append(utt)
                continue
            labels = encode(utt)
            if not all(labels.values()):
                excluded["no_label"].append(utt)
                continue
            frames = length / max_speed * frames_per_second - _EDGE_FRAMES
            if frames < max((ctc_frames(labels[name]) for name in ctc), default=1):
                excluded["fewer_frames_than_labels"].append(utt)
                continue
            self.utts.append(utt)
            seconds.append(length)
            self.labels.append(labels)
        self.excluded = {reason: tuple(utts) for reason, utts in excluded.items() if utts}
        if not self.utts:
            reasons = (
                ", ".join(f"{reason} {len(utts)}" for reason, utts in self.excluded.items()) or "empty set"
            )
            raise DataError(
                f"{data.path}: no utterance is left ({reasons}) at speeds up to {max_speed:g}; change min_seconds, max_seconds, speeds or the set"
            )
        self.seconds = np.array(seconds)
        self.num_seconds = float(self.seconds.sum())

    def excluded_lines(self) -> list[str]:
        """One line for each reason: how many utterances it leaves out, and the first of them."""
        return left_out_lines(str(self.data.path), f"of {len(self.data.utts)} utterances", self.excluded)

    def _assemble(self, waves: Waves, seeds: Sequence[int]) -> SpeechBatch:
        return SpeechBatch(
            utts=tuple(self.utts[index] for index in waves.indices),
            seeds=torch.tensor(seeds, dtype=torch.int64),
            waves=torch.from_numpy(waves.waves),
            wave_lens=torch.from_numpy(waves.wave_lens),
            sample_rate=self.sample_rate,
            labels=self.labels.batch(waves.indices),
        )

    def _read(self, reader: Reader, jobs: Iterable[ReadJob], num_workers: int) -> Iterator[SpeechBatch]:
        for waves in read_jobs(reader, jobs, num_workers):
            self._note_bad(waves.unreadable)
            yield self._assemble(waves, waves.seeds)

    def _note_bad(self, unreadable: Iterable[tuple[str, str]]) -> None:
        """Count unreadable utterances, each once, in the main process; end the run where they are too many."""
        for utt, message in unreadable:
            if utt in self.bad_utts:
                continue
            self.bad_utts[utt] = message
            count = len(self.bad_utts)
            if count > self.max_bad_utts:
                allowed = f"{count} unreadable, max_bad_utts {self.max_bad_utts}"
                raise DataError(f"{message} ({allowed}: {', '.join(self.bad_utts)})")
            log.warning("unreadable audio %d of at most %d: %s", count, self.max_bad_utts, message)


class SpeechBatches(_Labelled):
    """The training batches of a set, endless: the batch of a step is a function of (seed, step).

    `excluded` lists utterances left out, by reason: too_long, too_short, no_label (one of the labels is empty),
    fewer_frames_than_labels (CTC needs a frame for each label and for each repeat, at the fastest speed). `num_batches` is the steps of an epoch,
    `num_seconds` the audio of an epoch at speed 1, `bad_utts` the unreadable utterances met so far with their messages.
    An unreadable utterance is missing from its batch; where none of a shard can be read, the next readable one of the
    set stands in, so that every rank has the same number of batches.
    """

    def __init__(
        self,
        data: DataDir,
        encode: Encode,
        *,
        ctc: Collection[str],
        config: SpeechBatchConfig,
        augment: AugmentConfig,
        sample_rate: int,
        seed: int,
        num_shards: int = 1,
        frames_per_second: float,
        allow_pipes: bool = False,
        max_bad_utts: int = 0,
    ) -> None:
        """encode: labels of an utterance id. ctc: names of the labels that CTC has to write. frames_per_second: latents, for CTC.

        Raises `DataError` for unreadable audio beyond max_bad_utts, and where no utterance is left; `ConfigError` where a
        batch has fewer utterances than num_shards.
        """
        super().__init__(
            data,
            encode,
            ctc=ctc,
            sample_rate=sample_rate,
            min_seconds=config.min_seconds,
            max_seconds=config.max_seconds,
            max_speed=augment.max_speed,
            frames_per_second=frames_per_second,
            allow_pipes=allow_pipes,
            max_bad_utts=max_bad_utts,
        )
        self.config = config
        self.seed = seed
        self.num_shards = num_shards
        self._slowest = self.seconds / augment.min_speed
        self._sampler = BucketSampler(
            self._slowest,
            config.batch_seconds,
            num_buckets=config.num_buckets,
            seed=seed,
            num_shards=num_shards,
        )
        self.num_batches = self._sampler.num_batches
        change = Augment(augment, sample_rate, allow_pipes=allow_pipes)
        self._reader = Reader(
            data, self.utts, sample_rate, allow_pipes=allow_pipes, augment=change, substitute=True
        )

    def summary(self) -> str:
        """How much there is, for the head of a log."""
        return (
            f"{self.num_seconds / 3600:.2f} h, {len(self.utts)} utterances, {self.num_batches} steps an epoch "
            f"of up to {self.config.batch_seconds:g} s"
        )

    def batch(self, step: int, shard: int = 0) -> SpeechBatch:
        """The part `shard` of the batch of `step`, read in this process."""
        return next(self._read(self._reader, [self._job(step, shard)], 0))

    def iterate(self, start_step: int, stop_step: int, shards: Sequence[int] = (0,)) -> Iterator[SpeechBatch]:
        """The parts `shards` of the batches of the steps from start_step to stop_step - 1: all of a step, then the next.

        Worker processes start at this call and end with the iterator: call it once for many steps.
        """
        jobs = (self._job(step, shard) for step in range(start_step, stop_step) for shard in shards)
        return self._read(self._reader, jobs, self.config.num_workers)

    def sample(self, seconds: float) -> Iterator[SpeechBatch]:
        """As many batches of the first epoch as hold about so many seconds: the whole set, where it has no more. Needs one shard."""
        assert self.num_shards == 1, self.num_shards
        return self.iterate(0, min(self.num_batches, math.ceil(seconds / self.config.batch_seconds)))

    def worst_batch(self, shard: int = 0) -> SpeechBatch:
        """The largest batch that can occur, at the slowest speed, for a test of memory: true labels, noise for audio."""
        indices = self._sampler.worst_shard(shard)
        wave_lens = np.ceil(self._slowest[indices] * self.sample_rate).astype(np.int64)
        waves = np.zeros((len(indices), padded_length(wave_lens, self.sample_rate)), dtype=np.float32)
        noise = np.random.Generator(np.random.Philox(key=self.seed & (1 << 64) - 1))
        for row, num_samples in zip(waves, wave_lens, strict=True):
            row[:num_samples] = noise.standard_normal(num_samples, dtype=np.float32) * np.float32(0.1)
        seeds = [utterance_seed(self.seed, 0, self.utts[index]) for index in indices]
        return self._assemble(Waves(indices.tolist(), seeds, waves, wave_lens, []), seeds)

    def _job(self, step: int, shard: int) -> ReadJob:
        indices = self._sampler.shard(step, shard).tolist()
        return ReadJob(indices, [utterance_seed(self.seed, step, self.utts[index]) for index in indices])


class SpeechDevBatches(_Labelled):
    """The batches of a development set: each utterance once, shortest first, as recorded, always the same.

    Nothing is left out for its length; only what no CTC could write, or what lacks a label, is (see `excluded`).
    """

    def __init__(
        self,
        data: DataDir,
        encode: Encode,
        *,
        ctc: Collection[str],
        config: SpeechBatchConfig,
        sample_rate: int,
        frames_per_second: float,
        allow_pipes: bool = False,
        max_bad_utts: int = 0,
    ) -> None:
        """Arguments and errors are those of `SpeechBatches`; of config, batch_seconds and num_workers are used."""
        super().__init__(
            data,
            encode,
            ctc=ctc,
            sample_rate=sample_rate,
            min_seconds=0,
            max_seconds=float("inf"),
            max_speed=1.0,
            frames_per_second=frames_per_second,
            allow_pipes=allow_pipes,
            max_bad_utts=max_bad_utts,
        )
        self.config = config
        self._groups = group_by_length(self.seconds, config.batch_seconds)
        self.num_batches = len(self._groups)
        self._reader = Reader(data, self.utts, sample_rate, allow_pipes=allow_pipes, substitute=False)

    def iterate(self, rank: int = 0, world_size: int = 1) -> Iterator[SpeechBatch]:
        """Every world_size-th batch from rank on: over all ranks, every utterance once."""
        jobs = (
            ReadJob(group, [utterance_seed(0, 0, self.utts[index]) for index in group])
            for group in self._groups[rank::world_size]
        )
        for batch in self._read(self._reader, jobs, self.config.num_workers):
            if batch.utts:
                yield batch
