"""Labels of a training set: for each utterance, sequences of ids by name."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence

import torch

from stxlib.data.batch import Sequences, pad


def utterance_seed(seed: int, step: int, utt: str) -> int:
    """The augmentation seed of an utterance at a step: 63 bits, the same in every process and Python version."""
    digest = hashlib.blake2b(f"{seed} {step} {utt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def ctc_frames(ids: Sequence[int]) -> int:
    """Least number of frames in which CTC can write `ids`: one each, and a blank between equal neighbours."""
    return len(ids) + sum(left == right for left, right in zip(ids, ids[1:], strict=False))


def left_out_lines(where: str, of: str, excluded: Mapping[str, Sequence[str]]) -> list[str]:
    """One line for each reason: how many it leaves out `of 9 utterances`, and the first of them. excluded: reason -> utterances."""
    return [
        f"{where}: {len(utts)} {of} left out: {reason} ({', '.join(utts[:5])}{', ...' if len(utts) > 5 else ''})"
        for reason, utts in excluded.items()
    ]


class SequenceStore:
    """Many short sequences of ids in one array: a list of tensors would take twenty times the memory."""

    def __init__(self) -> None:
        self._values = array("i")
        self._offsets = array("q", [0])

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> Sequence[int]:
        return self._values[self._offsets[index] : self._offsets[index + 1]]

    def append(self, ids: Sequence[int]) -> None:
        self._values.extend(ids)
        self._offsets.append(len(self._values))

    def batch(self, indices: Sequence[int]) -> Sequences:
        """The sequences of these indices, padded."""
        rows = [self[index] for index in indices]
        if not rows:
            return Sequences.of([])
        return Sequences(*pad([torch.tensor(row, dtype=torch.int64) for row in rows]))


class LabelStore:
    """The labels of many utterances by name; every utterance has the same names."""

    def __init__(self) -> None:
        self._stores: dict[str, SequenceStore] = {}

    def append(self, labels: Mapping[str, Sequence[int]]) -> None:
        if not self._stores:
            self._stores = {name: SequenceStore() for name in labels}
        assert labels.keys() == self._stores.keys(), (labels.keys(), self._stores.keys())
        for name, ids in labels.items():
            self._stores[name].append(ids)

    def batch(self, indices: Sequence[int]) -> dict[str, Sequences]:
        """name -> padded sequences of these utterances."""
        return {name: store.batch(indices) for name, store in self._stores.items()}
