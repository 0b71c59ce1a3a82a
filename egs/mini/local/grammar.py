"""The grammar of the corpus: rules and patterns read from YAML, and sentences with labels drawn from them.

A rule or pattern is text in which `{name}` stands for a slot or a rule and `(a|b|)` for a choice. What a slot fills is labelled
with the slot's type and, where it has one, its entity type; `{verdict}` and `{remark}` follow the sentence's sentiment.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stxlib.errors import DataError

SENTIMENTS = ("negative", "neutral", "positive")
OPINIONS = ("verdict", "remark")
ENTITY_TYPES = ("LAW", "NORP", "ORG", "PERSON", "PLACE", "QUANT", "WHEN")
_TOKEN = re.compile(r"\{([a-z_.]+)\}|([(|)])|([^{}(|)]+)")
_SOUNDS_LIKE_YOU = ("uni", "eu", "use", "ukul", "one")  # "a unicorn", "a euro", "a one way ticket"


@dataclass(frozen=True)
class Slot:
    """A labelled piece of a sentence: characters [start, start + length) of its text."""

    type: str
    filler: str
    entity: str | None
    start: int

    @property
    def length(self) -> int:
        return len(self.filler)


@dataclass(frozen=True)
class Sentence:
    text: str
    intent: str
    pattern: str
    sentiment: str
    slots: tuple[Slot, ...]

    @property
    def words(self) -> list[str]:
        return self.text.split()


@dataclass(frozen=True)
class _Rule:
    """Alternatives, each a parsed template, and the cumulative weights by which they are drawn."""

    alternatives: list[Any]
    natural: list[float]
    flat: list[float]


# A parsed template is a list of pieces: words (str), a reference (_Reference), or a choice (list of templates).
@dataclass(frozen=True)
class _Reference:
    name: str


class Grammar:
    """Everything that the YAML files of `folder` say, checked: each name that is used exists."""

    def __init__(self, folder: Path) -> None:
        self.rules: dict[str, _Rule] = {}
        self.slots: dict[str, dict[str, str]] = {}
        self.patterns: dict[str, dict[str, list[Any]]] = {}  # intent -> pattern id -> template
        for path in sorted(folder.glob("*.yaml")):
            entries = yaml.safe_load(path.read_text(encoding="utf-8"))
            if path.name == "slots.yaml":
                self.slots = entries
                continue
            raw: dict[str, Any] = entries
            for name, entry in raw.items():
                if name in self.rules:
                    raise DataError(f"{path}: rule {name} is defined twice; rename one")
                self.rules[name] = _read_rule(f"{path}: {name}", entry, raw)
        for path in sorted((folder / "intents").glob("*.yaml")):
            for intent, templates in yaml.safe_load(path.read_text(encoding="utf-8")).items():
                self.patterns[intent] = {
                    f"{intent}.{number:02d}": _parse(f"{path}: {intent}", template)
                    for number, template in enumerate(templates, start=1)
                }
        self.opinions = {
            pattern
            for templates in self.patterns.values()
            for pattern, template in templates.items()
            if _names(template).intersection(OPINIONS)
        }
        self._check(folder)

    def _check(self, folder: Path) -> None:
        known = set(self.rules) | set(self.slots) | set(OPINIONS)
        used = {
            name
            for templates in self.patterns.values()
            for template in templates.values()
            for name in _names(template)
        }
        used |= {
            name
            for rule in self.rules.values()
            for template in rule.alternatives
            for name in _names(template)
        }
        if unknown := sorted(used - known):
            raise DataError(
                f"{folder}: no rule or slot named {', '.join(unknown)}; add it or correct the name"
            )
        for name, slot in self.slots.items():
            if slot["from"] not in self.rules or slot.get("entity", "LAW") not in ENTITY_TYPES:
                raise DataError(
                    f"{folder}/slots.yaml: {name}: {slot} names no rule, or no entity type of SLUE's seven"
                )

    def draw(
        self, rng: random.Random, intent: str, pattern: str, sentiment: str, *, flat: bool = False
    ) -> Sentence:
        """Draw one sentence of a pattern; `flat` draws all slot values alike, else Zipf-like.

        The sentiment of a pattern without an opinion is neutral, whatever is asked for.
        """
        sentiment = sentiment if pattern in self.opinions else "neutral"
        while True:
            draw = _Draw(self, rng, sentiment, flat)
            draw.expand(self.patterns[intent][pattern], None)
            sentence = draw.sentence(intent, pattern)
            fillers = [slot.filler for slot in sentence.slots]
            if len(set(fillers)) == len(fillers):  # not from ashford to ashford
                return sentence


class _Draw:
    """The words of one sentence in the making, each with the slot that it fills."""

    def __init__(self, grammar: Grammar, rng: random.Random, sentiment: str, flat: bool) -> None:
        self.grammar, self.rng, self.sentiment, self.flat = grammar, rng, sentiment, flat
        self.words: list[tuple[str, int | None]] = []
        self.slot_names: list[str] = []

    def expand(self, template: list[Any], slot: int | None) -> None:
        for piece in template:
            if isinstance(piece, str):
                self.words.extend((word, slot) for word in piece.split())
            elif isinstance(piece, list):
                self.expand(self.rng.choice(piece), slot)
            else:
                self._expand_name(piece.name, slot)

    def _expand_name(self, name: str, slot: int | None) -> None:
        if name in OPINIONS:
            name = f"{name}_{self.sentiment}"
        # Inside a slot a name is the rule's: "the {town} treaty" is one LAW and no PLACE.
        if slot is None and name in self.grammar.slots:
            self.slot_names.append(name)
            slot, name = len(self.slot_names) - 1, self.grammar.slots[name]["from"]
        elif name not in self.grammar.rules:
            name = self.grammar.slots[name]["from"]
        rule = self.grammar.rules[name]
        weights = rule.flat if self.flat and slot is not None else rule.natural
        self.expand(self.rng.choices(rule.alternatives, cum_weights=weights)[0], slot)

    def sentence(self, intent: str, pattern: str) -> Sentence:
        words = [
            "an"
            if word == "a" and next_word[:1] in "aeiou" and not next_word.startswith(_SOUNDS_LIKE_YOU)
            else word
            for (word, _), next_word in zip(
                self.words, [word for word, _ in self.words[1:]] + ["."], strict=True
            )
        ]
        starts = [0, *itertools.accumulate(len(word) + 1 for word in words)]
        slots = []
        for index, run in itertools.groupby(range(len(words)), key=lambda position: self.words[position][1]):
            if index is not None:
                positions = list(run)
                filler = " ".join(words[positions[0] : positions[-1] + 1])
                name = self.slot_names[index]
                entity = self.grammar.slots[name].get("entity")
                slots.append(Slot(name.split(".")[0], filler, entity, starts[positions[0]]))
        return Sentence(" ".join(words), intent, pattern, self.sentiment, tuple(slots))


def _read_rule(where: str, entry: Any, raw: Mapping[str, Any]) -> _Rule:
    if isinstance(entry, list):
        entry = {"of": entry}
    exponent = float(entry.get("zipf", 0.0))
    if "compose" in entry:
        stems, ends = (raw[name] for name in entry["compose"])
        joined = [stem + end for stem in stems for end in ends if stem[-1] != end[0] and stem != end]
        random.Random(where.rpartition(":")[2]).shuffle(joined)  # the same frequent names for every seed
        templates: list[Any] = joined[: entry["count"]]
    else:
        templates = entry["of"]
    if not all(isinstance(template, str) for template in templates):
        raise DataError(f"{where}: a YAML value that is not text; quote words such as no, yes, on, off")
    alternatives = [_parse(where, template) for template in templates]
    natural = list(itertools.accumulate((rank + 1) ** -exponent for rank in range(len(alternatives))))
    return _Rule(alternatives, natural, [float(rank + 1) for rank in range(len(alternatives))])


def _parse(where: str, text: str) -> list[Any]:
    """Parse "turn (on|off) the {room} light" into ["turn ", [["on"], ["off"]], " the ", _Reference("room"), " light"]."""
    stack: list[list[list[Any]]] = [[[]]]  # for each open choice its alternatives, the last one being read
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise DataError(f"{where}: cannot read {text[position:]!r}; use {{name}}, (a|b) and words")
        position = match.end()
        name, mark, words = match.groups()
        if name:
            stack[-1][-1].append(_Reference(name))
        elif words:
            stack[-1][-1].append(words)
        elif mark == "(":
            stack.append([[]])
        elif mark == "|" and len(stack) > 1:
            stack[-1].append([])
        elif mark == ")" and len(stack) > 1:
            choice = stack.pop()
            stack[-1][-1].append(choice)
        else:
            raise DataError(f"{where}: {mark!r} outside of a choice in {text!r}; write (a|b)")
    if len(stack) != 1:
        raise DataError(f"{where}: a choice is not closed in {text!r}; add ')'")
    return stack[0][0]


def _names(template: list[Any]) -> set[str]:
    names: set[str] = set()
    for piece in template:
        if isinstance(piece, _Reference):
            names.add(piece.name)
        elif isinstance(piece, list):
            names.update(name for alternative in piece for name in _names(alternative))
    return names
