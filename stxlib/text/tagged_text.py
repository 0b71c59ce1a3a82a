"""Named entities inside a text: `} barack obama ] spoke`, and back.

Entities are found in the text, marked by symbols that are words of their own, and read again. Where a marker cuts a word ("europe's", of
which "europe" is the entity), punctuation tells that there was no blank: `% europe ] 's`. Where punctuation would mislead, the symbols
<join> (no blank) and <apart> (a blank) say it, so that text and entities both come back.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stxlib.text.entity_tags import END
from stxlib.text.escape import Escapes
from stxlib.text.labels import Entity
from stxlib.text.target_vocabulary import APART, JOIN

_CLOSING = frozenset(".,;:!?'’\"%…°")


class Span(NamedTuple):
    """An entity in a text, from character `start` to before `end`; never empty, and no blank at its ends."""

    type: str
    start: int
    end: int


def place_entities(text: str, entities: Sequence[Entity]) -> tuple[list[Span], Counter[str]]:
    """Find entities in the text: spans that do not overlap, sorted; and how often each rule was needed.

    An entity stands at its `start`; without one, at the next place after the entity before it where its filler stands between word
    boundaries, else at the first such place of the text. Letter case counts only where the filler stands somewhere in its own.

    other_case   it stands there in another letter case: it is marked, and its filler becomes what the text has
    wrong_start  something else stands at `start`: it is looked for as if there were none
    overlapping  every place is taken by an entity that comes before it in the list: it is left out
    not_found    the text does not have it, or it has no words: it is left out
    """
    spans: list[Span] = []
    counts: Counter[str] = Counter()
    after = 0
    for entity in entities:
        places = _places(text, entity, after)
        counts["wrong_start"] += entity.start is not None and places[:1] != [_at(text, entity)]
        free = (p for p in places if all(p[1] <= span.start or p[0] >= span.end for span in spans))
        place = next(free, None)
        if place is None:
            counts["overlapping" if places else "not_found"] += 1
        else:
            there = " ".join(text[slice(*place)].split())
            counts["other_case"] += there != " ".join(entity.filler.split())
            spans.append(Span(entity.type, *place))
            after = place[1]
    return sorted(spans, key=lambda span: span.start), +counts


def write_tagged(text: str, spans: Sequence[Span], tags: Mapping[str, str], symbols: Escapes) -> str:
    """Mark the entities of a text. tags: type -> the symbol that opens it. Words that look like `symbols` are escaped; blanks become single."""
    pieces: list[_Piece] = []
    end = 0
    for span in spans:
        pieces += [_Piece(None, text[end : span.start]), _Piece(span.type, text[span.start : span.end])]
        end = span.end
    pieces.append(_Piece(None, text[end:]))
    pieces = _glued([piece for piece in pieces if piece.text], text)
    words: list[str] = []
    for before, piece in zip([None, *pieces], pieces, strict=False):
        if before is not None and piece.is_glued != _sticks(before.text[-1], piece.text[0]):
            words.append(JOIN if piece.is_glued else APART)
        inside = symbols.escape(piece.text).split()
        words += inside if piece.type is None else [tags[piece.type], *inside, END]
    return " ".join(words)


def read_tagged(
    target: str, types: Mapping[str, str], symbols: Escapes
) -> tuple[str, tuple[Entity, ...], Counter[str]]:
    """Undo `write_tagged`: text, its entities with their `start`, and how often each rule was needed. Never fails.

    types: the symbol that opens an entity -> its type.

    unclosed  an entity is not closed before another opens, or before the end: its words are plain text (as SLUE's scorer has it)
    unopened  a `]` that closes nothing is dropped
    empty     an entity without words is dropped
    stray     a symbol of another task, or a <join> or <apart> that is not beside an entity, is dropped
    """
    reader = _Reader()
    for word in target.split():
        if word in types:
            reader.open(types[word])
        elif word == END:
            reader.close()
        elif word in (JOIN, APART):
            reader.mark(word)
        elif symbols.is_symbol(word):
            reader.counts["stray"] += 1
        else:
            reader.add(symbols.unescape(word))
    reader.end()
    text = ""
    entities = []
    before: _Piece | None = None
    for piece, mark in reader.pieces:
        if before is not None:
            is_beside_entity = before.type is not None or piece.type is not None
            is_glued = mark == JOIN or (
                mark is None and is_beside_entity and _sticks(text[-1], piece.text[0])
            )
            text += "" if is_glued else " "
        if piece.type is not None:
            entities.append(Entity(piece.type, piece.text, len(text)))
        text += piece.text
        before = piece
    return text, tuple(entities), +reader.counts


@dataclass(frozen=True)
class _Piece:
    """Words of one entity, or between entities."""

    type: str | None
    text: str
    is_glued: bool = False
    "no blank stands before it"


class _Reader:
    """Words and markers as they come -> pieces, each with the <join> or <apart> before it."""

    def __init__(self) -> None:
        self.pieces: list[tuple[_Piece, str | None]] = []
        self.counts: Counter[str] = Counter()
        self._type: str | None = None  # of the entity that is open
        self._words: list[str] = []  # of the piece that is being read
        self._mark_before: str | None = None  # the mark before that piece
        self._mark_after: str | None = None  # the mark after its last word so far

    def open(self, entity_type: str) -> None:
        self.counts["unclosed"] += self._type is not None
        self._finish(None)
        self._type = entity_type

    def close(self) -> None:
        if self._type is None:
            self.counts["unopened"] += 1
            return
        self.counts["empty"] += not self._words
        self._finish(self._type)
        self._type = None

    def mark(self, mark: str) -> None:
        if self._type is None and self._words and self._mark_after is None:
            self._mark_after = mark
        elif self._type is None and not self._words and self.pieces and self._mark_before is None:
            self._mark_before = mark
        else:
            self.counts["stray"] += 1

    def add(self, word: str) -> None:
        self.counts["stray"] += self._mark_after is not None
        self._mark_after = None
        self._words.append(word)

    def end(self) -> None:
        self.counts["unclosed"] += self._type is not None
        self._finish(None)
        self.counts["stray"] += self._mark_before is not None

    def _finish(self, entity_type: str | None) -> None:
        if self._words:
            self.pieces.append((_Piece(entity_type, " ".join(self._words)), self._mark_before))
            self._words = []
            self._mark_before, self._mark_after = self._mark_after, None


def _glued(pieces: Sequence[_Piece], text: str) -> list[_Piece]:
    """Tell of each piece whether a blank stands before it; drop blanks at the ends, and pieces of nothing but blanks."""
    found: list[_Piece] = []
    is_glued = False
    for piece in pieces:
        is_glued = is_glued and not piece.text[0].isspace()
        words = " ".join(piece.text.split())
        if words:
            found.append(_Piece(piece.type, words, is_glued))
        is_glued = bool(words) and not piece.text[-1].isspace()
    return found


def _sticks(left: str, right: str) -> bool:
    """Whether one expects no blank between two characters: an opening or a dash on the left, something that closes on the right."""
    before, after = unicodedata.category(left), unicodedata.category(right)
    return (
        before in ("Ps", "Pi", "Pd", "Pc", "Sc")
        or right in _CLOSING
        or after in ("Pe", "Pf", "Pd", "Pc", "Mn", "Mc", "Me")
    )


def _places(text: str, entity: Entity, after: int) -> list[tuple[int, int]]:
    """Where the filler of an entity stands, the best place first."""
    at = _at(text, entity)
    if at is not None:
        return [at]
    if not entity.filler.split():
        return []
    bounded = rf"(?<!\w){_pattern(entity)}(?!\w)"
    for flags in (0, re.IGNORECASE):
        if found := [match.span() for match in re.finditer(bounded, text, flags)]:
            # All of them, overlapping ones left out: a filler seldom overlaps itself.
            return sorted(found, key=lambda place: (place[0] < after, place))
    return []


def _at(text: str, entity: Entity) -> tuple[int, int] | None:
    """The place at `start`, if the filler stands there, in any case."""
    if entity.start is None or not entity.filler.split():
        return None
    match = re.compile(rf"\s*({_pattern(entity)})", re.IGNORECASE).match(text, entity.start)
    return match.span(1) if match else None


def _pattern(entity: Entity) -> str:
    return r"\s+".join(map(re.escape, entity.filler.split()))
