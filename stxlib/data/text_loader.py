"""Batches of text with labels: short enough to be kept in memory, so nothing is read ahead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import torch

from stxlib.data.batch import Sequences, TextBatch
from stxlib.data.label_store import LabelStore, SequenceStore, left_out_lines, utterance_seed
from stxlib.data.sampler import BucketSampler, group_by_length
from stxlib.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class TextBatchConfig:
    """How sentences are put into batches."""

    kind: Literal["text"] = "text"
    """tokens with labels"""
    batch_tokens: int = 2000
    """tokens that are read (or written for one task, where these are more) in the batch of one step, padding included, all processes
    together"""
    max_tokens: int = 400
    """sentences with more tokens, read or written, are left out of training"""
    num_buckets: int = 20
    """length buckets (fewer where the data are few); more save padding, fewer mix better"""

    def __post_init__(self) -> None:
        for name in ("batch_tokens", "max_tokens", "num_buckets"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)}; give 1 or more")


class Sentence(NamedTuple):
    """What is read, and what is to be written by name."""

    utt: str
    source: Sequence[int]
    labels: Mapping[str, Sequence[int]]


class _Sentences:
    """Sentences with labels, those that cannot be learnt from left out and listed by reason."""

    def __init__(self, sentences: Iterable[Sentence], where: str, max_tokens: float) -> None:
        self.utts: list[str] = []
        self.sources = SequenceStore()
        self.labels = LabelStore()
        self.num_given = 0
        self.where = where
        excluded: dict[str, list[str]] = {"too_long": [], "no_text": [], "no_label": []}
        lengths = []
        for utt, source, labels in sentences:
            self.num_given += 1
            length = max(len(source), *map(len, labels.values()), 0)
            if not source:
                excluded["no_text"].append(utt)
            elif length > max_tokens:
                excluded["too_long"].append(utt)
            elif not all(labels.values()):
                excluded["no_label"].append(utt)
            else:
                self.utts.append(utt)
                self.sources.append(source)
                self.labels.append(labels)
                lengths.append(length)
        self.excluded = {reason: tuple(utts) for reason, utts in excluded.items() if utts}
        if not self.utts:
            reasons = (
                ", ".join(f"{reason} {len(utts)}" for reason, utts in self.excluded.items()) or "empty set"
            )
            raise DataError(f"{where}: no sentence is left ({reasons}); change max_tokens or the set")
        self.lengths = np.array(lengths, dtype=np.float64)
        self.num_tokens = sum(len(self.sources[index]) for index in range(len(self.utts)))

    def excluded_lines(self) -> list[str]:
        """One line for each reason: how many sentences it leaves out, and the first of them."""
        return left_out_lines(self.where, f"of {self.num_given} sentences", self.excluded)

    def _batch(self, indices: Sequence[int], seed: int, step: int) -> TextBatch:
        utts = tuple(self.utts[index] for index in indices)
        seeds = torch.tensor([utterance_seed(seed, step, utt) for utt in utts], dtype=torch.int64)
        return TextBatch(utts, seeds, self.sources.batch(indices), self.labels.batch(indices))


class TextBatches(_Sentences):
    """The training batches of some sentences, endless: the batch of a step is a function of (seed, step).

    `excluded` lists sentences left out, by reason: too_long, no_text, no_label (one of the labels is empty).
    """

    def __init__(
        self,
        sentences: Iterable[Sentence],
        where: str,
        *,
        config: TextBatchConfig,
        seed: int,
        num_shards: int,
        remedy: str = "",
    ) -> None:
        """where: name of the set, for messages. DataError where no sentence is left; ConfigError as `BucketSampler` raises it (remedy)."""
        super().__init__(sentences, where, config.max_tokens)
        self.seed = seed
        self._num_shards = num_shards
        self._sample(config, remedy)

    def in_batches_of(self, batch_tokens: int, *, remedy: str = "") -> TextBatches:
        """The same sentences, kept once, in batches of another size and drawn on their own. ConfigError as for a new one."""
        others = copy(self)
        others.seed = ~self.seed
        others._sample(replace(self.config, batch_tokens=batch_tokens), remedy)
        return others

    def _sample(self, config: TextBatchConfig, remedy: str) -> None:
        self.config = config
        self._sampler = BucketSampler(
            self.lengths,
            config.batch_tokens,
            num_buckets=config.num_buckets,
            seed=self.seed,
            num_shards=self._num_shards,
            unit="tokens",
            remedy=remedy,
        )
        self.num_batches = self._sampler.num_batches

    def summary(self) -> str:
        """How much there is, for the head of a log."""
        return (
            f"{self.num_tokens} tokens, {len(self.utts)} sentences, {self.num_batches} steps an epoch "
            f"of up to {self.config.batch_tokens} tokens"
        )

    def iterate(self, start_step: int, stop_step: int, shards: Sequence[int] = (0,)) -> Iterator[TextBatch]:
        """The parts `shards` of the batches of the steps from start_step to stop_step - 1: all of a step, then the next."""
        for step in range(start_step, stop_step):
            for shard in shards:
                yield self._batch(self._sampler.shard(step, shard).tolist(), self.seed, step)

    def worst_batch(self, shard: int = 0) -> TextBatch:
        """The largest batch that can occur, for a test of memory."""
        return self._batch(self._sampler.worst_shard(shard).tolist(), self.seed, 0)


class TextDevBatches(_Sentences):
    """The batches of a development set: each sentence once, shortest first, always the same; none is too long."""

    def __init__(self, sentences: Iterable[Sentence], where: str, *, config: TextBatchConfig) -> None:
        super().__init__(sentences, where, float("inf"))
        self._groups = group_by_length(self.lengths, config.batch_tokens)
        self.num_batches = len(self._groups)

    def iterate(self, rank: int = 0, world_size: int = 1) -> Iterator[TextBatch]:
        """Every world_size-th batch from rank on: over all ranks, every sentence once."""
        for group in self._groups[rank::world_size]:
            yield self._batch(group, 0, 0)


class SourceBatches:
    """Text to be decoded: batches of tokens, longest first, each sentence once.

    A sentence without a token is in no batch but in `unreadable` (utterance -> message), so that the decoder can write an empty
    hypothesis for it. `utts` are all of the part.
    """

    num_seconds = 0.0

    def __init__(
        self, sources: Mapping[str, Sequence[int]], *, batch_tokens: int, part: int = 0, num_parts: int = 1
    ) -> None:
        """sources: utterance -> tokens; batch_tokens: of a batch, padding included; every num_parts-th batch, from part on."""
        utts = [utt for utt, source in sources.items() if source]
        lengths = np.array([len(sources[utt]) for utt in utts], dtype=np.float64)
        groups = group_by_length(lengths, batch_tokens)[::-1][part::num_parts]
        self._groups = [[utts[index] for index in group[::-1]] for group in groups]
        empty = [utt for utt, source in sources.items() if not source][part::num_parts]
        self._sources = sources
        self.unreadable = {utt: f"utterance {utt!r}: its text has no token" for utt in empty}
        self.utts = tuple(sorted([*empty, *(utt for group in self._groups for utt in group)]))

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[TextBatch]:
        for group in self._groups:
            seeds = torch.zeros(len(group), dtype=torch.int64)  # nothing is drawn
            yield TextBatch(tuple(group), seeds, Sequences.of([self._sources[utt] for utt in group]), {})
