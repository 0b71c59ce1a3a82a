"""Make the corpus of egs/mini: sentences from local/grammar, spoken by eSpeak NG, as data directories.

Writes <out>/{train,dev,test,test_rare} with audio, <out>/text_only without, and a fifth of the latter as <out>/text_part: see README.md for the sets and their rules. The folder
appears whole or not at all; one that is there is replaced if this made it.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grammar import Grammar, Sentence
from recording import SAMPLE_RATE, Order, Recording, record
from sets import Chooser, Sizes
from speakers import Speaker, make_speakers

from stxlib.config import parse_config
from stxlib.data.made_folder import check_replaceable, made_folder
from stxlib.data.tables import write_table
from stxlib.errors import ConfigError, run

SPOKEN = ("train", "dev", "test", "test_rare")
SPEAKERS = {"train": 110, "dev": 24, "test": 40, "test_rare": 40}


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    out: Path
    "folder of the corpus"
    seed: int = 1
    "another seed makes another corpus of the same kind"
    jobs: int = 2
    "processes that speak"
    scale: float = 1.0
    "size of all sets against the full corpus; below 1 for trying things out (the rules on words need the full size)"

    def __post_init__(self) -> None:
        check_jobs_and_scale(self.jobs, self.scale)


def check_jobs_and_scale(jobs: int, scale: float) -> None:
    if jobs < 1 or not 0 < scale <= 1:
        raise ConfigError(
            f"jobs {jobs}, scale {scale}: need jobs >= 1 and 0 < scale <= 1; correct the option"
        )


def main(argv: Sequence[str] | None = None) -> None:
    config = parse_config(
        PrepareConfig, argv, prog="local/prepare.py", description=(__doc__ or "").splitlines()[0]
    ).config
    start = time.monotonic()
    check_replaceable(config.out)
    grammar = Grammar(Path(__file__).parent / "grammar")
    scaled = {"train": 1500, "dev": 200, "test": 400, "test_rare": 400, "text_only": 30000}
    sizes = Sizes(**{name: max(round(config.scale * count), min(count, 8)) for name, count in scaled.items()})
    chosen = Chooser(grammar, config.seed).choose(sizes)
    print(
        f"{sum(map(len, chosen.values()))} sentences chosen after {time.monotonic() - start:.0f} s",
        flush=True,
    )

    with made_folder(config.out) as draft:
        counts = {name: max(2, round(config.scale * count)) for name, count in SPEAKERS.items()}
        speakers = make_speakers(config.seed, counts)
        orders = {
            name: list(make_orders(name, chosen[name], speakers[name], config.seed, draft)) for name in SPOKEN
        }
        recordings = record_all([order for name in SPOKEN for order in orders[name]], config.jobs)
        for name in SPOKEN:
            write_spoken(draft / name, orders[name], chosen[name], recordings)
        texts = [f"text-{number:05d}" for number in range(sizes.text_only)]
        for name, count in {"text_only": sizes.text_only, "text_part": sizes.text_only // 5}.items():
            write_labels(draft / name, texts[:count], chosen["text_only"][:count])
    summarize(chosen, recordings, time.monotonic() - start)


def make_orders(
    name: str, sentences: list[Sentence], speakers: list[Speaker], seed: int, out: Path
) -> Iterator[Order]:
    """Give each sentence a speaker, in turn, and a file in wav/."""
    (out / name / "wav").mkdir(parents=True)
    rng = random.Random(f"{seed} {name} recordings")
    for number, sentence in enumerate(sentences):
        speaker = speakers[number % len(speakers)]
        utt = f"{speaker.id}-{number:04d}"
        yield Order(utt, sentence.text, speaker, rng.getrandbits(31), out / name / "wav" / f"{utt}.flac")


def record_all(orders: list[Order], jobs: int) -> dict[str, Recording]:
    """Record in `jobs` processes; eSpeak is not thread safe, and a fresh process each keeps this safe on every system."""
    recordings: dict[str, Recording] = {}

    def collect(results: Iterable[Recording]) -> None:
        step = max(1, len(orders) // 10)
        for count, recording in enumerate(results, start=1):
            recordings[recording.utt] = recording
            if count % step == 0 or count == len(orders):
                print(f"{count}/{len(orders)} utterances recorded", flush=True)

    if jobs == 1:
        collect(map(record, orders))
    else:
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            collect(pool.imap(record, orders, chunksize=16))
    return recordings


def write_spoken(
    folder: Path, orders: list[Order], sentences: list[Sentence], recordings: dict[str, Recording]
) -> None:
    write_labels(folder, [order.utt for order in orders], sentences)
    for stream, table in recording_streams(orders, recordings).items():
        write_table(folder / stream, table)


def recording_streams(orders: list[Order], recordings: dict[str, Recording]) -> dict[str, dict[str, str]]:
    """stream -> utterance -> value, of what was recorded into `wav`."""
    streams: dict[str, dict[str, str]] = {}
    for order in orders:
        speaker, recording = order.speaker, recordings[order.utt]
        values = {
            "wav.scp": f"wav/{order.path.name}",
            "utt2spk": speaker.id,
            "utt2accent": speaker.accent,
            "utt2voice": f"{speaker.voice} {speaker.pitch} {speaker.rate}",
            "utt2num_samples": str(recording.num_samples),
            "utt2dur": f"{recording.num_samples / SAMPLE_RATE:.4f}",
            "word_times": recording.word_times,
            "phone_times": recording.phone_times,
        }
        for stream, value in values.items():
            streams.setdefault(stream, {})[order.utt] = value
    return streams


def write_labels(folder: Path, utts: list[str], sentences: list[Sentence]) -> None:
    """Write the streams that a sentence has with or without audio."""
    folder.mkdir(exist_ok=True)
    streams = {
        "text": [sentence.text for sentence in sentences],
        "intent": [sentence.intent for sentence in sentences],
        "semantics": [semantics(sentence) for sentence in sentences],
        "entities": [entities(sentence) for sentence in sentences],
        "sentiment": [sentence.sentiment for sentence in sentences],
        "pattern": [sentence.pattern for sentence in sentences],
    }
    for stream, values in streams.items():
        write_table(folder / stream, dict(zip(utts, values, strict=True)))


def semantics(sentence: Sentence) -> str:
    slots = [{"type": slot.type, "filler": slot.filler} for slot in sentence.slots]
    return json.dumps({"intent": sentence.intent, "slots": slots})


def entities(sentence: Sentence) -> str:
    return json.dumps(
        [
            {"type": slot.entity, "filler": slot.filler, "start": slot.start, "length": slot.length}
            for slot in sentence.slots
            if slot.entity is not None
        ]
    )


def summarize(chosen: dict[str, list[Sentence]], recordings: dict[str, Recording], seconds: float) -> None:
    heard = {word for sentence in chosen["train"] for word in sentence.words}
    trained = {sentence.pattern for sentence in chosen["train"]}
    everything = set(
        itertools.chain.from_iterable(sentence.words for part in chosen.values() for sentence in part)
    )
    for name, sentences in chosen.items():
        words = [word for sentence in sentences for word in sentence.words]
        samples = sum(
            recording.num_samples for utt, recording in recordings.items() if utt.startswith(f"{name}-s")
        )
        unseen = sum(sentence.pattern not in trained for sentence in sentences) / len(sentences)
        print(
            f"{name}: {len(sentences)} sentences, {samples / SAMPLE_RATE / 3600:.2f} h, {len(words)} words, {len(set(words))} word types, "
            f"{sum(word not in heard for word in words) / len(words):.1%} of words and {unseen:.1%} of sentences' patterns unseen in train"
        )
    print(f"{len(everything)} word types in all; made in {seconds:.0f} s")


if __name__ == "__main__":
    sys.exit(run(main))
