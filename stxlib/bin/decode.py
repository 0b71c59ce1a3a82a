"""Decode a data directory with a trained network: stage 6 of every recipe.

    python -m stxlib.bin.decode --config conf/asr/decode.yaml --model exp/asr/seed1/train \
        --data data/test --out exp/asr/seed1/train/decode_joint_test

writes into the folder `--out`

    text           <utt> <words>; every utterance of the set is there, its words may be none
    score          <utt> <score of the best hypothesis>: what the decoder maximizes, -inf where nothing could be read
    nbest          a JSON object a line: {"utt", "hypotheses": [{"text", "score", "parts", "tokens"}, ...]}, best first
    times          <utt> <seconds of audio> <of the model> <of the decoder>; a batch's time is shared out by length
    config.yaml    the whole config
    summary.json   counts, unreadable utterances, real time factors, device, hash of the model, commit; written last:
                   a folder without it is not finished

The batches, and with them every digit of the output, are the same whatever the number of processes.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import math
import multiprocessing
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from tqdm import tqdm

import stxlib
from stxlib.atomic import make_folder, write_text, written_whole
from stxlib.config import dump_config, flatten, parse_config
from stxlib.data.data_dir import DataDir
from stxlib.data.loader import WaveBatches
from stxlib.data.tables import sort_ids, write_table
from stxlib.decode.ctc_greedy import CtcGreedyConfig
from stxlib.decode.joint_beam import JointBeamConfig
from stxlib.decode.recognizer import (
    DefaultDecoderConfig,
    Recognizer,
    choose_device,
    default_decoder,
    keep_decoder,
)
from stxlib.errors import ConfigError, DataError, run
from stxlib.models.saved import check_saved
from stxlib.revision import git_commit

_SECONDS_BETWEEN_LINES = 15


@dataclass(frozen=True, kw_only=True)
class DecodeConfig:
    model: Path
    """folder of the trained network"""
    data: Path
    """data directory to decode; needs audio only"""
    out: Path
    """folder to write into; what an earlier decoding wrote there is replaced"""
    decoder: JointBeamConfig | CtcGreedyConfig | DefaultDecoderConfig = field(default_factory=JointBeamConfig)
    """how to search"""
    keep_decoder: bool = False
    """leave this decoder's config beside the network, for `stxlib.bin.transcribe` to use"""
    batch_seconds: float = 120.0
    """seconds of audio of a batch, padding included; halved by itself where memory does not suffice"""
    num_jobs: int = 1
    """processes on the CPU, of one thread each"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if there is one"""
    allow_pipes: bool = False
    """run the commands (`... |`) that wav.scp holds"""

    def __post_init__(self) -> None:
        if self.batch_seconds <= 0:
            raise ConfigError(f"batch_seconds: {self.batch_seconds:g}; expected a number above 0")
        if self.num_jobs < 1:
            raise ConfigError(f"num_jobs: {self.num_jobs}; expected 1 or more")


@dataclass(frozen=True)
class Decoded:
    """What is written about one utterance."""

    hypotheses: list[dict[str, Any]]
    seconds: tuple[float, float, float]
    "audio, model, decoder"


@dataclass(frozen=True)
class Part:
    """What one process decoded."""

    utts: dict[str, Decoded]
    unreadable: dict[str, str]
    wall_seconds: float
    "reading of audio included, start of the process and loading of the network left out"


