"""Speak sentences of text_only with the voices of train, and put them with train: what text-to-speech in place of a latent synthesizer learns from.

The result is called an upper bound in the tables: the sets that are decoded are spoken by the same engine. See README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grammar import Sentence
from prepare import SPEAKERS, check_jobs_and_scale, make_orders, record_all, recording_streams
from recording import SAMPLE_RATE
from speakers import make_speakers

from stxlib.config import parse_config
from stxlib.data.data_dir import DataDir
from stxlib.data.made_folder import made_folder
from stxlib.data.tables import write_table
from stxlib.errors import run


@dataclass(frozen=True, kw_only=True)
class SpeakConfig:
    data: Path
    "folder of the corpus that local/prepare.py made"
    text: str = "text_only"
    "set of it whose sentences are spoken"
    out: Path
    "data directory to write: train, and the sentences"
    seed: int = 1
    "seed of the corpus"
    scale: float = 1.0
    "size of the corpus"
    jobs: int = 2
    "processes that speak"

    def __post_init__(self) -> None:
        check_jobs_and_scale(self.jobs, self.scale)


def main(argv: Sequence[str] | None = None) -> None:
    config = parse_config(
        SpeakConfig, argv, prog="local/speak.py", description=(__doc__ or "").splitlines()[0]
    ).config
    train, text = DataDir(config.data / "train"), DataDir(config.data / config.text)
    read = text.table("text")
    sentences = [Sentence(read[utt], "", "", "", ()) for utt in text.utts]
    counts = {name: max(2, round(config.scale * count)) for name, count in SPEAKERS.items()}
    speakers = make_speakers(config.seed, counts)["train"]
    with made_folder(config.out) as draft:
        orders = list(make_orders("", sentences, speakers, config.seed, draft))
        recordings = record_all(orders, config.jobs)
        utts = [order.utt for order in orders]
        streams = recording_streams(orders, recordings)
        for stream in text.streams:
            values = text.table(stream)
            streams[stream] = dict(zip(utts, (values[utt] for utt in text.utts), strict=True))
        for stream in set(train.streams).intersection(streams):
            theirs = train.table(stream)
            if stream == "wav.scp":
                theirs = {utt: str(train.path.resolve() / path) for utt, path in theirs.items()}
            # Sentences are numbered by themselves: train may have the same speaker and number.
            spoken = {f"{utt}-text": value for utt, value in streams[stream].items()}
            write_table(draft / stream, spoken | theirs)
    seconds = sum(recordings[utt].num_samples for utt in utts) / SAMPLE_RATE
    print(f"{len(utts)} sentences of {text.path} spoken, {seconds / 3600:.2f} h -> {config.out}")


if __name__ == "__main__":
    sys.exit(run(main))
