"""Batches of speech, read ahead by worker processes: the same batches whatever the number of workers."""

from __future__ import annotations

import hashlib
import logging
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch

from stxlib.data.augment import Augment, AugmentConfig
from stxlib.data.batch import SpeechBatch, WaveBatch, pad
from stxlib.data.data_dir import DataDir
from stxlib.data.reader import Reader, ReadJob, Waves, padded_length, read_jobs
from stxlib.data.sampler import BatchConfig, BucketSampler
from stxlib.errors import DataError

log = logging.getLogger(__name__)

Encode = Callable[[str], tuple[list[int], list[int]]]

# Frames that the edges of analysis windows and of subsampling may take from seconds x frames_per_second.
_EDGE_FRAMES = 2


def utterance_seed(seed: int, step: int, utt: str) -> int:
    """The augmentation seed of an utterance at a step: 63 bits, the same in every process and Python version."""
    digest = hashlib.blake2b(f"{seed} {step} {utt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def ctc_frames(ids: Sequence[int]) -> int:
    """Least number of frames in which CTC can write `ids`: one each, and a blank between equal neighbours."""
    return len(ids) + sum(left == right for left, right in zip(ids, ids[1:], strict=False))


class _Sequences:
    """Many short sequences of ids in one array: a list of tensors would take twenty times the memory."""

    def __init__(self) -> None:
        self._values = array("i")
        self._offsets = array("q", [0])

    def append(self, ids: Sequence[int]) -> None:
        self._values.extend(ids)
        self._offsets.append(len(self._values))

    def padded(self, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, longest) int64, filled up with 0, and lengths (B,)."""
        rows = [self._values[self._offsets[index] : self._offsets[index + 1]] for index in indices]
        if not rows:
            return torch.zeros(0, 0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
        return pad([torch.tensor(row, dtype=torch.int64) for row in rows])


class _Labelled:
    """Utterances with labels and lengths, those that cannot be learnt from left out and listed by reason."""

    def __init__(
        self,
        data: DataDir,
        encode: Encode,
        *,
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
            reason: [] for reason in ("too_long", "too_short", "no_tokens", "fewer_frames_than_units")
        }
        self.utts: list[str] = []
        self.tokens = _Sequences()
        self.units = _Sequences()
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
            tokens, units = encode(utt)
            if not tokens:
                excluded["no_tokens"].append(utt)
                continue
            frames = length / max_speed * frames_per_second - _EDGE_FRAMES
            if frames < max(ctc_frames(tokens), ctc_frames(units)):
                excluded["fewer_frames_than_units"].append(utt)
                continue
            self.utts.append(utt)
            seconds.append(length)
            self.tokens.append(tokens)
            self.units.append(units)
        self.excluded = {reason: tuple(utts) for reason, utts in excluded.items() if utts}
        if not self.utts:
            reasons = (
                ", ".join(f"{reason} {len(utts)}" for reason, utts in self.excluded.items()) or "empty set"
            )
            raise DataError(
                f"{data.path}: no utterance is left ({reasons}); change min_seconds, max_seconds or the set"
            )
        self.seconds = np.array(seconds)
        self.num_seconds = float(self.seconds.sum())

    def excluded_lines(self) -> list[str]:
        """One line for each reason: how many utterances it leaves out, and the first of them."""
        return [
            f"{self.data.path}: {len(utts)} of {len(self.data.utts)} utterances left out: {reason} "
            f"({', '.join(utts[:5])}{', ...' if len(utts) > 5 else ''})"
            for reason, utts in self.excluded.items()
        ]

    def _assemble(self, waves: Waves, seeds: Sequence[int]) -> SpeechBatch:
        tokens, token_lens = self.tokens.padded(waves.indices)
        units, unit_lens = self.units.padded(waves.indices)
        return SpeechBatch(
            utts=tuple(self.utts[index] for index in waves.indices),
            seeds=torch.tensor(seeds, dtype=torch.int64),
            waves=torch.from_numpy(waves.waves),
            wave_lens=torch.from_numpy(waves.wave_lens),
            tokens=tokens,
            token_lens=token_lens,
            units=units,
            unit_lens=unit_lens,
            sample_rate=self.sample_rate,
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

    `excluded` lists utterances left out, by reason: too_long, too_short, no_tokens, fewer_frames_than_units (CTC needs a
    frame for each token and unit and for each repeat, at the fastest speed). `num_batches` is the steps of an epoch,
    `num_seconds` the audio of an epoch at speed 1, `bad_utts` the unreadable utterances met so far with their messages.
    An unreadable utterance is missing from its batch; where none of a shard can be read, the next readable one of the
    set stands in, so that every rank has the same number of batches.
    """

    def __init__(
        self,
        data: DataDir,
        encode: Encode,
        *,
        config: BatchConfig,
        augment: AugmentConfig,
        sample_rate: int,
        seed: int,
        num_shards: int = 1,
        frames_per_second: float,
        allow_pipes: bool = False,
        max_bad_utts: int = 0,
    ) -> None:
        """encode: tokens and units of an utterance id. frames_per_second: latents, for CTC.

        Raises `DataError` for unreadable audio beyond max_bad_utts, and where no utterance is left; `ConfigError` where a
        batch has fewer utterances than num_shards.
        """
        super().__init__(
            data,
            encode,
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
        self._sampler = BucketSampler(self._slowest, config, seed=seed, num_shards=num_shards)
        self.num_batches = self._sampler.num_batches
        change = Augment(augment, sample_rate, allow_pipes=allow_pipes)
        self._reader = Reader(
            data, self.utts, sample_rate, allow_pipes=allow_pipes, augment=change, substitute=True
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


class DevBatches(_Labelled):
    """The batches of a development set: each utterance once, shortest first, as recorded, always the same.

    Nothing is left out for its length; only what no CTC could write, or what has no tokens, is (see `excluded`).
    """

    def __init__(
        self,
        data: DataDir,
        encode: Encode,
        *,
        config: BatchConfig,
        sample_rate: int,
        frames_per_second: float,
        allow_pipes: bool = False,
        max_bad_utts: int = 0,
    ) -> None:
        """Arguments and errors are those of `SpeechBatches`; of config, batch_seconds and num_workers are used."""
        super().__init__(
            data,
            encode,
            sample_rate=sample_rate,
            min_seconds=0,
            max_seconds=float("inf"),
            max_speed=1.0,
            frames_per_second=frames_per_second,
            allow_pipes=allow_pipes,
            max_bad_utts=max_bad_utts,
        )
        self.config = config
        self._groups = group_by_seconds(self.seconds, config.batch_seconds)
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


class WaveBatches:
    """A set to be decoded: batches of waves, longest first, each utterance once.

    What cannot be read is left out of its batch and put into `unreadable` (utterance -> message), so that the decoder
    can write an empty hypothesis for it. `utts` are all utterances of the part, readable or not.
    """

    def __init__(
        self,
        data: DataDir,
        *,
        batch_seconds: float,
        sample_rate: int,
        allow_pipes: bool = False,
        num_workers: int = 0,
        part: int = 0,
        num_parts: int = 1,
    ) -> None:
        """batch_seconds: seconds of a batch, padding included. part, num_parts: every num_parts-th batch, from part on."""
        assert 0 <= part < num_parts, (part, num_parts)
        lengths, unreadable = data.measure_seconds(allow_pipes=allow_pipes)
        readable = [utt for utt in data.utts if utt not in unreadable]
        seconds = np.array([lengths[utt] for utt in readable], dtype=np.float64)
        groups = group_by_seconds(seconds, batch_seconds)[::-1][part::num_parts]
        self._groups = [group[::-1] for group in groups]
        mine = [utt for position, utt in enumerate(unreadable) if position % num_parts == part]
        self.unreadable: dict[str, str] = {utt: unreadable[utt] for utt in mine}
        self.utts = tuple(sorted(mine + [readable[index] for group in self._groups for index in group]))
        self.num_batches = len(self._groups)
        self.num_seconds = float(sum(seconds[index] for group in self._groups for index in group))
        self.sample_rate = sample_rate
        self.num_workers = num_workers
        self._reader = Reader(data, readable, sample_rate, allow_pipes=allow_pipes, substitute=False)

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[WaveBatch]:
        jobs = (ReadJob(group, [0] * len(group)) for group in self._groups)
        for waves in read_jobs(self._reader, jobs, self.num_workers):
            for utt, message in waves.unreadable:
                if utt not in self.unreadable:
                    log.warning("unreadable audio: %s", message)
                self.unreadable[utt] = message
            if waves.indices:
                yield WaveBatch(
                    utts=tuple(self._reader.utts[index] for index in waves.indices),
                    waves=torch.from_numpy(waves.waves),
                    wave_lens=torch.from_numpy(waves.wave_lens),
                    sample_rate=self.sample_rate,
                )


def group_by_seconds(seconds: np.ndarray, batch_seconds: float) -> list[list[int]]:
    """Indices sorted by length, shortest first, cut where the padded length would pass batch_seconds."""
    groups: list[list[int]] = []
    for index in np.argsort(seconds, kind="stable").tolist():
        if groups and (len(groups[-1]) + 1) * seconds[index] <= batch_seconds + 1e-6:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
