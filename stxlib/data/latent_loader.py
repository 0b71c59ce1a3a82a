"""Batches of latents that text was turned into before, with the labels of the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch

from stxlib.data.batch import LatentBatch
from stxlib.data.label_store import LabelStore, left_out_lines, utterance_seed
from stxlib.data.latent_store import LatentStore
from stxlib.data.sampler import BucketSampler
from stxlib.errors import DataError


class LatentBatches:
    """The training batches of a store, endless: the batch of a step is a function of (seed, step), and so is the version of a sentence in it.

    `excluded` lists sentences left out, by reason: no_label (one of the labels is empty).
    """

    def __init__(
        self,
        store: LatentStore,
        encode: Callable[[str], Mapping[str, Sequence[int]]],
        *,
        batch_frames: int,
        num_buckets: int,
        seed: int,
        num_shards: int,
        remedy: str = "",
    ) -> None:
        """encode: labels of an utterance id; batch_frames: in the batch of one step, padding included. DataError where no sentence is left;
        ConfigError as `BucketSampler` raises it (remedy).
        """
        self.store, self.seed, self.batch_frames = store, seed, batch_frames
        self.utts: list[str] = []
        self.labels = LabelStore()
        self._first: list[int] = []  # sample of version 0
        unlabelled: list[str] = []
        lengths = []
        num_versions = store.num_versions
        for first in range(0, len(store), num_versions):
            utt = store.utts[first]
            labels = encode(utt)
            if not all(labels.values()):
                unlabelled.append(utt)
                continue
            self.utts.append(utt)
            self.labels.append(labels)
            self._first.append(first)
            lengths.append(max(store.lens[first : first + num_versions]))
        self.excluded = {"no_label": tuple(unlabelled)} if unlabelled else {}
        if not self.utts:
            raise DataError(
                f"{store.folder}: no sentence has all labels; label the text, or choose other tasks"
            )
        self._sampler = BucketSampler(
            np.array(lengths, dtype=np.float64),
            batch_frames,
            num_buckets=num_buckets,
            seed=seed,
            num_shards=num_shards,
            unit="frames",
            remedy=remedy,
        )

    def summary(self) -> str:
        """How much there is, for the head of a log."""
        return (
            f"{len(self.utts)} sentences in {self.store.num_versions} versions, {self._sampler.num_batches} steps an epoch "
            f"of up to {self.batch_frames} latents"
        )

    def excluded_lines(self) -> list[str]:
        """A line about what is left out, where there is any."""
        return left_out_lines(str(self.store.folder), "sentences", self.excluded)

    def iterate(self, start_step: int, stop_step: int, shards: Sequence[int] = (0,)) -> Iterator[LatentBatch]:
        """The parts `shards` of the batches of the steps from start_step to stop_step - 1: all of a step, then the next."""
        for step in range(start_step, stop_step):
            for shard in shards:
                yield self._batch(self._sampler.shard(step, shard).tolist(), step)

    def worst_batch(self, shard: int = 0) -> LatentBatch:
        """The largest batch that can occur, for a test of memory."""
        return self._batch(self._sampler.worst_shard(shard).tolist(), 0)

    def _batch(self, indices: Sequence[int], step: int) -> LatentBatch:
        utts = tuple(self.utts[index] for index in indices)
        seeds = [utterance_seed(self.seed, step, utt) for utt in utts]
        samples = [
            self._first[index] + seed % self.store.num_versions
            for index, seed in zip(indices, seeds, strict=True)
        ]
        latents, latent_lens = self.store.load(samples)
        return LatentBatch(
            utts, torch.tensor(seeds, dtype=torch.int64), latents, latent_lens, self.labels.batch(indices)
        )
