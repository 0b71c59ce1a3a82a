"""What a network writes for a task, and what that means: labels of an utterance <-> a string of words and symbols.

    asr        the words
    intent     <scenario:calendar> <action:set>
    slu        <scenario:calendar> <action:set> <slot:date> tomorrow <slot:person> ada byron
    ner        } barack obama ] spoke in % berlin ]
    sentiment  <sentiment:Positive>
    parse      [IN:GET_WEATHER weather [SL:DATE tomorrow ] ]

Symbols are tokens of their own; a word of the utterance that looks like one, normalized or not, has a backslash before it. So `decode(encode(labels))` gives
the labels again, blanks apart. The tokenizer normalizes words, those of fillers included, and leaves symbols as they are: what comes back
from token ids has normalized words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stxlib.text.entity_tags import END
from stxlib.text.escape import Escapes
from stxlib.text.labels import (
    Entity,
    Frame,
    join_intent,
    read_entities,
    read_frame,
    write_entities,
    write_frame,
)
from stxlib.text.normalize import NormalizationConfig
from stxlib.text.parse_tree import Tree, escape_leaf, read_tree, repair_tree, write_tree
from stxlib.text.tagged_text import Span, place_entities, read_tagged, write_tagged
from stxlib.text.target_vocabulary import (
    TargetVocabulary,
    Task,
    entity_type,
    intent_of,
    streams_of,
    task_token,
)


@dataclass(frozen=True)
class Decoded:
    """What a target says."""

    streams: dict[str, str]
    "label stream -> value, as it stands in a data directory; empty where the target says nothing"
    repairs: dict[str, int]
    "rule -> how often the target was so malformed that it was needed; empty for a well-formed target"


class Targets:
    """Labels <-> targets, for the tasks and classes of one training set. Can be pickled."""

    def __init__(
        self, vocabulary: TargetVocabulary, normalization: NormalizationConfig | None = None
    ) -> None:
        """normalization: what the tokenizer does to words, by which one may come to look like a symbol (default: its default)."""
        self.vocabulary = vocabulary
        self.tasks: tuple[Task, ...] = vocabulary.config.tasks
        self._meanings = vocabulary.symbols()
        self.symbols: tuple[str, ...] = tuple(self._meanings)
        """all symbols in the order of their token ids, the last ones of the tokenizer"""
        self._words = Escapes(self.symbols, normalization)
        self._tags = self._symbols_of("entity")
        self._brackets = {*self._symbols_of("bracket"), END}

    def task_token(self, task: Task) -> str:
        """What stands before the first word of a target of this task; <sos> where there is nothing but recognition."""
        self._check(task)
        return task_token(task) if self.symbols else "<sos>"

    def streams(self, task: Task, present: Collection[str] | None = None) -> tuple[str, ...]:
        """The label streams that a target of the task is made of, of those `present` in a data directory.

        Without `present` the first choice (`intent`, which may be `semantics` as well). ValueError where the directory lacks them.
        """
        found = streams_of(task, present)
        if found is None:
            raise ValueError(f"{task}: no stream {' and '.join(streams_of(task) or ())} to make targets of")
        return found

    def classes(self, task: Task) -> tuple[str, ...]:
        """The classes of the training set, as they stand in the stream, sorted. ValueError unless the task is intent or sentiment."""
        self._check(task)
        if task not in ("intent", "sentiment"):
            raise ValueError(f"{task}: no class for an utterance as a whole; intent and sentiment have one")
        return self.vocabulary.names.get("intent" if task == "intent" else "sentiment", ())

    def encode(self, task: Task, labels: Mapping[str, str]) -> str:
        """The target of one utterance, without the task token. labels: stream -> value.

        UnseenError (a ValueError) for a class that the training set lacks, ValueError for a missing stream or a malformed value.
        Entities that cannot be marked in the text are left out (`unplaced` counts them).
        """
        self._check(task)
        self.streams(task, labels.keys())
        symbol = self.vocabulary.symbol
        if task == "asr":
            return self.escape_words(labels["text"])
        if task == "intent":
            _, scenario, action = intent_of(labels)
            return " ".join(self._intent_words(scenario, action))
        if task == "slu":
            frame = read_frame(labels["semantics"])
            words = self._intent_words(frame.scenario, frame.action)
            for slot in frame.slots:
                words += [symbol("slot", slot.type), *self.escape_words(slot.filler).split()]
            return " ".join(words)
        if task == "ner":
            spans, _ = self._spans(labels)
            tags = {name: symbol("entity", name) for name in {span.type for span in spans}}
            return write_tagged(labels["text"], spans, tags, self._words)
        if task == "sentiment":
            return symbol("sentiment", labels["sentiment"])
        return " ".join(self._tree_words(read_tree(labels["parse"])))

    def escape_words(self, text: str) -> str:
        """A text in which no word is a symbol, nor becomes one: those that look like one have a backslash before them."""
        return self._words.escape(text)

    def unplaced(self, labels: Mapping[str, str]) -> dict[str, int]:
        """How many entities of an utterance cannot be marked as given, by the rules of `place_entities`."""
        return dict(self._spans(labels)[1])

    def decode(self, task: Task, target: str) -> Decoded:
        """What a target says, without task token; malformed ones are repaired by rules that are counted. Never fails on a target.

        stray      a symbol of another task is dropped
        words      a word where only classes may stand is dropped
        repeated   a second scenario, action or sentiment is dropped
        misplaced  an action before its scenario, or either after a slot, counts as if it stood where it should
        no_class   no scenario or no sentiment: the value is empty, or the action alone
        ner        the rules of `read_tagged`
        parse      the rules of `repair_tree`
        """
        self._check(task)
        if task == "asr":
            return self._decode_text(target)
        if task == "ner":
            text, entities, counts = read_tagged(target, self._tags, self._words)
            return Decoded({"text": text, "entities": write_entities(entities)}, dict(counts))
        if task == "parse":
            return self._decode_parse(target)
        return self._decode_classes(task, target)

    def _check(self, task: Task) -> None:
        if task not in self.tasks and task != "asr":  # words need no vocabulary of classes
            raise ValueError(f"{task}: not a task of these units, which have {' '.join(self.tasks)}")

    def _symbols_of(self, kind: str) -> dict[str, str]:
        """Symbol -> name."""
        meanings = self._meanings.items()
        return {
            symbol: meaning[1] for symbol, meaning in meanings if meaning is not None and meaning[0] == kind
        }

    def _intent_words(self, scenario: str, action: str) -> list[str]:
        words = [self.vocabulary.symbol("scenario", scenario)]
        return [*words, self.vocabulary.symbol("action", action)] if action else words

    def _spans(self, labels: Mapping[str, str]) -> tuple[list[Span], Counter[str]]:
        entities = []
        for entity in read_entities(labels["entities"]):
            name = entity_type(entity.type, self.vocabulary.config.entity_tags)
            if name is not None:
                self.vocabulary.symbol("entity", name)
                entities.append(Entity(name, entity.filler, entity.start))
        return place_entities(labels["text"], entities)

    def _tree_words(self, tree: Tree) -> list[str]:
        words = [self.vocabulary.symbol("bracket", tree.label)]
        for child in tree.children:
            words += self._tree_words(child) if isinstance(child, Tree) else [self._words.escape(child)]
        return [*words, END]

    def _decode_text(self, target: str) -> Decoded:
        words = target.split()
        stray = sum(map(self._words.is_symbol, words))
        if stray:
            target = " ".join(word for word in words if not self._words.is_symbol(word))
        text = re.sub(r"\S+", lambda match: self._words.unescape(match[0]), target)
        return Decoded({"text": text}, {"stray": stray} if stray else {})

    def _decode_parse(self, target: str) -> Decoded:
        words = []
        stray = 0
        for word in target.split():
            if word in self._brackets:
                words.append(word)
            elif self._words.is_symbol(word):
                stray += 1
            else:
                words.append(escape_leaf(self._words.unescape(word)))
        tree, counts = repair_tree(" ".join(words))
        parse = "" if tree is None else write_tree(tree)
        return Decoded({"parse": parse}, counts | ({"stray": stray} if stray else {}))

    def _decode_classes(self, task: Task, target: str) -> Decoded:
        counts: Counter[str] = Counter()
        found: dict[str, str] = {}
        slots: list[tuple[str, list[str]]] = []
        kinds = {"intent": ("scenario", "action"), "slu": ("scenario", "action", "slot")}.get(task, (task,))
        for word in target.split():
            kind, name = self._meanings.get(word) or ("", "")
            if self._words.is_symbol(word) and kind not in kinds:
                counts["stray"] += 1
            elif kind == "slot":
                slots.append((name, []))
            elif kind:
                counts["repeated"] += kind in found
                counts["misplaced"] += kind not in found and (bool(slots) or "action" in found)
                found.setdefault(kind, name)
            elif slots:
                slots[-1][1].append(self._words.unescape(word))
            else:
                counts["words"] += 1
        counts["no_class"] += kinds[0] not in found
        if task == "sentiment":
            return Decoded({"sentiment": found.get("sentiment", "")}, dict(+counts))
        scenario, action = found.get("scenario", ""), found.get("action", "")
        streams = {"intent": join_intent(scenario, action)}
        if task == "slu":
            fillers = tuple(Entity(name, " ".join(words)) for name, words in slots)
            streams["semantics"] = write_frame(Frame(scenario, action, fillers))
        return Decoded(streams, dict(+counts))