def main(argv: Sequence[str] | None = None) -> None:
    """Decode as the command line says."""
    description = "Decode a data directory with a trained network."
    config = parse_config(DecodeConfig, argv, prog="stxlib.bin.decode", description=description).config
    start = time.perf_counter()
    data = DataDir(config.data)
    if not data.has_audio:
        raise DataError(
            f"{config.data}: has no wav.scp, so there is nothing to decode; give a set with audio"
        )
    if (config.out / "wav.scp").exists() or config.out.resolve() == config.data.resolve():
        raise ConfigError(
            f"--out {config.out}: is a data directory, whose text would be overwritten; give another"
        )
    check_saved(config.model)
    device = choose_device(config.device)
    decoder = config.decoder
    if isinstance(decoder, DefaultDecoderConfig):
        decoder = default_decoder(config.model)

    make_folder(config.out)
    (config.out / "summary.json").unlink(missing_ok=True)  # from here on the folder is not finished
    write_text(config.out / "config.yaml", dump_config(config))
    num_jobs = config.num_jobs
    if device.type == "cuda" and num_jobs > 1:
        print(f"decode: on the GPU one process decodes; num_jobs {num_jobs} is for CPUs")
        num_jobs = 1
    parts = decode_parts(config, decoder, device, num_jobs)
    utts = {utt: decoded for part in parts for utt, decoded in part.utts.items()}
    unreadable = {utt: message for part in parts for utt, message in part.unreadable.items()}
    missing = set(data.utts) - utts.keys() - unreadable.keys()
    assert not missing, f"{len(missing)} utterances were lost, such as {min(missing)}"

    write_results(config.out, utts, unreadable)
    summary = summarize(config, decoder, device, num_jobs, parts, time.perf_counter() - start)
    if config.keep_decoder:
        keep_decoder(config.model, decoder)
    write_text(config.out / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    for utt in sort_ids(unreadable):
        print(f"decode: unreadable, empty hypothesis: {unreadable[utt]}")
    print(
        f"decode: {len(data.utts)} utterances ({summary['audio_seconds']:.1f} s, {len(unreadable)} unreadable) in "
        f"{summary['wall_seconds']:.1f} s with {num_jobs} job{'s' * (num_jobs > 1)} on {device} -> {config.out}"
    )
    if summary["audio_seconds"]:
        print(
            f"decode: real time factor: decoder {summary['rtf_decoder']:.4f}, end to end {summary['rtf_end_to_end']:.4f}"
        )


def decode_parts(
    config: DecodeConfig, decoder: JointBeamConfig | CtcGreedyConfig, device: torch.device, num_jobs: int
) -> list[Part]:
    """Decode every num_jobs-th batch in each of num_jobs processes."""
    if num_jobs == 1:
        return [decode_part(config, decoder, str(device), 0, 1)]
    # Not forked: a forked process inherits locks of torch's thread pools and may hang.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(num_jobs, mp_context=context) as pool:
        futures = [
            pool.submit(decode_part, config, decoder, str(device), part, num_jobs) for part in range(num_jobs)
        ]
        try:
            return [future.result() for future in futures]
        except concurrent.futures.process.BrokenProcessPool:
            raise DataError(
                f"decode: a process of {num_jobs} was killed, most likely for lack of memory; lower num_jobs or batch_seconds"
            ) from None


def decode_part(
    config: DecodeConfig, decoder: JointBeamConfig | CtcGreedyConfig, device: str, part: int, num_parts: int
) -> Part:
    """Decode every num_parts-th batch from `part` on, in this process and with one thread."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the results do not depend on how many cores there are
    try:
        recognizer = Recognizer.load(config.model, decoder, device)
        start = time.perf_counter()
        batches = WaveBatches(
            DataDir(config.data),
            batch_seconds=config.batch_seconds,
            sample_rate=recognizer.sample_rate,
            allow_pipes=config.allow_pipes,
            part=part,
            num_parts=num_parts,
        )
        utts: dict[str, Decoded] = {}
        said = start
        bar = tqdm(batches, desc="decode", unit="batch", disable=None if part == 0 else True)
        for batch in bar:
            recognition = recognizer.recognize(batch.waves, batch.wave_lens, batch.utts)
            seconds = (batch.wave_lens / batch.sample_rate).tolist()
            for utt, hypotheses, audio in zip(batch.utts, recognition.hypotheses, seconds, strict=True):
                share = audio / sum(seconds)
                times = (audio, share * recognition.model_seconds, share * recognition.decoder_seconds)
                described = [
                    {
                        "text": recognizer.text(hypothesis),
                        "score": finite(hypothesis.score),
                        "parts": {name: finite(value) for name, value in hypothesis.parts.items()},
                        "tokens": list(hypothesis.tokens),
                    }
                    for hypothesis in hypotheses
                ]
                utts[utt] = Decoded(described, times)
            if bar.disable and part == 0 and time.perf_counter() - said > _SECONDS_BETWEEN_LINES:
                said = time.perf_counter()
                print(
                    f"decode: {len(utts)}/{len(batches.utts)} utterances after {said - start:.0f} s",
                    flush=True,
                )
        return Part(utts, dict(batches.unreadable), time.perf_counter() - start)
    finally:
        torch.set_num_threads(num_threads)


def finite(score: float) -> float | None:
    """Return the score for JSON, which knows no infinity: null is -inf."""
    return score if math.isfinite(score) else None


def write_results(out: Path, utts: dict[str, Decoded], unreadable: dict[str, str]) -> None:
    """Write the tables and the n-best lists; each file appears whole."""
    nothing = Decoded([], (0.0, 0.0, 0.0))
    decoded = {utt: utts.get(utt, nothing) for utt in sort_ids([*utts, *unreadable])}
    best = {utt: one.hypotheses[0] if one.hypotheses else None for utt, one in decoded.items()}
    write_table(out / "text", {utt: first["text"] if first else "" for utt, first in best.items()})
    scores = {utt: first["score"] if first else None for utt, first in best.items()}
    write_table(out / "score", {u: "-inf" if s is None else f"{s:.4f}" for u, s in scores.items()})
    times = {utt: " ".join(f"{seconds:.4f}" for seconds in one.seconds) for utt, one in decoded.items()}
    write_table(out / "times", times)
    with written_whole(out / "nbest") as path, path.open("w", encoding="utf-8") as file:
        for utt, one in decoded.items():
            line = {"utt": utt, "hypotheses": one.hypotheses}
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")


def summarize(
    config: DecodeConfig,
    decoder: JointBeamConfig | CtcGreedyConfig,
    device: torch.device,
    num_jobs: int,
    parts: Sequence[Part],
    wall_seconds: float,
) -> dict[str, Any]:
    """Describe a finished decoding. Seconds are wall time, summed over the processes but for wall_seconds."""
    seconds = [decoded.seconds for part in parts for decoded in part.utts.values()]
    audio, model, search = (
        (math.fsum(column) for column in zip(*seconds, strict=True)) if seconds else (0.0, 0.0, 0.0)
    )
    job_seconds = math.fsum(part.wall_seconds for part in parts)
    unreadable = {utt: message for part in parts for utt, message in part.unreadable.items()}
    return {
        "num_utts": len(seconds) + len(unreadable),
        "num_unreadable": len(unreadable),
        "unreadable": {utt: unreadable[utt] for utt in sort_ids(unreadable)},
        "num_empty": sum(not d.hypotheses[0]["text"] for part in parts for d in part.utts.values()),
        "audio_seconds": audio,
        "model_seconds": model,
        "decoder_seconds": search,
        "job_seconds": job_seconds,
        "wall_seconds": wall_seconds,
        "rtf_decoder": search / audio if audio else None,
        "rtf_end_to_end": job_seconds / audio if audio else None,
        "num_jobs": num_jobs,
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"cpu ({platform.machine()})",
        "model": str(config.model),
        "model_sha256": hashlib.sha256((config.model / "model.safetensors").read_bytes()).hexdigest(),
        "decoder": flatten(decoder),
        "config": {
            key: str(value) if isinstance(value, Path) else value for key, value in flatten(config).items()
        },
        "git_commit": git_commit(),
        "versions": {
            "stxlib": stxlib.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


if __name__ == "__main__":
    sys.exit(run(main))
