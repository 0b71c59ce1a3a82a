"""Units below words: the table of their symbols, and eSpeak's way from text to phones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from stxlib.errors import DataError
from stxlib.parallel import in_processes
from stxlib.text import espeak

WORD_BOUNDARY = "|"
_SPECIALS = ("<blank>", "<unk>")

Phones = list[list[str]]
"""Phones of each word of a line."""


class UnitVocabulary:
    """Unit symbols <-> ids: 0 <blank>, 1 <unk>, then the symbols."""

    blank, unk = 0, 1

    def __init__(self, symbols: Sequence[str]) -> None:
        """`symbols` is the whole table, special ones first. Raises DataError when it is none."""
        self.symbols = tuple(symbols)
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols)}
        if self.symbols[:2] != _SPECIALS:
            raise DataError(f"unit symbols begin with {self.symbols[:2]}; expected {_SPECIALS}")
        for i, symbol in enumerate(self.symbols):
            if symbol.split() != [symbol] or self._ids[symbol] != i:
                raise DataError(f"unit symbol {i} is {symbol!r}; expected one word, and each but once")

    @classmethod
    def of(cls, symbols: Iterable[str]) -> UnitVocabulary:
        """Make the table of these symbols, sorted, after the special ones."""
        return cls((*_SPECIALS, *sorted(set(symbols) - set(_SPECIALS))))

    @property
    def vocab_size(self) -> int:
        """Number of unit ids, with <blank> and <unk>."""
        return len(self.symbols)

    def encode(self, symbols: Iterable[str]) -> list[int]:
        """Return the ids of `symbols`; one that is not in the table is <unk>."""
        return [self._ids.get(symbol, self.unk) for symbol in symbols]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the symbols of `ids`, without <blank>."""
        return [self.symbols[i] for i in ids if i != self.blank]

    def save(self, folder: Path) -> None:
        """Write `symbols.txt`: one symbol a line, in the order of ids."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "symbols.txt").write_text("".join(f"{symbol}\n" for symbol in self.symbols), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> UnitVocabulary:
        """Read what `save` wrote. Raises DataError."""
        path = folder / "symbols.txt"
        try:
            # Not splitlines(): a symbol may be, or hold, what other scripts end a line with.
            return cls(path.read_text("utf-8").removesuffix("\n").split("\n"))
        except (OSError, UnicodeDecodeError, DataError) as error:
            raise DataError(f"{path}: not a table of units: {error}; run stage 2 again") from None


@dataclass(frozen=True, kw_only=True)
class EspeakConfig:
    """Phones as eSpeak NG pronounces the text: IPA without stress marks, with length marks."""

    kind: Literal["espeak"] = "espeak"
    voice: str = "en-us"
    """language, as `espeak-ng --voices` names them: en-us, en-gb, de, cmn, ..."""
    lower: bool = True
    """lower-case the text first: eSpeak spells out words that are written in capitals"""
    word_boundary: bool = False
    """write the unit "|" between words"""


@dataclass(frozen=True, kw_only=True)
class SubwordsConfig:
    """The tokens themselves, with the same ids (configured symbols, which are not heard, apart)."""

    kind: Literal["subwords"] = "subwords"


class EspeakG2P:
    """Lines of text -> phones, in the context of the whole line ("the" before a vowel)."""

    def __init__(self, voice: str = "en-us", *, lower: bool = True, num_jobs: int = 1) -> None:
        """`num_jobs` processes share a long text; more than one needs a `__main__` that can be imported."""
        self.voice = voice
        self.lower = lower
        self.num_jobs = num_jobs

    def __call__(self, lines: Sequence[str]) -> list[Phones]:
        """Return phones of each word of each line. Equal lines are looked up once.

        Raises ConfigError for an unknown voice, or when eSpeak is not installed.
        """
        prepared = [line.lower() if self.lower else line for line in lines]
        distinct = list(dict.fromkeys(prepared))
        phones = dict(zip(distinct, self._phonemize(distinct), strict=True))
        return [phones[line] for line in prepared]

    def _phonemize(self, lines: list[str]) -> list[Phones]:
        # A process costs what a few thousand lines cost.
        num_jobs = min(self.num_jobs, len(lines) // 4_000)
        if num_jobs <= 1:
            return espeak.phonemize(lines, self.voice)
        size = -(-len(lines) // num_jobs)
        parts = [lines[start : start + size] for start in range(0, len(lines), size)]
        if_killed = (
            f"phones: a process of {num_jobs} was killed, most likely for lack of memory; lower num_jobs"
        )
        return list(
            chain.from_iterable(
                in_processes(espeak.phonemize, [(part, self.voice) for part in parts], if_killed)
            )
        )


def flatten_words(words: Phones, word_boundary: bool) -> list[str]:
    """Join the phones of words; `word_boundary` puts "|" between words that have any."""
    return list(_flat(words, word_boundary))


def _flat(words: Phones, word_boundary: bool) -> Iterator[str]:
    is_first = True
    for phones in words:
        if phones and word_boundary and not is_first:
            yield WORD_BOUNDARY
        is_first = is_first and not phones
        yield from phones
