"""Latents on disk: what is read is what was written, and what is not whole is no store."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stxlib.data.latent_store import INDEX, LatentStore, read_shard_lens, shard_path, write_index, write_shard
from stxlib.errors import DataError

DIM = 6
LENS = [[3, 1, 4], [2], [5, 7]]
UTTS = ("a", "a", "b", "b", "c\u2028", "c\u2028")


def latents_of(number: int, frames: int) -> Tensor:
    return torch.randn(frames, DIM, generator=torch.Generator().manual_seed(number))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three utterances in two versions, in three shards."""
    number = 0
    for shard, lens in enumerate(LENS):
        rows = [latents_of(number + place, frames) for place, frames in enumerate(lens)]
        write_shard(shard_path(tmp_path, shard), rows, f"hash{shard}")
        number += len(lens)
    samples = [(utt, place % 2, 100 + place) for place, utt in enumerate(UTTS)]
    write_index(tmp_path, samples, LENS)
    return tmp_path


def test_what_is_read_is_what_was_written(folder: Path) -> None:
    store = LatentStore(folder)
    assert store.utts == UTTS and store.num_versions == 2 and store.dim == DIM and len(store) == 6
    assert store.lens.tolist() == [3, 1, 4, 2, 5, 7] and store.seeds.tolist() == [*range(100, 106)]
    latents, lens = store.load([5, 1, 3])
    assert latents.shape == (3, 7, DIM) and latents.dtype == torch.float32 and lens.tolist() == [7, 1, 2]
    for row, number, frames in zip(latents, (5, 1, 3), (7, 1, 2), strict=True):
        torch.testing.assert_close(row[:frames], latents_of(number, frames), rtol=2**-11, atol=1e-6)
        assert not row[frames:].any()
    assert store.load([])[0].shape == (0, 0, DIM)


def test_a_worker_gets_a_store_of_its_own(folder: Path) -> None:
    store = LatentStore(folder)
    again = pickle.loads(pickle.dumps(store))
    assert torch.equal(again.load([2])[0], store.load([2])[0])


def test_the_same_bytes_each_time(folder: Path) -> None:
    path = shard_path(folder, 0)
    before = path.read_bytes()
    write_shard(path, [latents_of(place, frames) for place, frames in enumerate(LENS[0])], "hash0")
    assert path.read_bytes() == before


def test_a_finished_shard_is_known_by_what_it_is_made_of(folder: Path) -> None:
    path = shard_path(folder, 2)
    assert read_shard_lens(path, "hash2") == [5, 7]
    assert read_shard_lens(path, "another") is None
    assert read_shard_lens(shard_path(folder, 3), "hash3") is None
    path.write_bytes(path.read_bytes()[:-3])
    assert read_shard_lens(path, "hash2") is None


def test_shards_of_a_longer_store_go(folder: Path) -> None:
    (folder / "shards_of_glass.safetensors").write_text("mine")
    write_index(folder, [("a", 0, 1), ("b", 0, 2), ("c", 0, 3)], LENS[:1])
    assert sorted(path.name for path in folder.glob("*.safetensors")) == [
        "shard00000.safetensors",
        "shards_of_glass.safetensors",
    ]
    assert LatentStore(folder).utts == ("a", "b", "c")


def test_numbers_that_float16_cannot_hold(tmp_path: Path) -> None:
    for bad in (1e6, float("nan")):
        with pytest.raises(DataError, match=r"shard00000.*not finite in float16; train or fit it again"):
            write_shard(shard_path(tmp_path, 0), [torch.full((2, DIM), bad)], "x")
    assert not list(tmp_path.iterdir())


def test_what_is_not_whole(folder: Path) -> None:
    index = (folder / INDEX).read_text()
    for text, message in (
        ("", r"index\.jsonl: is empty"),
        (index + "{}\n", r"index\.jsonl:7: not a line of stxlib.bin.synthesize"),
        (
            index.replace('"frames": 7', '"frames": 8'),
            r"shard00002.*has 12 latents, and index.jsonl names 13",
        ),
    ):
        (folder / INDEX).write_text(text)
        with pytest.raises(DataError, match=message):
            LatentStore(folder)
    (folder / INDEX).write_text(index)
    shard_path(folder, 1).unlink()
    with pytest.raises(DataError, match=r"shard00001\.safetensors: cannot be read.*synthesize again"):
        LatentStore(folder)
    (folder / INDEX).unlink()
    with pytest.raises(DataError, match="not complete; run stxlib.bin.synthesize again, it goes on"):
        LatentStore(folder)
