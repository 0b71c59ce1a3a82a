"""Transcribe audio files of any length, rate and format with a trained network.

    python -m stxlib.bin.transcribe --model exp/asr/seed1/train a.wav b.mp3

prints `<path><tab><text>` for each file. From Python:

    from stxlib.bin.transcribe import Transcriber

    transcriber = Transcriber("exp/asr/seed1/train")
    transcript = transcriber.transcribe("a.wav")
    print(transcript.text)

A file of up to `max_seconds` is recognized whole, by the same steps as in `stxlib.bin.decode`, so its text is the same; a longer
one is cut at its pauses (see stxlib.decode.pauses).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from stxlib.config import parse_config
from stxlib.data.audio import AudioSource, UnreadableAudio, read_source, resample_wave
from stxlib.data.batch import pad
from stxlib.decode.classes import ClassesConfig
from stxlib.decode.ctc_greedy import CtcGreedyConfig
from stxlib.decode.hypothesis import Hypothesis
from stxlib.decode.joint_beam import JointBeamConfig
from stxlib.decode.pauses import cut_at_pauses
from stxlib.decode.recognizer import DecoderConfig, DefaultDecoderConfig, Recognizer, choose_device
from stxlib.errors import ConfigError, DataError, run
from stxlib.text.target_vocabulary import Task


@dataclass(frozen=True, kw_only=True)
class TranscribeConfig:
    model: Path
    """folder of the trained network"""
    files: tuple[Path, ...] = field(default=(), metadata={"positional": True})
    """audio files: wav, flac, ogg, mp3, ... of any rate; channels are averaged"""
    segments: bool = False
    """print a line for each piece, `<path><tab><start><tab><end><tab><text>`, times in seconds"""
    labels: bool = False
    """print all that the network understands (text, intent, semantics, entities, sentiment, parse) as a JSON object in place of the text, for
    each piece"""
    decoder: DefaultDecoderConfig | JointBeamConfig | CtcGreedyConfig | ClassesConfig = field(
        default_factory=DefaultDecoderConfig
    )
    """how to search"""
    max_seconds: float = 15.0
    """longer files are cut at pauses, into pieces of at most this length; at least 2"""
    batch_seconds: float = 120.0
    """seconds of audio that are recognized at once, padding included"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if there is one"""

    def __post_init__(self) -> None:
        _check(self.max_seconds, self.batch_seconds)


@dataclass(frozen=True)
class Segment:
    """A piece of a recording and what was heard in it."""

    start: float
    "seconds from the beginning of the recording"
    end: float
    text: str
    score: float
    "what the decoder maximizes, for the network's first task"
    labels: dict[str, str]
    "label stream -> value as in a data directory, for all tasks of the network (`text` among them where it writes words)"


@dataclass(frozen=True)
class Transcript:
    """What was heard in a recording."""

    text: str
    segments: tuple[Segment, ...]
    "in order; together they are the whole recording"

    @property
    def score(self) -> float:
        """Sum of the scores of the segments."""
        return sum(segment.score for segment in self.segments)


