"""Decode a data directory with a trained network, from its speech or, for a network that reads text, from its `text`: stage 6.

    python -m stxlib.bin.decode --config conf/asr/decode.yaml --model exp/asr/seed1/train \
        --data data/test --out exp/asr/seed1/train/decode_joint_test

writes into the folder `--out`

    text intent semantics entities sentiment parse
                   the label streams that the network's tasks give, as in a data directory; every utterance of the set is there. Where
                   two tasks give a stream (`ner` gives text as well), the task that the network names first does
    score          <utt> <score of the best hypothesis>: what the decoder maximizes, -inf where nothing could be read
    nbest          a JSON object a line: {"utt", "hypotheses": [{"text", "score", "parts", "tokens"}, ...]}, best first; text: words and
                   symbols, as the decoder wrote them
    score.<task> nbest.<task>   the same of the network's second task and of those after it
    times          <utt> <seconds of audio> <of the model> <of the decoder>; a batch's time is shared out by length
    config.yaml    the whole config
    summary.json   counts, unreadable utterances, malformed outputs that were repaired, real time factors, device, hashes of the model and the language model, commit; written last:
                   a folder without it is not finished

The batches, and with them every digit of the output, are the same whatever the number of processes.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from tqdm import tqdm

import stxlib
from stxlib.atomic import make_folder, write_text, written_whole
from stxlib.config import dump_config, flatten, parse_config
from stxlib.data.batch import TextBatch, WaveBatch
from stxlib.data.data_dir import DataDir
from stxlib.data.tables import sort_ids, write_table
from stxlib.data.text_loader import SourceBatches
from stxlib.data.text_rows import STREAMS
from stxlib.data.wave_loader import WaveBatches
from stxlib.decode.classes import ClassesConfig
from stxlib.decode.ctc_greedy import CtcGreedyConfig
from stxlib.decode.hypothesis import Hypothesis
from stxlib.decode.joint_beam import JointBeamConfig
from stxlib.decode.recognizer import (
    DecoderConfig,
    DefaultDecoderConfig,
    Recognizer,
    choose_device,
    default_decoder,
    keep_decoder,
)
from stxlib.errors import ConfigError, DataError, run
from stxlib.models.saved import check_saved
from stxlib.parallel import in_processes
from stxlib.revision import git_commit
from stxlib.text.target_vocabulary import Task

_SECONDS_BETWEEN_LINES = 15


@dataclass(frozen=True, kw_only=True)
class DecodeConfig:
    model: Path
    """folder of the trained network"""
    data: Path
    """data directory to decode; needs audio only, or text only for a network that reads text"""
    out: Path
    """folder to write into; what an earlier decoding wrote there is replaced"""
    decoder: JointBeamConfig | CtcGreedyConfig | ClassesConfig | DefaultDecoderConfig = field(
        default_factory=JointBeamConfig
    )
    """how to search"""
    keep_decoder: bool = False
    """leave this decoder's config beside the network, for `stxlib.bin.transcribe` to use"""
    batch_seconds: float = 120.0
    """seconds of audio of a batch, padding included; halved by itself where memory does not suffice"""
    batch_tokens: int = 4000
    """of a network that reads text: tokens of a batch, padding included"""
    num_jobs: int = 1
    """processes on the CPU, of one thread each"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if there is one"""
    allow_pipes: bool = False
    """run the commands (`... |`) that wav.scp holds"""

    def __post_init__(self) -> None:
        if self.batch_seconds <= 0 or self.batch_tokens <= 0:
            raise ConfigError(
                f"batch_seconds {self.batch_seconds:g}, batch_tokens {self.batch_tokens}; expected numbers above 0"
            )
        if self.num_jobs < 1:
            raise ConfigError(f"num_jobs: {self.num_jobs}; expected 1 or more")


@dataclass(frozen=True)
class Decoded:
    """What is written about one utterance."""

    hypotheses: dict[Task, list[dict[str, Any]]]
    "task -> best first"
    streams: dict[str, str]
    seconds: tuple[float, float, float]
    "audio, model, decoder"


@dataclass(frozen=True)
class Part:
    """What one process decoded."""

    utts: dict[str, Decoded]
    unreadable: dict[str, str]
    repairs: dict[Task, dict[str, int]]
    "task -> rule -> how often"
    wall_seconds: float
    "reading of audio included, start of the process and loading of the network left out"


