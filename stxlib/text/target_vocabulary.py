"""Which classes and types a training set has, and the symbols that stand for them in targets."""

from __future__ import annotations

import urllib.parse
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import yaml

from stxlib.errors import ConfigError, DataError
from stxlib.text.entity_tags import COMBINED_SYMBOLS, END, RAW_SYMBOLS, EntityTags, combine
from stxlib.text.labels import read_entities, read_frame, split_intent
from stxlib.text.parse_tree import Tree, read_tree

Task = Literal["asr", "intent", "slu", "ner", "sentiment", "parse"]
TASKS: tuple[Task, ...] = get_args(Task)
Kind = Literal["intent", "scenario", "action", "slot", "sentiment", "entity", "bracket"]
"""a whole intent is a class of pooled classifiers; it has no symbol, its scenario and action have"""
KINDS: tuple[Kind, ...] = get_args(Kind)
JOIN, APART = "<join>", "<apart>"
"""whether a blank stands between an entity and the word beside it, where that is not what punctuation lets one expect"""

STREAMS: Mapping[Task, tuple[tuple[str, ...], ...]] = {
    "asr": (("text",),),
    "intent": (("intent",), ("semantics",)),
    "slu": (("semantics",),),
    "ner": (("text", "entities"),),
    "sentiment": (("sentiment",),),
    "parse": (("parse",),),
}
"""task -> the label streams that its targets are made of; where there are several choices, the first that is there is taken"""
_TAG_SETS: Mapping[EntityTags, Mapping[str, str]] = {
    "slue_raw": RAW_SYMBOLS,
    "slue_combined": COMBINED_SYMBOLS,
    "own": {},
}
_RESERVED = {"blank", "unk", "sos", "eos", "join", "apart", *TASKS}


class UnseenError(ValueError):
    """A class or type that the training set does not have, so that no symbol stands for it."""


@dataclass(frozen=True, kw_only=True)
class TargetsConfig:
    """What is to be written of an utterance: its words, what they mean, or both by turns."""

    tasks: tuple[Task, ...] = ("asr",)
    """what a network learns to write; with asr alone there are no symbols, else each task has a token of its own"""
    entity_tags: EntityTags = "own"
    """what opens an entity (ner): SLUE's symbols for its 18 raw or 7 combined types, or <TYPE> for the types of the training set"""

    def __post_init__(self) -> None:
        if not self.tasks or len(set(self.tasks)) < len(self.tasks):
            seen = " ".join(self.tasks) or "none"
            raise ConfigError(f"tasks: {seen}; expected at least one of {' '.join(TASKS)}, each but once")


