"""The batches of a run, of speech or of text, with the labels that its objective wants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stxlib.data.augment import AugmentConfig
from stxlib.data.data_dir import DataDir
from stxlib.data.speech_loader import SpeechBatchConfig, SpeechBatches, SpeechDevBatches
from stxlib.data.tables import line_of
from stxlib.data.text_loader import Sentence, TextBatchConfig, TextBatches, TextDevBatches
from stxlib.errors import ConfigError, DataError
from stxlib.models.speech_encoder import SpeechEncoder
from stxlib.objectives.label_encoder import ClassLabels, LabelError, TokenLabels
from stxlib.text.saved import Units

BatchConfig = SpeechBatchConfig | TextBatchConfig


@dataclass(frozen=True)
class Given:
    """What a run is given to learn from."""

    train: DataDir
    dev: DataDir
    text: tuple[DataDir, ...]
    """sets whose labelled text is learnt from besides"""
    batches: BatchConfig
    augment: AugmentConfig
    seed: int
    num_shards: int
    allow_pipes: bool
    max_bad_utts: int


class LabelReader:
    """utterance id -> its labels, out of the tables of a data directory."""

    def __init__(self, data: DataDir, labels: TokenLabels | ClassLabels) -> None:
        """ConfigError where a stream that is needed is missing."""
        self.data = data
        self.labels = labels
        try:
            self._tables = {stream: data.table(stream) for stream in labels.streams(data.streams)}
        except ValueError as error:
            raise ConfigError(
                f"{data.path}: {error}; label this set, or leave it out, or choose other tasks"
            ) from None

    def __call__(self, utt: str) -> dict[str, list[int]]:
        try:
            return self.labels({stream: table[utt] for stream, table in self._tables.items()})
        except LabelError as error:
            path = self.data.path / error.stream
            raise DataError(
                f"{path}:{line_of(path, utt)}: utterance {utt!r}: {error}; correct the label"
            ) from None


def speech_batches(
    given: Given, labels: TokenLabels | ClassLabels, ctc: tuple[str, ...], encoder: SpeechEncoder
) -> tuple[SpeechBatches, SpeechDevBatches]:
    """Batches of speech for training and development. ctc: names of the labels that CTC writes."""
    config = given.batches
    if not isinstance(config, SpeechBatchConfig):
        raise ConfigError(f"batches.kind {config.kind}: the network takes waves; give batches.kind speech")
    if given.text:
        raise ConfigError(
            f"--text {given.text[0].path}: this objective learns from speech alone; leave --text out"
        )
    train = SpeechBatches(
        given.train,
        LabelReader(given.train, labels),
        ctc=ctc,
        config=config,
        augment=given.augment,
        sample_rate=encoder.config.sample_rate,
        seed=given.seed,
        num_shards=given.num_shards,
        frames_per_second=encoder.latents_per_second,
        allow_pipes=given.allow_pipes,
        max_bad_utts=given.max_bad_utts,
    )
    dev = SpeechDevBatches(
        given.dev,
        LabelReader(given.dev, labels),
        ctc=ctc,
        config=config,
        sample_rate=encoder.config.sample_rate,
        frames_per_second=encoder.latents_per_second,
        allow_pipes=given.allow_pipes,
        max_bad_utts=given.max_bad_utts,
    )
    return train, dev


def text_batches(
    given: Given, labels: TokenLabels | ClassLabels, units: Units
) -> tuple[TextBatches, TextDevBatches]:
    """Batches of text for training and development."""
    config = given.batches
    if not isinstance(config, TextBatchConfig):
        raise ConfigError(f"batches.kind {config.kind}: the network takes text; give batches.kind text")
    if given.augment != AugmentConfig():
        raise ConfigError("augment: there are no waves to change in text; leave it out")
    sets = (given.train, *given.text)
    seen: dict[str, DataDir] = {}
    for data in sets:
        for utt in data.utts:
            if seen.setdefault(utt, data) is not data:
                raise DataError(
                    f"{data.path}: utterance {utt!r} is in {seen[utt].path} as well; give it another id"
                )
    train = TextBatches(
        (sentence for data in sets for sentence in sentences(data, labels, units)),
        " ".join(str(data.path) for data in sets),
        config=config,
        seed=given.seed,
        num_shards=given.num_shards,
    )
    dev = TextDevBatches(sentences(given.dev, labels, units), str(given.dev.path), config=config)
    return train, dev


def sentences(data: DataDir, labels: TokenLabels | ClassLabels, units: Units) -> Iterator[Sentence]:
    """The text of a set as tokens, with labels."""
    text, read = data.table("text"), LabelReader(data, labels)
    for utt in data.utts:
        yield Sentence(utt, units.tokens.encode(units.targets.escape_words(text[utt])), read(utt))