def main(argv: Sequence[str] | None = None) -> None:
    """Decode as the command line says."""
    description = "Decode a data directory with a trained network."
    config = parse_config(DecodeConfig, argv, prog="stxlib.bin.decode", description=description).config
    start = time.perf_counter()
    data = DataDir(config.data)
    streams = [stream for stream in ("wav.scp", *STREAMS) if (config.out / stream).exists()]
    is_decoded = (config.out / "config.yaml").exists() and "wav.scp" not in streams
    if (streams and not is_decoded) or config.out.resolve() == config.data.resolve():
        raise ConfigError(
            f"--out {config.out}: is a data directory, whose tables would be overwritten; give another"
        )
    check_saved(config.model)
    device = choose_device(config.device)
    decoder = config.decoder
    if isinstance(decoder, DefaultDecoderConfig):
        decoder = default_decoder(config.model)
    recognizer = Recognizer.load(config.model, decoder, device)  # before anything is written: does it fit?
    if not data.has("text" if recognizer.reads_text else "wav.scp"):
        needed = "text, and the network reads text" if recognizer.reads_text else "wav.scp"
        raise DataError(
            f"{config.data}: has no {needed}, so there is nothing to decode; give a set that has it"
        )

    make_folder(config.out)
    (config.out / "summary.json").unlink(missing_ok=True)  # from here on the folder is not finished
    write_text(config.out / "config.yaml", dump_config(config))
    num_jobs = config.num_jobs
    if device.type == "cuda" and num_jobs > 1:
        print(f"decode: on the GPU one process decodes; num_jobs {num_jobs} is for CPUs")
        num_jobs = 1
    if num_jobs == 1:
        parts = [decode_part(config, recognizer, 0, 1)]
    else:
        parts = decode_parts(config, decoder, device, num_jobs)
    utts = {utt: decoded for part in parts for utt, decoded in part.utts.items()}
    unreadable = {utt: message for part in parts for utt, message in part.unreadable.items()}
    missing = set(data.utts) - utts.keys() - unreadable.keys()
    assert not missing, f"{len(missing)} utterances were lost, such as {min(missing)}"

    write_results(config.out, recognizer, utts, unreadable)
    summary = summarize(config, decoder, device, num_jobs, parts, time.perf_counter() - start)
    if config.keep_decoder:
        keep_decoder(config.model, decoder)
    write_text(config.out / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    for task, counts in summary["repairs"].items():
        told = ", ".join(f"{rule} {count}" for rule, count in counts.items())
        print(f"decode: malformed output of task {task} was repaired: {told}")
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
    config: DecodeConfig, decoder: DecoderConfig, device: torch.device, num_jobs: int
) -> list[Part]:
    """Decode every num_jobs-th batch in each of num_jobs processes."""
    return in_processes(
        load_and_decode,
        [(config, decoder, str(device), part, num_jobs) for part in range(num_jobs)],
        f"decode: a process of {num_jobs} was killed, most likely for lack of memory; lower num_jobs or batch_seconds",
    )


def load_and_decode(
    config: DecodeConfig, decoder: DecoderConfig, device: str, part: int, num_parts: int
) -> Part:
    """What a process of its own does."""
    return decode_part(config, Recognizer.load(config.model, decoder, device), part, num_parts)


