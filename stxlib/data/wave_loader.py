"""Batches of a set of speech that is to be decoded."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import torch

from stxlib.data.batch import WaveBatch
from stxlib.data.data_dir import DataDir
from stxlib.data.reader import Reader, ReadJob, read_jobs
from stxlib.data.sampler import group_by_length

log = logging.getLogger(__name__)


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
        groups = group_by_length(seconds, batch_seconds)[::-1][part::num_parts]
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
