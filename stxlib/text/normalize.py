"""Bringing text of any script into one form, before tokens and phones are made of it."""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from typing import Literal

# Joiners belong to the spelling of Persian and Indic words; other format characters are invisible dirt.
_JOINERS = "\u200c\u200d"
# The mark that SentencePiece writes for a blank: a text that holds it could not come back from its pieces.
_BLANK_MARK = "\u2581"
_APOSTROPHES = "\u2019\u02bc"


@dataclass(frozen=True, kw_only=True)
class NormalizationConfig:
    """What is made equal in a text. The defaults change what cannot be heard or seen, and nothing else."""

    case: Literal["keep", "lower", "upper"] = "keep"
    """letter case"""
    unicode: Literal["none", "nfc", "nfkc"] = "nfkc"
    """Unicode form: nfkc also replaces full-width letters, ligatures and the like by the plain ones"""
    punctuation: Literal["keep", "remove"] = "keep"
    """remove: punctuation and symbols become blanks, and typographic apostrophes the plain one"""
    punctuation_kept: str = "'"
    """characters that `punctuation: remove` leaves"""
    whitespace: Literal["collapse", "remove"] = "collapse"
    """collapse: one blank between words; remove: none at all, for scripts that are written without blanks"""


def normalize(text: str, config: NormalizationConfig) -> str:
    """Return `text` in the form that `config` asks for. Normalizing twice changes nothing."""
    text = _unify(text, config)
    if config.case != "keep":
        # The other case of a character may be several characters, which have a composed form of their own.
        text = _unify(text.lower() if config.case == "lower" else text.upper(), config)
    text = text.translate(_table(config.punctuation == "remove", config.punctuation_kept))
    text = ("" if config.whitespace == "remove" else " ").join(text.split())
    # A character that is now gone may have stood between a letter and its accent.
    return _unify(text, config)


def _unify(text: str, config: NormalizationConfig) -> str:
    if config.unicode == "none":
        return text
    return unicodedata.normalize("NFKC" if config.unicode == "nfkc" else "NFC", text)


class _Table(dict[int, str | int]):
    """Code point -> what takes its place, worked out when it is first met."""

    def __init__(self, removes_punctuation: bool, kept: str) -> None:
        super().__init__()
        self._removes_punctuation = removes_punctuation
        self._kept = kept

    def __missing__(self, point: int) -> str | int:
        self[point] = self._replace(chr(point))
        return self[point]

    def _replace(self, character: str) -> str | int:
        category = unicodedata.category(character)
        if character == _BLANK_MARK or category in ("Cc", "Cs"):
            return " "
        if category == "Cf":
            return ord(character) if character in _JOINERS else ""
        if self._removes_punctuation:
            if character in _APOSTROPHES and character not in self._kept:
                character = "'"
            if unicodedata.category(character)[0] in "PS" and character not in self._kept:
                return " "
        return ord(character)


@functools.cache
def _table(removes_punctuation: bool, kept: str) -> _Table:
    return _Table(removes_punctuation, kept)
