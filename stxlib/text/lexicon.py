"""Phones from a pronunciation lexicon, with eSpeak for words that it lacks where that is asked for."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stxlib.errors import ConfigError, DataError
from stxlib.text import espeak
from stxlib.text.phones import Phones

_VARIANT = re.compile(r"(.+)\(\d+\)")
_ARPABET_STRESS = re.compile(r"([A-Z]+)[0-2]")
_IPA_STRESS = str.maketrans("", "", "ˈˌ")
_MISSING_SHOWN = 20

# eSpeak's en-us phones in the 39 phones of CMUdict (its flap and glottal stop are ways to say T).
_PHONES = """
    a=AA aː=AA ɑ=AA ɑː=AA ɑːɹ=AA_R ɒ=AA æ=AE ʌ=AH ə=AH ɐ=AH əl=AH_L ɔ=AO ɔː=AO ɔːɹ=AO_R oː=AO oːɹ=AO_R
    aʊ=AW aɪ=AY aɪə=AY_AH aɪɚ=AY_ER b=B tʃ=CH d=D ð=DH e=EH ɛ=EH ɛɹ=EH_R eə=EH_R ɚ=ER ɜ=ER ɜː=ER eɪ=EY
    f=F ɡ=G h=HH ɪ=IH ᵻ=IH ɪɹ=IH_R i=IY iː=IY iə=IY_AH dʒ=JH k=K x=K l=L l̩=AH_L m=M m̩=AH_M n=N n̩=AH_N
    ŋ=NG oʊ=OW ɔɪ=OY p=P ɹ=R r=R s=S ʃ=SH t=T ɾ=T ʔ=T θ=TH ʊ=UH ʊɹ=UH_R u=UW uː=UW v=V w=W ʍ=W j=Y z=Z ʒ=ZH
"""
_ARPABET = {ipa: tuple(arpabet.split("_")) for ipa, arpabet in (pair.split("=") for pair in _PHONES.split())}


@dataclass(frozen=True, kw_only=True)
class LexiconConfig:
    """Phones of each word by a lexicon file."""

    kind: Literal["lexicon"] = "lexicon"
    path: Path
    """a word and its phones a line: `WORD  PH PH` (CMUdict) or `WORD<TAB>PH PH`; UTF-8, any letter case"""
    stress: Literal["remove", "keep"] = "remove"
    """remove: AH0 becomes AH, ˈa becomes a"""
    missing: Literal["error", "espeak", "espeak_arpabet"] = "error"
    """words that the lexicon lacks: an error, or eSpeak's phones (IPA, or turned into CMUdict's)"""
    voice: str = "en-us"
    """eSpeak's language for missing words"""
    word_boundary: bool = False
    """write the unit "|" between words"""

    def __post_init__(self) -> None:
        if self.missing == "espeak_arpabet" and self.stress == "keep":
            raise ConfigError("missing: espeak_arpabet gives phones without stress; set stress to remove")


def read_lexicon(path: Path, *, keep_stress: bool = False) -> dict[str, tuple[str, ...]]:
    """Read a lexicon: folded word (see `fold`) -> phones.

    Lines that are empty, or begin with ";;;" or "#", are skipped, and what follows a lone "#". Of several
    pronunciations ("WORD(2)", or a second line) the first counts. Raises DataError with file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error}); convert it with iconv") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; give a lexicon file") from None
    lexicon: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, start=1):
        line = line.removeprefix("\ufeff").split(" #")[0].strip()
        if not line or line.startswith((";;;", "#")):
            continue
        word, *rest = line.split("\t", 1) if "\t" in line else line.split(None, 1)
        phones = tuple(rest[0].split()) if rest else ()
        if not phones or word.split() != [word]:
            raise DataError(
                f"{path}:{number}: expected a word and its phones, not {line!r}; "
                "write WORD PH PH, or WORD<TAB>PH PH"
            )
        variant = _VARIANT.fullmatch(word)
        if not keep_stress:
            phones = tuple(_without_stress(phone) for phone in phones)
        lexicon.setdefault(fold(variant[1] if variant else word), phones)
    if not lexicon:
        raise DataError(f"{path}: no words in it; give a lexicon file")
    return lexicon


def fold(word: str) -> str:
    """Return the form in which words are compared: lower case, NFKC, plain apostrophes."""
    return unicodedata.normalize("NFKC", word.replace("\u2019", "'")).lower()


class LexiconG2P:
    """Lines of text -> phones, word by word. Punctuation around a word has no phones."""

    def __init__(self, config: LexiconConfig) -> None:
        """Reads the lexicon. Raises DataError."""
        self.config = config
        self._lexicon = read_lexicon(config.path, keep_stress=config.stress == "keep")
        self.inventory = frozenset(phone for phones in self._lexicon.values() for phone in phones)
        """phones of the lexicon"""

    def __call__(self, lines: Sequence[str]) -> list[Phones]:
        """Return phones of each word of each line. Raises DataError that lists the words that are missing."""
        words = Counter(word for line in lines for word in line.split())
        phones = {word: self._look_up(word) for word in words}
        missing = sorted((word for word in words if phones[word] is None), key=lambda w: (-words[w], w))
        if missing and self.config.missing == "error":
            shown = ", ".join(f"{word} ({words[word]})" for word in missing[:_MISSING_SHOWN])
            more = f", and {len(missing) - _MISSING_SHOWN} more" if len(missing) > _MISSING_SHOWN else ""
            raise DataError(
                f"{self.config.path}: no pronunciation for {len(missing)} words of the text (times): "
                f"{shown}{more}; add them, or set units.missing to espeak or espeak_arpabet"
            )
        if missing:
            phones |= self._ask_espeak(missing)
        return [[list(phones[word] or ()) for word in line.split()] for line in lines]

    def _look_up(self, word: str) -> tuple[str, ...] | None:
        folded = fold(word)
        if folded in self._lexicon:
            return self._lexicon[folded]
        bare = _strip_punctuation(folded)
        return self._lexicon.get(bare) if bare else ()

    def _ask_espeak(self, words: Sequence[str]) -> dict[str, tuple[str, ...] | None]:
        found: dict[str, tuple[str, ...] | None] = {}
        folded = [fold(word) for word in words]
        for word, spoken in zip(words, espeak.phonemize(folded, self.config.voice), strict=True):
            phones = [phone for part in spoken for phone in part]
            if self.config.missing == "espeak_arpabet":
                if unmapped := [phone for phone in phones if phone not in _ARPABET]:
                    raise DataError(
                        f"{self.config.path}: no pronunciation for {word!r}, and eSpeak's phone "
                        f"{unmapped[0]!r} is none of CMUdict; add the word"
                    )
                phones = [arpabet for phone in phones for arpabet in _ARPABET[phone]]
            found[word] = tuple(phones)
        return found


def _without_stress(phone: str) -> str:
    match = _ARPABET_STRESS.fullmatch(phone)
    # A phone that is nothing but a stress mark would vanish.
    return match[1] if match else phone.translate(_IPA_STRESS) or phone


def _strip_punctuation(word: str) -> str:
    def is_punctuation(character: str) -> bool:
        return unicodedata.category(character)[0] in "PS"

    start, end = 0, len(word)
    while start < end and is_punctuation(word[start]):
        start += 1
    while end > start and is_punctuation(word[end - 1]):
        end -= 1
    return word[start:end]
