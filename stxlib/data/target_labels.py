"""The label streams of data directories that targets are made of: what they have, and what they lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from stxlib.data.tables import read_table
from stxlib.errors import ConfigError, DataError
from stxlib.text.labels import read_entities
from stxlib.text.normalize import NormalizationConfig
from stxlib.text.target_vocabulary import (
    STREAMS,
    Kind,
    TargetsConfig,
    TargetVocabulary,
    Task,
    names_in,
    streams_of,
)
from stxlib.text.targets import Targets

_SHOWN = 10  # so many of a kind are named in a message


def learn_targets(
    config: TargetsConfig, folders: Sequence[Path], normalization: NormalizationConfig | None = None
) -> Targets:
    """The targets of a training set: the classes and types that the label streams of its data directories have.

    normalization: that of the tokenizer.

    ConfigError where no folder has the streams of a task, DataError (file, id) for a malformed label.
    """
    seen: set[tuple[Kind, str]] = set()
    for task in config.tasks:
        having = [folder for folder in folders if streams_of(task, _present(folder)) is not None]
        if not having and task != "asr":
            streams = " or ".join("/".join(choice) for choice in STREAMS[task])
            where = " ".join(map(str, folders)) or "no folder was given"
            raise ConfigError(
                f"targets.tasks: {task}: no stream {streams} in --labels ({where}); "
                "give data directories that have it, or leave the task out"
            )
        for folder in having:
            seen.update(name for _, _, names in _read_names(folder, task, config) for name in names)
    return Targets(TargetVocabulary.of(config, seen), normalization)


def notes_on(targets: Targets, folder: Path) -> list[str]:
    """What should be told of a data directory: names that the training set lacks, entities that cannot be marked as given."""
    config, notes = targets.vocabulary.config, []
    for task in targets.tasks:
        unseen: Counter[tuple[Kind, str]] = Counter()
        utts = []
        misplaced: Counter[str] = Counter()
        num_entities = 0
        for utt, labels, names in _read_names(folder, task, config):
            known = targets.vocabulary.names
            # Not a set: its order would be another in the next run.
            lacking = [(kind, name) for kind, name in dict.fromkeys(names) if name not in known.get(kind, ())]
            unseen.update(lacking)
            if lacking:
                utts.append(utt)
            elif task == "ner":
                num_entities += len(read_entities(labels["entities"]))
                misplaced.update(targets.unplaced(labels))
        if utts:
            some = _some([f"{kind} {name or '(none)'}" for (kind, name), _ in unseen.most_common()], ", ")
            notes.append(
                f"{folder}: {task}: {len(utts)} utterances have what the training set lacks: {some} ({_some(utts)})"
            )
        if misplaced:
            some = ", ".join(f"{count} {rule}" for rule, count in misplaced.most_common())
            notes.append(f"{folder}: {task}: of {num_entities} entities, {some}")
    return notes


def _read_names(
    folder: Path, task: Task, config: TargetsConfig
) -> Iterator[tuple[str, dict[str, str], list[tuple[Kind, str]]]]:
    """(id, labels, names) of every utterance with all streams of the task; nothing where the folder lacks them."""
    streams = streams_of(task, _present(folder))
    if streams is None or task == "asr":
        return
    tables = {stream: read_table(folder / stream) for stream in streams}
    for utt in tables[streams[-1]]:
        if all(utt in table for table in tables.values()):
            labels = {stream: table[utt] for stream, table in tables.items()}
            try:
                yield utt, labels, list(names_in(task, labels, config.entity_tags))
            except ValueError as error:
                raise DataError(f"{folder / streams[-1]}: {utt}: {error}") from None


def _present(folder: Path) -> set[str]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such data directory; run stage 1, or correct --labels and --sets")
    return {path.name for path in folder.iterdir()}


def _some(names: Sequence[str], between: str = " ") -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return between.join(names[:_SHOWN]) + more
