"""Make latents of a set's text once, for a synthesizer too slow to make them anew in each step: stage 4.

    python -m stxlib.bin.synthesize --model exp/lasyn.diffusion/seed1/synthesis --data data/text_only \
        --out exp/lasyn.diffusion/seed1/synthesis/latents

writes what `stxlib.data.latent_store.LatentStore` reads, and summary.json. The text is read as its stream `units`, which stage 2 makes.
The same command again goes on where the last one stopped: finished shards are kept. Every byte is the same whatever the number of
processes, and however often it was stopped.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from stxlib.atomic import check_own_folder, make_folder, write_text
from stxlib.config import dump_config, parse_config
from stxlib.data.data_dir import DataDir
from stxlib.data.label_store import SequenceStore, utterance_seed
from stxlib.data.latent_store import (
    BYTES,
    INDEX,
    SUMMARY,
    read_shard_lens,
    shard_path,
    write_index,
    write_shard,
)
from stxlib.data.sampler import group_by_length
from stxlib.decode.recognizer import choose_device
from stxlib.errors import ConfigError, DataError, run
from stxlib.models.saved import hash_saved
from stxlib.models.saved_synthesizer import load_synthesizer
from stxlib.models.synthesizer import Synthesizer
from stxlib.objectives.label_encoder import UNITS
from stxlib.parallel import in_processes
from stxlib.revision import git_commit
from stxlib.text.saved import load_units

_SECONDS_BETWEEN_LINES = 15
_MOST_VERSIONS = 1000  # an epoch hears one of them


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig:
    model: Path
    """folder of the synthesizer"""
    data: Path
    """data directory whose text is synthesized; needs the stream `units`"""
    out: Path
    """folder to write into; goes on with what an earlier start of the same command left there"""
    num_sentences: int = 0
    """so many sentences, spread evenly over the set; 0: all"""
    versions: int = 1
    """samples of each sentence, each with a seed of its own"""
    seed: int = 1
    """seed of the samples"""
    batch_units: int = 2000
    """units of a batch, padding included"""
    shard_megabytes: float = 100.0
    """about the size of a file"""
    num_jobs: int = 1
    """processes on the CPU, of one thread each"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if there is one"""

    def __post_init__(self) -> None:
        if self.num_sentences < 0:
            raise ConfigError(f"num_sentences: {self.num_sentences}; expected 0 (all) or more")
        for name in ("batch_units", "num_jobs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: {getattr(self, name)}; expected 1 or more")
        if not 1 <= self.versions <= _MOST_VERSIONS:
            raise ConfigError(f"versions: {self.versions}; expected 1 to {_MOST_VERSIONS}")
        if self.shard_megabytes <= 0:
            raise ConfigError(f"shard_megabytes: {self.shard_megabytes:g}; expected a number above 0")


