"""Which utterances make the batch of step n: a function of (seed, n), so that nothing has to be stored to resume.

Utterances are sorted by length and cut into buckets of about equal population. A bucket is cut into a fixed number of groups,
so an epoch has the same number of batches always; what changes with the epoch is who is in which group of the bucket,
and the order of the groups. The generator is Philox with the key (seed, epoch): no state, no history.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from stxlib.errors import ConfigError

# A bucket should hold some groups, or the same utterances would meet in every epoch; fewer for the few longest.
_MIN_GROUPS = 4
_MIN_LONG_GROUPS = 2
_MIN_LENGTH_RATIO = 0.8


class BucketSampler:
    """Batches as arrays of indices into `lengths`, longest first.

    Padded length of a batch: at most `limit`, unless it is one utterance that is longer alone. Every index is in
    exactly one batch of each epoch. `shard(step, k)` is every num_shards-th of the batch, from k on.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        limit: float,
        *,
        num_buckets: int,
        seed: int,
        num_shards: int = 1,
        unit: Literal["seconds", "tokens", "frames"] = "seconds",
        remedy: str = "",
    ) -> None:
        """lengths: (n,), n at least 1; limit: of the padded length of a batch; unit: of both, for messages.

        remedy: what to do where the limit is too small, if it is not an option `batch_<unit>`.

        Raises `ConfigError` where a batch would not fill all shards.
        """
        assert len(lengths), "no utterance"
        self.lengths = np.asarray(lengths, dtype=np.float64)
        self.seed = seed
        self.num_shards = num_shards
        self._buckets, group_counts = _cut_buckets(self.lengths, limit, num_buckets, num_shards)
        offsets = [np.zeros(1, dtype=np.int64)]
        start = 0
        for bucket, num_groups in zip(self._buckets, group_counts, strict=True):
            offsets.append(start + np.arange(1, num_groups + 1) * len(bucket) // num_groups)
            start += len(bucket)
        self._offsets = np.concatenate(offsets)
        self.num_batches = len(self._offsets) - 1
        self._plan: tuple[int, np.ndarray, np.ndarray] | None = None
        self._check_shards(limit, unit, remedy)

    def batch(self, step: int) -> np.ndarray:
        """(B,) indices of the batch of a step (0-based, over all epochs), longest first."""
        epoch, position = divmod(step, self.num_batches)
        members, groups = self._epoch(epoch)
        group = groups[position]
        batch = members[self._offsets[group] : self._offsets[group + 1]]
        return batch[np.lexsort((batch, -self.lengths[batch]))]

    def shard(self, step: int, shard: int) -> np.ndarray:
        """(B',) indices of one part of the batch of a step. The parts differ by one utterance at most."""
        assert 0 <= shard < self.num_shards, (shard, self.num_shards)
        return self.batch(step)[shard :: self.num_shards]

    def worst_shard(self, shard: int) -> np.ndarray:
        """Indices of the part with most padding that any step of any epoch can hold."""
        worst, most = self._buckets[0][:1], -1.0
        start = 0
        for bucket in self._buckets:
            first, last = np.searchsorted(self._offsets, (start, start + len(bucket)))
            size = int(np.diff(self._offsets[first : last + 1]).max())
            padded = -(-size // self.num_shards) * self.lengths[bucket[-1]]
            if padded > most:
                worst, most = bucket[-size:][::-1], padded
            start += len(bucket)
        return worst[shard :: self.num_shards]

    def _epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        if self._plan is None or self._plan[0] != epoch:
            mask = (1 << 64) - 1
            stream = np.random.Philox(key=np.array([self.seed & mask, epoch & mask], dtype=np.uint64))

            # Sorting raw words rather than Generator.permutation: numpy keeps the raw stream for ever, methods it may change.
            def shuffle(items: np.ndarray) -> np.ndarray:
                return items[np.argsort(stream.random_raw(len(items)), kind="stable")]

            members = np.concatenate([shuffle(bucket) for bucket in self._buckets])
            self._plan = (epoch, members, shuffle(np.arange(self.num_batches)))
        return self._plan[1], self._plan[2]

    def _check_shards(self, limit: float, unit: str, remedy: str) -> None:
        smallest = int(np.diff(self._offsets).min())
        if smallest < self.num_shards:
            longest = float(self.lengths.max())
            needed = math.ceil(self.num_shards * longest)
            raise ConfigError(
                f"batches of up to {limit:g} {unit}: the smallest has {smallest} utterances for {self.num_shards} parts "
                f"(processes x accumulation), and the longest utterance has {longest:.3g} {unit}, so that {needed} are needed; "
                f"{remedy or f'raise batch_{unit}, lower max_{unit}'}, or use fewer parts"
            )


def group_by_length(lengths: np.ndarray, limit: float) -> list[list[int]]:
    """Indices sorted by length, shortest first, cut where the padded length would pass the limit."""
    groups: list[list[int]] = []
    for index in np.argsort(lengths, kind="stable").tolist():
        if groups and (len(groups[-1]) + 1) * lengths[index] <= limit + 1e-6:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _cut_buckets(
    lengths: np.ndarray, limit: float, most_buckets: int, num_shards: int
) -> tuple[list[np.ndarray], list[int]]:
    """Buckets of indices, each sorted by length, and the number of groups of each.

    From the longest utterance down: a bucket ends where it has its share of the population, or sooner where lengths fall
    below `_MIN_LENGTH_RATIO` of its longest (a few very long utterances would otherwise make small batches of many);
    it is filled up to whole groups.
    """
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    num_expected = int(lengths.sum() / limit)  # groups, if there were no padding
    num_buckets = max(1, min(most_buckets, num_expected // _MIN_GROUPS))
    population = -(-len(order) // num_buckets)
    cuts: list[tuple[int, int, int]] = []  # start, stop, utterances in a full group
    stop = len(order)
    while stop:
        longest = float(ordered[stop - 1])
        # The tolerance keeps 40 s / 0.4 s at 100 utterances whatever the last bit of the quotient is.
        size = max(1, int(limit / max(longest, 1e-9) + 1e-9))
        similar = stop - int(np.searchsorted(ordered, longest * _MIN_LENGTH_RATIO))
        count = -(-max(min(population, similar), _MIN_LONG_GROUPS * size) // size) * size
        start = max(0, stop - count)
        cuts.append((start, stop, size))
        stop = start
    if len(cuts) > 1:
        # The shortest utterances are what is left over: too few for a batch of their own join the bucket before.
        (_, count, size), (_, stop, longer_size) = cuts[-1], cuts[-2]
        if count // -(-count // size) < max(num_shards, size // 2):
            cuts[-2:] = [(0, stop, longer_size)]
    cuts.reverse()
    return [order[start:stop] for start, stop, _ in cuts], [
        -(-(stop - start) // size) for start, stop, size in cuts
    ]
