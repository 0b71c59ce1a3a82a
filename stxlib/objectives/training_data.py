"""The batches of a run, of speech, of text or of both, with the labels that its objective wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from stxlib.data.augment import AugmentConfig
from stxlib.data.data_dir import DataDir
from stxlib.data.latent_loader import LatentBatches
from stxlib.data.latent_store import LatentStore
from stxlib.data.mixed_loader import BatchesWithUnheard, MixedBatchConfig, MixedBatches
from stxlib.data.speech_loader import SpeechBatchConfig, SpeechBatches, SpeechDevBatches
from stxlib.data.tables import line_of
from stxlib.data.text_loader import Sentence, TextBatchConfig, TextBatches, TextDevBatches
from stxlib.errors import ConfigError, DataError
from stxlib.models.synthesizer import Synthesizer
from stxlib.models.wave_encoder import WaveEncoder
from stxlib.objectives.label_encoder import UNITS, ClassLabels, LabelError, TokenLabels
from stxlib.text.phones import UnitVocabulary
from stxlib.text.saved import Units

MORE_TEXT = "raise text_ratio or speech.batch_seconds"
MORE_UNHEARD = "raise unheard_ratio or speech.batch_seconds, lower max_units"

BatchConfig = SpeechBatchConfig | TextBatchConfig | MixedBatchConfig


@dataclass(frozen=True)
class Given:
    """What a run is given to learn from."""

    train: DataDir
    dev: DataDir
    text: tuple[DataDir, ...]
    """sets whose labelled text is learnt from besides"""
    latents: LatentStore | None
    """what this text was turned into before; None: it is turned into latents as it is read"""
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
        if isinstance(labels, TokenLabels) and labels.with_units:
            check_has_units(data)
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
    given: Given,
    labels: TokenLabels | ClassLabels,
    ctc: tuple[str, ...],
    encoder: WaveEncoder,
    dev_labels: TokenLabels | None = None,
) -> tuple[SpeechBatches, SpeechDevBatches]:
    """Batches of speech for training and development. ctc: names of the labels that CTC writes; dev_labels: where they are others."""
    if given.text:
        raise ConfigError(
            f"--text {given.text[0].path}: this objective learns from speech alone; leave --text out"
        )
    train = training_speech(given, labels, ctc, encoder)
    dev = SpeechDevBatches(
        given.dev,
        LabelReader(given.dev, dev_labels or labels),
        ctc=_among(ctc, dev_labels or labels),
        config=train.config,
        sample_rate=encoder.config.sample_rate,
        frames_per_second=encoder.latents_per_second,
        allow_pipes=given.allow_pipes,
        max_bad_utts=given.max_bad_utts,
    )
    return train, dev


def training_speech(
    given: Given, labels: TokenLabels | ClassLabels, ctc: tuple[str, ...], encoder: WaveEncoder
) -> SpeechBatches:
    """The speech of `given.train` alone. ctc: names of the labels that CTC writes. ConfigError where batches are not of speech."""
    config = given.batches
    if not isinstance(config, SpeechBatchConfig):
        raise ConfigError(f"batches.kind {config.kind}: the network takes waves; give batches.kind speech")
    return SpeechBatches(
        given.train,
        LabelReader(given.train, labels),
        ctc=_among(ctc, labels),
        config=config,
        augment=given.augment,
        sample_rate=encoder.config.sample_rate,
        seed=given.seed,
        num_shards=given.num_shards,
        frames_per_second=encoder.latents_per_second,
        allow_pipes=given.allow_pipes,
        max_bad_utts=given.max_bad_utts,
    )


def mixed_batches(
    given: Given, labels: TokenLabels, ctc: tuple[str, ...], encoder: WaveEncoder, synthesizer: Synthesizer
) -> tuple[MixedBatches | BatchesWithUnheard, SpeechDevBatches, list[str]]:
    """Batches of speech and text for training, of speech for development, and lines about what is not learnt from a set.

    A set need not have the labels of all tasks: what it has is learnt from it.
    """
    config = given.batches
    if not isinstance(config, MixedBatchConfig):
        raise ConfigError(
            f"batches.kind {config.kind}: the objective learns from speech and text; give batches.kind mixed"
        )
    if not given.text:
        raise ConfigError("--text: not given; give the data directories whose text is to be learnt from")
    check_distinct(given.text)
    speech_labels, told = labelled_with(labels, (given.train,), "learnt from")
    dev_labels, of_dev = labelled_with(labels, (given.dev,), "judged on")
    text_labels, of_text = labelled_with(labels, given.text, "learnt from")
    told += of_dev + of_text
    speech, dev = speech_batches(
        replace(given, batches=config.speech, text=()), speech_labels, ctc, encoder, dev_labels
    )
    seconds_per_latent = 1 / encoder.latents_per_second
    seconds_per_unit = synthesizer.frames_per_unit * seconds_per_latent

    def sentences(batch_units: int, remedy: str) -> TextBatches:
        return TextBatches(
            (sentence for data in given.text for sentence in spelt_sentences(data, text_labels, told)),
            " ".join(str(data.path) for data in given.text),
            config=TextBatchConfig(batch_tokens=batch_units, max_tokens=config.max_units),
            seed=given.seed,
            num_shards=given.num_shards,
            remedy=remedy,
        )

    text: TextBatches | LatentBatches
    if given.latents is None:
        text = sentences(config.text_units(seconds_per_unit), f"{MORE_TEXT}, lower max_units")
        mixed = MixedBatches(speech, text, seconds_per_unit)
    else:
        text = LatentBatches(
            given.latents,
            labels_of_text(given.text, text_labels),
            batch_frames=config.text_units(seconds_per_latent),
            num_buckets=config.speech.num_buckets,
            seed=given.seed,
            num_shards=given.num_shards,
            remedy=MORE_TEXT,
        )
        mixed = MixedBatches(speech, text, seconds_per_latent)
    if not config.unheard_ratio:
        return mixed, dev, told
    batch_units = config.unheard_units(seconds_per_unit)
    if isinstance(text, TextBatches):
        unheard = text.in_batches_of(batch_units, remedy=MORE_UNHEARD)
    else:
        unheard = sentences(batch_units, MORE_UNHEARD)
    return BatchesWithUnheard(mixed, unheard), dev, told


def _among(ctc: tuple[str, ...], labels: TokenLabels | ClassLabels) -> tuple[str, ...]:
    """Those labels of CTC that a set has."""
    return tuple(name for name in ctc if name == UNITS or name in labels.tasks)


def labels_of_text(sets: Sequence[DataDir], labels: TokenLabels) -> Callable[[str], dict[str, list[int]]]:
    """utterance id -> its labels, of that of the sets which has it. DataError for an id that none has."""
    readers = {utt: reader for data in sets for reader in (LabelReader(data, labels),) for utt in data.utts}

    def read(utt: str) -> dict[str, list[int]]:
        if utt not in readers:
            where = " ".join(str(data.path) for data in sets)
            raise DataError(
                f"--latents: has {utt!r}, which is not in {where}; give the text that the latents were made of"
            )
        return readers[utt](utt)

    return read


def check_distinct(sets: Sequence[DataDir]) -> None:
    """DataError for an utterance that is in two of the sets."""
    seen: dict[str, DataDir] = {}
    for data in sets:
        for utt in data.utts:
            if seen.setdefault(utt, data) is not data:
                raise DataError(
                    f"{data.path}: utterance {utt!r} is in {seen[utt].path} as well; give it another id"
                )


def labelled_with(labels: TokenLabels, sets: Sequence[DataDir], use: str) -> tuple[TokenLabels, list[str]]:
    """The labels of those tasks that all the sets are labelled with, and lines about the others, which are not put to `use`. ConfigError where
    there are none.
    """
    missing: dict[str, str] = {}
    for task in labels.tasks:
        for data in sets:
            try:
                labels.units.targets.streams(task, data.streams)
            except ValueError as error:
                missing.setdefault(task, f"{data.path}: {error}")
    found = tuple(task for task in labels.tasks if task not in missing)
    if not found:
        raise ConfigError(f"{'; '.join(missing.values())}; label these sets, or choose other tasks")
    lines = [f"{reason}: {task} is not {use} it" for task, reason in missing.items()]
    return TokenLabels(labels.units, found, with_units=labels.with_units), lines


def check_has_units(data: DataDir) -> None:
    """ConfigError for a set whose text is not spelt in units."""
    if not data.has(UNITS):
        raise ConfigError(f"{data.path}: no stream {UNITS}; run stage 2 (units) on this set")


def count_unknown(data: DataDir, units: UnitVocabulary) -> int:
    """Units of a set's text that the vocabulary does not have. DataError where it has none of them, ConfigError where there is no stream."""
    check_has_units(data)
    table, found = data.table(UNITS), UnitCount()
    for utt in data.utts:
        found.add(units.encode(table[utt].split()), units)
    return found.checked(data)