def decode_part(config: DecodeConfig, recognizer: Recognizer, part: int, num_parts: int) -> Part:
    """Decode every num_parts-th batch from `part` on, in this process and with one thread."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the results do not depend on how many cores there are
    try:
        start = time.perf_counter()
        batches = source_batches(config, recognizer, part, num_parts)
        utts: dict[str, Decoded] = {}
        repairs: dict[Task, Counter[str]] = {task: Counter() for task in recognizer.tasks}
        said = start
        bar = tqdm(total=len(batches), desc="decode", unit="batch", disable=None if part == 0 else True)
        for batch in batches:
            utts |= decode_batch(recognizer, batch, repairs)
            bar.update()
            if bar.disable and part == 0 and time.perf_counter() - said > _SECONDS_BETWEEN_LINES:
                said = time.perf_counter()
                print(
                    f"decode: {len(utts)}/{len(batches.utts)} utterances after {said - start:.0f} s",
                    flush=True,
                )
        counts = {task: dict(count) for task, count in repairs.items() if count}
        return Part(utts, dict(batches.unreadable), counts, time.perf_counter() - start)
    finally:
        torch.set_num_threads(num_threads)


def decode_batch(
    recognizer: Recognizer, batch: WaveBatch | TextBatch, repairs: dict[Task, Counter[str]]
) -> dict[str, Decoded]:
    """Decode a batch; adds to `repairs`."""
    if isinstance(batch, TextBatch):
        lens = batch.source.lens
        found = recognizer.recognize(batch.source.ids, lens, batch.utts)
        seconds = [0.0] * len(batch.utts)
    else:
        lens = batch.wave_lens
        found = recognizer.recognize(batch.waves, lens, batch.utts)
        seconds = (lens / batch.sample_rate).tolist()
    shares = (lens / lens.sum()).tolist()
    decoded = {}
    for index, utt in enumerate(batch.utts):
        streams: dict[str, str] = {}
        hypotheses = {task: of_utts[index] for task, of_utts in found.hypotheses.items()}
        for task in recognizer.tasks:
            understood = recognizer.understand(task, hypotheses[task][0])
            streams = understood.streams | streams  # what an earlier task says holds
            repairs[task].update(understood.repairs)
        share = shares[index]
        decoded[utt] = Decoded(
            {task: [describe(recognizer, task, one) for one in best] for task, best in hypotheses.items()},
            streams,
            (seconds[index], share * found.model_seconds, share * found.decoder_seconds),
        )
    return decoded


def source_batches(
    config: DecodeConfig, recognizer: Recognizer, part: int, num_parts: int
) -> WaveBatches | SourceBatches:
    """What the network reads: every num_parts-th batch, from `part` on."""
    data = DataDir(config.data)
    if recognizer.reads_text:
        tokens, targets = recognizer.units.tokens, recognizer.units.targets
        sources = {utt: tokens.encode(targets.escape_words(text)) for utt, text in data.table("text").items()}
        return SourceBatches(sources, batch_tokens=config.batch_tokens, part=part, num_parts=num_parts)
    return WaveBatches(
        data,
        batch_seconds=config.batch_seconds,
        sample_rate=recognizer.sample_rate,
        allow_pipes=config.allow_pipes,
        part=part,
        num_parts=num_parts,
    )


def describe(recognizer: Recognizer, task: Task, hypothesis: Hypothesis) -> dict[str, Any]:
    """A hypothesis for the n-best list."""
    return {
        "text": recognizer.target(task, hypothesis),
        "score": finite(hypothesis.score),
        "parts": {name: finite(value) for name, value in hypothesis.parts.items()},
        "tokens": list(hypothesis.tokens),
    }


def finite(score: float) -> float | None:
    """Return the score for JSON, which knows no infinity: null is -inf."""
    return score if math.isfinite(score) else None


def write_results(
    out: Path, recognizer: Recognizer, utts: dict[str, Decoded], unreadable: dict[str, str]
) -> None:
    """Write the tables and the n-best lists; each file appears whole, and what an earlier decoding wrote of other tasks goes."""
    silence: dict[str, str] = {}
    for task in recognizer.tasks:
        silence = recognizer.nothing(task) | silence
    nothing = Decoded({task: [] for task in recognizer.tasks}, silence, (0.0, 0.0, 0.0))
    decoded = {utt: utts.get(utt, nothing) for utt in sort_ids([*utts, *unreadable])}
    for old in (*(out / stream for stream in STREAMS), *out.glob("score.?*"), *out.glob("nbest.?*")):
        if old.name != "score.json":
            old.unlink(missing_ok=True)
    for stream in silence:
        write_table(out / stream, {utt: one.streams[stream] for utt, one in decoded.items()})
    for index, task in enumerate(recognizer.tasks):
        suffix = f".{task}" if index else ""
        scores = {
            utt: one.hypotheses[task][0]["score"] if one.hypotheses[task] else None
            for utt, one in decoded.items()
        }
        write_table(
            out / f"score{suffix}", {u: "-inf" if s is None else f"{s:.4f}" for u, s in scores.items()}
        )
        with written_whole(out / f"nbest{suffix}") as path, path.open("w", encoding="utf-8") as file:
            for utt, one in decoded.items():
                line = {"utt": utt, "hypotheses": one.hypotheses[task]}
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
    times = {utt: " ".join(f"{seconds:.4f}" for seconds in one.seconds) for utt, one in decoded.items()}
    write_table(out / "times", times)


def summarize(
    config: DecodeConfig,
    decoder: DecoderConfig,
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
    lm = decoder.lm if isinstance(decoder, JointBeamConfig) else None
    return {
        "num_utts": len(seconds) + len(unreadable),
        "num_unreadable": len(unreadable),
        "unreadable": {utt: unreadable[utt] for utt in sort_ids(unreadable)},
        "num_empty": sum(
            not next(iter(d.hypotheses.values()))[0]["text"] for part in parts for d in part.utts.values()
        ),
        "repairs": merge_repairs(parts),
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
        "model_sha256": hash_weights(config.model),
        **({} if lm is None else {"lm_sha256": hash_weights(lm)}),
        "decoder": as_plain(flatten(decoder)),
        "config": as_plain(flatten(config)),
        "git_commit": git_commit(),
        "versions": {
            "stxlib": stxlib.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def hash_weights(folder: Path) -> str:
    """SHA-256 of the weights of a saved network, in hex digits."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def as_plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for JSON: paths as they are written."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}


def merge_repairs(parts: Sequence[Part]) -> dict[Task, dict[str, int]]:
    """task -> rule -> how often, over all processes."""
    merged: dict[Task, Counter[str]] = {}
    for part in parts:
        for task, counts in part.repairs.items():
            merged.setdefault(task, Counter()).update(counts)
    return {task: dict(sorted(counts.items())) for task, counts in sorted(merged.items())}


if __name__ == "__main__":
    sys.exit(run(main))