@dataclass(frozen=True)
class Plan:
    """Which samples there are, and which shard each of them is in: a function of config, set and synthesizer."""

    utts: tuple[str, ...]
    units: SequenceStore
    "of each utterance"
    versions: int
    seed: int
    shards: tuple[range, ...]
    "samples of each shard; sample s is version s % versions of utterance s // versions"
    num_latents: float
    "expected in all"
    model: str
    "hash of the synthesizer"
    num_unknown: int
    "units that the synthesizer does not know"

    def sample(self, number: int) -> tuple[str, int, int]:
        """Utterance, version and seed."""
        place, version = divmod(number, self.versions)
        return self.utts[place], version, utterance_seed(self.seed, version, self.utts[place])

    def made_of(self, shard: int) -> str:
        """A hash of all that the bytes of a shard are a function of."""
        digest = hashlib.sha256(self.model.encode())
        for number in self.shards[shard]:
            utt, version, seed = self.sample(number)
            ids = array("q", self.units[number // self.versions]).tobytes()
            digest.update(f"{utt} {version} {seed} {len(ids)}\n".encode() + ids)
        return digest.hexdigest()


def main(argv: Sequence[str] | None = None) -> None:
    """Synthesize as the command line says."""
    description = "Make latents of a set's text, and keep them."
    config = parse_config(
        SynthesizeConfig, argv, prog="stxlib.bin.synthesize", description=description
    ).config
    start = time.perf_counter()
    check_own_folder(config.out, {"--model": config.model, "--data": config.data})
    device = choose_device(config.device)
    synthesizer = load_synthesizer(config.model, device)
    plan = make_plan(config, synthesizer)
    num_jobs = config.num_jobs
    if device.type == "cuda" and num_jobs > 1:
        print(f"synthesize: on the GPU one process synthesizes; num_jobs {num_jobs} is for CPUs")
        num_jobs = 1
    num_jobs = min(num_jobs, len(plan.shards))
    finished = sum(lens is not None for lens in shard_lens(config.out, plan))
    announce(config, plan, synthesizer.dim, finished)

    make_folder(config.out)
    for name in (INDEX, SUMMARY):
        (config.out / name).unlink(missing_ok=True)  # from here on the folder is not finished
    write_text(config.out / "config.yaml", dump_config(config))
    if num_jobs == 1:
        synthesize_part(config, plan, synthesizer, device, 0, 1)
    else:
        synthesize_parts(config, device, num_jobs)

    num_samples = len(plan.utts) * plan.versions
    lens = list(shard_lens(config.out, plan))
    if any(one is None for one in lens):
        raise DataError(f"{config.out}: a shard is missing; did another process write here? start again")
    write_index(config.out, map(plan.sample, range(num_samples)), (one for one in lens if one is not None))
    num_latents = sum(sum(one) for one in lens if one is not None)
    summary = {
        "sentences": len(plan.utts),
        "versions": plan.versions,
        "latents": num_latents,
        "dim": synthesizer.dim,
        "units_unknown_to_the_synthesizer": plan.num_unknown,
        "megabytes": num_latents * synthesizer.dim * BYTES / 1e6,
        "shards": len(plan.shards),
        "wall_seconds": time.perf_counter() - start,
        "model": str(config.model),
        "model_hash": plan.model,
        "git_commit": git_commit(),
    }
    write_text(config.out / SUMMARY, json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    print(
        f"synthesize: {num_samples} samples, {num_latents} latents ({summary['megabytes']:.1f} MB) "
        f"in {summary['wall_seconds']:.1f} s -> {config.out}"
    )


def make_plan(config: SynthesizeConfig, synthesizer: Synthesizer) -> Plan:
    """Read the set. DataError where its text is not spelt in units."""
    data = DataDir(config.data)
    if not data.has(UNITS):
        raise DataError(
            f"{config.data}: has no stream {UNITS}, so its text cannot be synthesized; run stage 2 (units) on this set"
        )
    vocabulary = load_units(config.model / "units").units
    table = data.table(UNITS)
    chosen: Sequence[str] = data.utts
    if config.num_sentences and config.num_sentences < len(chosen):
        chosen = [chosen[i * len(chosen) // config.num_sentences] for i in range(config.num_sentences)]
    units, num_unknown, lengths = SequenceStore(), 0, []
    for utt in chosen:
        ids = vocabulary.encode(table[utt].split())
        units.append(ids)
        lengths.append(len(ids))
        num_unknown += ids.count(vocabulary.unk)
    if not chosen:
        raise DataError(f"{config.data}: is empty; give a set with text")
    if num_unknown == sum(lengths):
        raise DataError(
            f"{config.data / UNITS}: no unit is one of {config.model / 'units'}; run stage 2 (units) with these units on this set"
        )
    expected = np.repeat(lengths, config.versions) * synthesizer.frames_per_unit
    shard = (expected.cumsum() - expected) * synthesizer.dim * BYTES // (config.shard_megabytes * 1e6)
    starts = [0, *(np.flatnonzero(np.diff(shard)) + 1).tolist(), len(expected)]
    return Plan(
        utts=tuple(chosen),
        units=units,
        versions=config.versions,
        seed=config.seed,
        shards=tuple(range(one, two) for one, two in zip(starts, starts[1:], strict=False)),
        num_latents=float(expected.sum()),
        model=hash_saved(config.model),
        num_unknown=num_unknown,
    )


def announce(config: SynthesizeConfig, plan: Plan, dim: int, finished: int) -> None:
    """Say how much there is to do, and how large it will be. DataError where the disk has no room for it."""
    if plan.num_unknown:
        print(f"synthesize: {plan.num_unknown} units are unknown to the synthesizer and made as <unk>")
    size = plan.num_latents * dim * BYTES
    missing = size * (1 - finished / len(plan.shards))
    place = next(folder for folder in (config.out, *config.out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    versions = f" in {plan.versions} versions" if plan.versions > 1 else ""
    kept = f" ({finished} are there already)" if finished else ""
    print(
        f"synthesize: {len(plan.utts)} sentences{versions}, about {plan.num_latents:.0f} latents of {dim} numbers: "
        f"{size / 1e6:.1f} MB in {len(plan.shards)} shards{kept}; {free / 1e6:.0f} MB are free",
        flush=True,
    )
    if missing > free:
        raise DataError(
            f"{config.out}: about {missing / 1e6:.0f} MB are needed, and {free / 1e6:.0f} MB are free; "
            "give another --out, or a smaller --num_sentences or --versions"
        )


def shard_lens(out: Path, plan: Plan) -> Iterator[list[int] | None]:
    """Frames of the samples of each finished shard; None for one that is still to be made."""
    for shard in range(len(plan.shards)):
        path = shard_path(out, shard)
        yield read_shard_lens(path, plan.made_of(shard)) if path.exists() else None


def synthesize_parts(config: SynthesizeConfig, device: torch.device, num_jobs: int) -> None:
    """Make every num_jobs-th shard in each of num_jobs processes."""
    in_processes(
        load_and_synthesize,
        [(config, str(device), part, num_jobs) for part in range(num_jobs)],
        f"synthesize: a process of {num_jobs} was killed, most likely for lack of memory; "
        "lower num_jobs or batch_units, and start again: finished shards are kept",
    )


def load_and_synthesize(config: SynthesizeConfig, device: str, part: int, num_parts: int) -> None:
    """What a process of its own does."""
    synthesizer = load_synthesizer(config.model, device)
    plan = make_plan(config, synthesizer)
    synthesize_part(config, plan, synthesizer, torch.device(device), part, num_parts)


def synthesize_part(
    config: SynthesizeConfig,
    plan: Plan,
    synthesizer: Synthesizer,
    device: torch.device,
    part: int,
    num_parts: int,
) -> None:
    """Make every num_parts-th shard, from `part` on, that is not finished, in this process and with one thread."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the bytes do not depend on how many cores there are
    start = said = time.perf_counter()
    mine = range(part, len(plan.shards), num_parts)
    num_samples, done = sum(len(plan.shards[shard]) for shard in mine), 0
    try:
        for shard in mine:
            path, made_of = shard_path(config.out, shard), plan.made_of(shard)
            samples = plan.shards[shard]
            if read_shard_lens(path, made_of) is not None:
                num_samples -= len(samples)
                continue
            latents: dict[int, Tensor] = {}
            for batch in sample_batches(plan, samples, config.batch_units):
                latents |= zip(batch, sample(synthesizer, plan, batch, device), strict=True)
                done += len(batch)
                if part == 0 and time.perf_counter() - said > _SECONDS_BETWEEN_LINES:
                    said = time.perf_counter()
                    left = (said - start) * (num_samples - done) / done
                    told = f"{done}/{num_samples} samples" + (
                        f" of the first job of {num_parts}" * (num_parts > 1)
                    )
                    print(f"synthesize: {told} after {said - start:.0f} s, {left:.0f} s left", flush=True)
            write_shard(path, [latents[number] for number in samples], made_of)
    finally:
        torch.set_num_threads(num_threads)


def sample_batches(plan: Plan, samples: range, batch_units: int) -> Iterator[list[int]]:
    """Samples of a shard in batches of like length."""
    lengths = np.array([len(plan.units[number // plan.versions]) for number in samples], dtype=np.float64)
    for group in group_by_length(lengths, batch_units):
        yield [samples[index] for index in group]


@torch.inference_mode()
def sample(synthesizer: Synthesizer, plan: Plan, batch: Sequence[int], device: torch.device) -> list[Tensor]:
    """Latents (T, D) of each sample of a batch, on the CPU."""
    units = plan.units.batch([number // plan.versions for number in batch]).to(device)
    seeds = torch.tensor([plan.sample(number)[2] for number in batch], dtype=torch.int64)
    latents, lens = synthesizer.sample(units.ids, units.lens, seeds.to(device))
    return [row[:length].half().cpu() for row, length in zip(latents, lens.tolist(), strict=True)]


if __name__ == "__main__":
    sys.exit(run(main))