@dataclass
class UnitCount:
    """Units of a set's text, and those of them that the vocabulary does not have."""

    units: int = 0
    unknown: int = 0

    def add(self, ids: Sequence[int], units: UnitVocabulary) -> None:
        """Count those of a sentence."""
        self.units += len(ids)
        self.unknown += ids.count(units.unk)

    def checked(self, data: DataDir) -> int:
        """How many are unknown. DataError where all are."""
        if self.unknown == self.units:
            raise DataError(
                f"{data.path / UNITS}: no unit is one that the network knows; run stage 2 (units) with its units on this set"
            )
        return self.unknown


def spelt_sentences(data: DataDir, labels: TokenLabels, told: list[str]) -> Iterator[Sentence]:
    """The units of a set's text, with labels; after the last, a line is added to `told` where some are unknown. DataError where all are."""
    check_has_units(data)
    spelling, read = data.table(UNITS), LabelReader(data, labels)
    units, found = labels.units.units, UnitCount()
    for utt in data.utts:
        ids = units.encode(spelling[utt].split())
        found.add(ids, units)
        yield Sentence(utt, ids, read(utt))
    if num_unknown := found.checked(data):
        told.append(f"{data.path}: {num_unknown} units are unknown, and learnt from as <unk>")


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
    check_distinct(sets)
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
