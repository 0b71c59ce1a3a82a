"""From text to the units of a config: phones by eSpeak or by a lexicon, or the tokens themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stxlib.text.lexicon import LexiconConfig, LexiconG2P
from stxlib.text.normalize import normalize
from stxlib.text.phones import EspeakConfig, EspeakG2P, SubwordsConfig, UnitVocabulary, flatten_words
from stxlib.text.saved import UnitsConfig
from stxlib.text.tokenizer import SubwordTokenizer


class TextToUnits:
    """Lines of text -> unit symbols of each."""

    def __init__(self, config: UnitsConfig, tokens: SubwordTokenizer, *, num_jobs: int = 1) -> None:
        """`num_jobs` processes share a long text (eSpeak). Raises DataError for a bad lexicon."""
        self._config = config
        self._tokens = tokens
        self._g2p = _make_g2p(config.units, num_jobs)

    def __call__(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the unit symbols of each line (not yet normalized); configured token symbols are not spoken.

        Raises ConfigError or DataError as the lexicon and eSpeak do.
        """
        symbols = frozenset(self._config.tokens.symbols)
        spoken = [" ".join(word for word in line.split() if word not in symbols) for line in lines]
        if self._g2p is None or isinstance(self._config.units, SubwordsConfig):
            table = self._tokens.symbols
            # A word that looks like a symbol of the targets is a word here: nothing but words is spoken.
            return [[table[i] for i in self._tokens.encode(line, with_symbols=False)] for line in spoken]
        # Phones need words, also where tokens are made without blanks.
        normalization = replace(self._config.normalization, whitespace="collapse")
        words = self._g2p([normalize(line, normalization) for line in spoken])
        return [flatten_words(phones, self._config.units.word_boundary) for phones in words]

    def vocabulary(self, units: Sequence[Sequence[str]]) -> UnitVocabulary:
        """Return the table for the units of a training text: its symbols and all of the lexicon's; where
        units are subwords, the tokens with their ids."""
        if self._g2p is None:
            return UnitVocabulary(self._tokens.symbols[: self._tokens.num_pieces])
        symbols = {symbol for line in units for symbol in line}
        if isinstance(self._g2p, LexiconG2P):
            symbols |= self._g2p.inventory
        return UnitVocabulary.of(symbols)


def _make_g2p(
    config: EspeakConfig | LexiconConfig | SubwordsConfig, num_jobs: int
) -> EspeakG2P | LexiconG2P | None:
    if isinstance(config, EspeakConfig):
        return EspeakG2P(config.voice, lower=config.lower, num_jobs=num_jobs)
    return LexiconG2P(config) if isinstance(config, LexiconConfig) else None