class Transcriber:
    """A trained network that reads audio files."""

    def __init__(
        self,
        model: Path | str,
        decoder: DecoderConfig | None = None,
        *,
        max_seconds: float = 15.0,
        batch_seconds: float = 120.0,
        device: Literal["auto", "cpu", "cuda"] = "auto",
    ) -> None:
        """model: folder of a finished training run. decoder None: the one kept with the network, or the default of its kind."""
        _check(max_seconds, batch_seconds)
        self.recognizer = Recognizer.load(model, decoder, choose_device(device))
        self.max_seconds = max_seconds
        self.batch_seconds = batch_seconds

    def transcribe(self, path: Path | str) -> Transcript:
        """Transcribe an audio file. Raises DataError (UnreadableAudio) with the cause where it cannot be read."""
        wave, rate = read_source(AudioSource(path=str(path)), allow_pipes=False)
        return self.transcribe_wave(wave, rate)

    def transcribe_wave(self, wave: np.ndarray, sample_rate: int) -> Transcript:
        """Transcribe samples (N,) in [-1, 1] at any rate."""
        rate = self.recognizer.sample_rate
        samples = torch.from_numpy(resample_wave(np.asarray(wave, dtype=np.float32), sample_rate, rate))
        pieces = cut_at_pauses(samples, rate, self.max_seconds)
        best: dict[tuple[int, int], dict[Task, Hypothesis]] = {}
        for group in self._groups(pieces):
            waves, wave_lens = pad([samples[start:end] for start, end in group])
            names = [f"{start / rate:.2f}-{end / rate:.2f} s" for start, end in group]
            found = self.recognizer.recognize(waves, wave_lens, names).hypotheses
            for index, piece in enumerate(group):
                best[piece] = {task: hypotheses[index][0] for task, hypotheses in found.items()}
        segments = tuple(self._segment(start / rate, end / rate, best[start, end]) for start, end in pieces)
        return Transcript(" ".join(segment.text for segment in segments if segment.text), segments)

    def _segment(self, start: float, end: float, best: dict[Task, Hypothesis]) -> Segment:
        streams: dict[str, str] = {}
        for task, hypothesis in best.items():
            streams = self.recognizer.understand(task, hypothesis).streams | streams
        return Segment(start, end, streams.get("text", ""), next(iter(best.values())).score, streams)

    def _groups(self, pieces: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
        """Cut pieces into batches of at most batch_seconds, those of a like length together."""
        groups: list[list[tuple[int, int]]] = []
        for start, end in sorted(pieces, key=lambda piece: (piece[1] - piece[0], piece)):
            padded = (len(groups[-1]) + 1 if groups else 1) * (end - start) / self.recognizer.sample_rate
            if groups and padded <= self.batch_seconds:
                groups[-1].append((start, end))
            else:
                groups.append([(start, end)])
        return groups


def _check(max_seconds: float, batch_seconds: float) -> None:
    if max_seconds < 2 or batch_seconds <= 0:
        raise ConfigError(
            f"max_seconds {max_seconds:g}, batch_seconds {batch_seconds:g}; expected at least 2 and more than 0"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Transcribe the files of the command line; those that cannot be read are named at the end."""
    description = "Transcribe audio files with a trained network."
    config = parse_config(
        TranscribeConfig, argv, prog="stxlib.bin.transcribe", description=description
    ).config
    if not config.files:
        raise ConfigError("stxlib.bin.transcribe: no file is given; name one or more audio files")
    transcriber = Transcriber(
        config.model,
        None if isinstance(config.decoder, DefaultDecoderConfig) else config.decoder,
        max_seconds=config.max_seconds,
        batch_seconds=config.batch_seconds,
        device=config.device,
    )
    if not (config.labels or {"asr", "ner"} & {*transcriber.recognizer.tasks}):
        tasks = " ".join(transcriber.recognizer.tasks)
        raise ConfigError(f"{config.model}: this network writes {tasks}, and no words; give --labels true")
    failures = []
    for path in config.files:
        try:
            transcript = transcriber.transcribe(path)
        except UnreadableAudio as error:
            failures.append(str(error))
            continue
        if config.segments or config.labels:
            for segment in transcript.segments:
                times = f"\t{segment.start:.2f}\t{segment.end:.2f}" if config.segments else ""
                said = json.dumps(segment.labels, ensure_ascii=False) if config.labels else segment.text
                print(f"{path}{times}\t{said}", flush=True)
        else:
            print(f"{path}\t{transcript.text}", flush=True)
    if failures:
        raise DataError(
            f"{len(failures)} of {len(config.files)} files cannot be read: {'; '.join(failures)}; "
            "give audio files (wav, flac, ogg, mp3)"
        )


if __name__ == "__main__":
    sys.exit(run(main))