@dataclass(frozen=True, kw_only=True)
class TargetVocabulary:
    """The tasks, and the classes and types of each kind, sorted."""

    config: TargetsConfig = field(default_factory=TargetsConfig)
    names: Mapping[Kind, tuple[str, ...]] = field(default_factory=dict)
    "every kind that the tasks have"

    @classmethod
    def of(cls, config: TargetsConfig, seen: Iterable[tuple[Kind, str]]) -> TargetVocabulary:
        """Make the vocabulary of what a training set was seen to have. SLUE's tag sets are whole, whatever was seen.

        ConfigError for an entity type that the tag set does not have.
        """
        distinct = set(seen)
        names: dict[Kind, tuple[str, ...]] = {
            kind: tuple(sorted(name for its_kind, name in distinct if its_kind == kind))
            for kind in KINDS
            if any(its_kind == kind for its_kind, _ in distinct)
        }
        if "ner" in config.tasks and config.entity_tags != "own":
            table = _TAG_SETS[config.entity_tags]
            if strange := [name for name in names.get("entity", ()) if name not in table]:
                raise ConfigError(
                    f"entity_tags: {config.entity_tags} has no symbol for the types {' '.join(strange)}; choose own"
                )
            names["entity"] = tuple(sorted(table))
        return cls(config=config, names=names)

    def symbols(self) -> dict[str, tuple[Kind, str] | None]:
        """Symbol -> what it stands for (None: a task token, `]`, <join>, <apart>), in the order of their ids.

        Task tokens, scenarios, actions, slots, sentiments, entity tags, brackets, marks; sorted inside a kind. None for asr alone.
        """
        if self.config.tasks == ("asr",):
            return {}
        symbols: dict[str, tuple[Kind, str] | None] = {
            task_token(task): None for task in TASKS if task in self.config.tasks
        }
        for kind in KINDS:
            if kind != "intent":
                symbols |= {self.symbol(kind, name): (kind, name) for name in self.names.get(kind, ())}
        if "ner" in self.config.tasks:
            symbols |= {JOIN: None, APART: None}
        if {"ner", "parse"} & {*self.config.tasks}:
            symbols[END] = None
        return symbols

    def symbol(self, kind: Kind, name: str) -> str:
        """The symbol of a class or type. UnseenError where the training set does not have it."""
        if name not in self.names.get(kind, ()):
            known = " ".join(self.names.get(kind, ())) or "none"
            raise UnseenError(f"{kind} {name!r}: the training set has none such; it has {known}")
        if kind == "bracket":
            return f"[{name}"
        # A symbol is one word: blanks of a name are written as in a web address.
        written = "".join(urllib.parse.quote(c) if c.isspace() or c == "%" else c for c in name)
        if kind != "entity":
            return f"<{kind}:{written}>"
        if self.config.entity_tags != "own":
            return _TAG_SETS[self.config.entity_tags][name]
        return f"<entity:{written}>" if name in _RESERVED or ":" in name else f"<{written}>"

    def save(self, path: Path) -> None:
        """Write a YAML: the tasks, the tag set, and a list of names for each kind."""
        data = {
            "tasks": list(self.config.tasks),
            "entity_tags": self.config.entity_tags,
            "names": {kind: list(names) for kind, names in self.names.items()},
        }
        path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100), "utf-8")

    @classmethod
    def load(cls, path: Path) -> TargetVocabulary:
        """Read what `save` wrote. DataError where it is something else."""
        try:
            data = yaml.safe_load(path.read_text("utf-8"))
            names = {kind: tuple(data["names"][kind]) for kind in data["names"]}
            vocabulary = cls(
                config=TargetsConfig(tasks=tuple(data["tasks"]), entity_tags=data["entity_tags"]), names=names
            )
            words = [word for kind in names for word in names[kind]]
            if (
                not {*names} <= {*KINDS}
                or not {*vocabulary.config.tasks} <= {*TASKS}
                or vocabulary.config.entity_tags not in _TAG_SETS
                or not all(isinstance(word, str) for word in words)
            ):
                raise ValueError("unknown tasks, tags or kinds of names")
            vocabulary.symbols()
        except (OSError, yaml.YAMLError, TypeError, KeyError, ValueError, ConfigError) as error:
            raise DataError(f"{path}: not a vocabulary of targets: {error}; run stage 2 again") from None
        return vocabulary


def task_token(task: Task) -> str:
    """What the decoder sees before the first word, where there is more than recognition."""
    return f"<{task}>"


def streams_of(task: Task, present: Collection[str] | None = None) -> tuple[str, ...] | None:
    """The streams that a target of the task is made of: of several choices the first that is all `present`, or None.

    present: the streams of a data directory; None: the first choice.
    """
    choices = STREAMS[task]
    if present is None:
        return choices[0]
    return next((choice for choice in choices if {*choice} <= {*present}), None)


def intent_of(labels: Mapping[str, str]) -> tuple[str, str, str]:
    """Whole intent, scenario and action: of the stream `intent`, else of `semantics`. ValueError."""
    if "intent" in labels:
        return (labels["intent"], *split_intent(labels["intent"]))
    frame = read_frame(labels["semantics"])
    return frame.intent, frame.scenario, frame.action


def entity_type(name: str, tags: EntityTags) -> str | None:
    """The type under which an entity is marked; None where SLUE's combined set leaves it out."""
    return combine(name) if tags == "slue_combined" else name


def names_in(task: Task, labels: Mapping[str, str], tags: EntityTags = "own") -> Iterable[tuple[Kind, str]]:
    """Every (kind, name) that the target of one utterance has. ValueError says what is wrong with its labels."""
    if task == "intent":
        intent, scenario, action = intent_of(labels)
        yield "intent", intent
        yield "scenario", scenario
        if action:
            yield "action", action
    elif task == "slu":
        frame = read_frame(labels["semantics"])
        yield "scenario", frame.scenario
        if frame.action:
            yield "action", frame.action
        for slot in frame.slots:
            yield "slot", slot.type
    elif task == "ner":
        for entity in read_entities(labels["entities"]):
            name = entity_type(entity.type, tags)
            if name is not None:
                yield "entity", name
    elif task == "sentiment":
        yield "sentiment", labels["sentiment"]
    elif task == "parse":
        nodes: list[Tree | str] = [read_tree(labels["parse"])]
        for node in nodes:
            if isinstance(node, Tree):
                yield "bracket", node.label
                nodes.extend(node.children)
