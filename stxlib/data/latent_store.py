"""Latents of text on disk: made once by a slow synthesizer (`stxlib.bin.synthesize`), read in every epoch.

shard00000.safetensors ...   `latents` (frames, D) float16, one sample after the other; `lens` (samples,) int64, their frames
index.jsonl                  a line for each sample: {"utt", "version", "seed", "shard", "start", "frames"}; written last: a folder without
                             it is not finished
summary.json                 `model_hash` says which synthesizer made them
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from stxlib.atomic import written_whole
from stxlib.data.batch import pad
from stxlib.errors import DataError

INDEX = "index.jsonl"
SUMMARY = "summary.json"
BYTES = 2
"of a float16 number"
_MADE_OF = "made_of"
_MAKE_AGAIN = "run stxlib.bin.synthesize again"


def shard_path(folder: Path, shard: int) -> Path:
    """`shard00000.safetensors` of shard 0."""
    return folder / f"shard{shard:05d}.safetensors"


def write_shard(path: Path, latents: Sequence[Tensor], made_of: str) -> None:
    """Write the samples of one shard, whole or not at all.

    latents: (frames, D) of each sample. made_of: what they are a function of, as a hash; `read_shard_lens` asks for it.
    DataError where a number is too large for float16, or none.
    """
    flat = torch.cat(list(latents)).half().contiguous()
    if not bool(flat.isfinite().all()):
        raise DataError(
            f"{path}: the synthesizer gave latents that are not finite in float16; train or fit it again"
        )
    lens = torch.tensor([len(one) for one in latents], dtype=torch.int64)
    # One key of metadata: the order of several is not the same in every process.
    data = save({"latents": flat, "lens": lens}, metadata={_MADE_OF: made_of})
    with written_whole(path) as temporary:
        temporary.write_bytes(data)


def read_shard_lens(path: Path, made_of: str) -> list[int] | None:
    """Frames of each sample of a finished shard; None where it is not there, damaged, or made of something else."""
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get(_MADE_OF) != made_of:
                return None
            lens: list[int] = file.get_tensor("lens").tolist()
            return lens if file.get_slice("latents").get_shape()[0] == sum(lens) else None
    except (OSError, SafetensorError):
        return None


def write_index(
    folder: Path, samples: Iterable[tuple[str, int, int]], shard_lens: Iterable[Sequence[int]]
) -> None:
    """Write what makes the folder a store; shards of a longer one that was there go.

    samples: (utterance, version, seed), in the order of the shards; shard_lens: frames of each sample, for each shard.
    """
    source = iter(samples)
    num_shards = 0
    with written_whole(folder / INDEX) as path, path.open("w", encoding="utf-8") as file:
        for shard, lens in enumerate(shard_lens):
            start = 0
            for frames in lens:
                utt, version, seed = next(source)
                line = {"utt": utt, "version": version, "seed": seed, "shard": shard}
                file.write(json.dumps(line | {"start": start, "frames": frames}, ensure_ascii=False) + "\n")
                start += frames
            num_shards = shard + 1
        assert next(source, None) is None, "more samples than the shards hold"
    for path in folder.glob("shard*.safetensors"):
        number = re.fullmatch(r"shard(\d{5,})\.safetensors", path.name)
        if number and int(number[1]) >= num_shards:
            path.unlink()


class LatentStore:
    """Latents that `stxlib.bin.synthesize` wrote, read when they are asked for. Can be pickled.

    A sample is one utterance's latents in one version. Samples of an utterance follow each other: version v of the utterance at place
    i of the set is sample i * num_versions + v.
    """

    def __init__(self, folder: Path | str) -> None:
        """DataError for a folder that is not finished, or of which a shard is missing or damaged."""
        self.folder = Path(folder)
        path = self.folder / INDEX
        if not path.is_file():
            raise DataError(
                f"{path}: not there, so the latents are not complete; {_MAKE_AGAIN}, it goes on where it stopped"
            )
        utts: list[str] = []
        self.num_versions = 1
        """samples of each utterance"""
        self.seeds = array("q")
        """of each sample"""
        self.lens = array("q")
        """frames of each sample"""
        self._shards, self._starts = array("i"), array("q")
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, start=1):
                try:
                    line = json.loads(text)
                    utts.append(line["utt"])
                    self.num_versions = max(self.num_versions, line["version"] + 1)
                    self.seeds.append(line["seed"])
                    self.lens.append(line["frames"])
                    self._shards.append(line["shard"])
                    self._starts.append(line["start"])
                except (ValueError, KeyError, TypeError):
                    raise DataError(
                        f"{path}:{number}: not a line of stxlib.bin.synthesize; {_MAKE_AGAIN}"
                    ) from None
        if not utts:
            raise DataError(f"{path}: is empty; {_MAKE_AGAIN}")
        self.utts = tuple(utts)
        """utterance of each sample"""
        self._files: dict[int, Any] = {}
        self.dim = self._check_shards()
        """width of the latents"""

    def __len__(self) -> int:
        return len(self.utts)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": {}}

    def load(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Latents of some samples: (B, T, D) float32, zero past latent_lens, and latent_lens (B,)."""
        if not len(indices):
            return torch.zeros(0, 0, self.dim), torch.zeros(0, dtype=torch.int64)
        return pad([self._read(index).float() for index in indices])

    def _read(self, index: int) -> Tensor:
        start = self._starts[index]
        rows: Tensor = self._open(self._shards[index])[start : start + self.lens[index]]
        return rows

    def _open(self, shard: int) -> Any:
        """The latents of a shard, mapped and not read."""
        if shard not in self._files:
            path = shard_path(self.folder, shard)
            try:
                self._files[shard] = safe_open(path, framework="pt").get_slice("latents")
            except (OSError, SafetensorError) as error:
                reason = " ".join(str(error).split())
                raise DataError(f"{path}: cannot be read ({reason}); {_MAKE_AGAIN}") from None
        return self._files[shard]

    @property
    def made_by(self) -> str:
        """`stxlib.models.saved.hash_saved` of the synthesizer. DataError where the folder does not say so."""
        path = self.folder / SUMMARY
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["model_hash"])
        except (OSError, ValueError, KeyError, TypeError):
            raise DataError(
                f"{path}: does not say which synthesizer made the latents; {_MAKE_AGAIN}"
            ) from None

    def _check_shards(self) -> int:
        """Whether every shard has the frames that the index names. Returns the width of the latents."""
        expected: dict[int, int] = {}
        for shard, frames in zip(self._shards, self.lens, strict=True):
            expected[shard] = expected.get(shard, 0) + frames
        widths = set()
        for shard, frames in expected.items():
            rows, width = self._open(shard).get_shape()
            if rows != frames:
                path = shard_path(self.folder, shard)
                raise DataError(f"{path}: has {rows} latents, and {INDEX} names {frames}; {_MAKE_AGAIN}")
            widths.add(width)
        assert len(widths) == 1, f"{self.folder}: latents of several widths {widths}"
        return int(widths.pop())
