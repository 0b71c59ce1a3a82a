"""Subwords by SentencePiece, and symbols (tasks, tags) that are always one token.

The mark of escaped words (`stxlib.text.escape`) is a symbol too where the pieces cannot write it: the one that is glued to the word after it.
"""

from __future__ import annotations

import io
import itertools
import logging
import random
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import sentencepiece

from stxlib.config import dump_config, load_config
from stxlib.errors import ConfigError, DataError
from stxlib.text.escape import MARK
from stxlib.text.normalize import NormalizationConfig, normalize

BLANK, UNK, SOS, EOS = range(4)
SPECIALS = ("<blank>", "<unk>", "<sos>", "<eos>")
_UNKNOWN_TEXT = "\u2047"  # what <unk> is in decoded text: one character, so that it is one error
_SPM_RESERVED = "\u2585"  # SentencePiece leaves a whole training line out for this character
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SentencePieceConfig:
    """How subwords are learnt."""

    kind: Literal["sentencepiece"] = "sentencepiece"
    model_type: Literal["unigram", "bpe", "char"] = "unigram"
    """unigram: pieces by likelihood; bpe: by merges; char: single characters"""
    vocab_size: int = 300
    """tokens, the special ones included, `symbols` not; fewer (with a warning) if the text is too small"""
    character_coverage: float = 1.0
    """share of the text's characters that get a piece; the rarest are <unk> (0.9995 for large alphabets)"""
    byte_fallback: bool = False
    """write characters without a piece as UTF-8 bytes instead of <unk>; 256 of the tokens are then bytes"""
    symbols: tuple[str, ...] = ()
    """words that are always one token of their own, after all pieces: task tokens, tags"""
    max_lines: int = 1_000_000
    """of a longer training text, so many lines are drawn (the same ones each time)"""

    def __post_init__(self) -> None:
        if self.vocab_size <= len(SPECIALS) or self.max_lines < 1:
            raise ConfigError(
                f"vocab_size {self.vocab_size}, max_lines {self.max_lines}: "
                f"expected more than {len(SPECIALS)} tokens (so many are special) and at least 1 line"
            )
        if not 0.9 <= self.character_coverage <= 1:
            raise ConfigError(f"character_coverage: {self.character_coverage}; expected 0.9 to 1")
        for symbol in self.symbols:
            if not symbol or symbol.split() != [symbol] or symbol in SPECIALS:
                raise ConfigError(
                    f"symbols: {symbol!r}: a symbol is one word without blanks, none of {' '.join(SPECIALS)}"
                )
        if len(set(self.symbols)) < len(self.symbols):
            raise ConfigError(
                f"symbols: {' '.join(self.symbols)}: the same symbol stands twice; give it once"
            )


@dataclass(frozen=True, kw_only=True)
class _SavedConfig:
    """`tokenizer.yaml` of a saved tokenizer."""

    tokens: SentencePieceConfig
    normalization: NormalizationConfig
    vocab_size: int
    "tokens there really are, with `symbols`"


class SubwordTokenizer:
    """Text <-> token ids: 0 <blank>, 1 <unk>, 2 <sos>, 3 <eos>, then the pieces, then the configured symbols.

    Text is normalized first, so that `decode(encode(text)) == normalize(text)` where every character is known;
    a word that equals one of the symbols is left as it is. Can be pickled.
    """

    blank, unk, sos, eos = BLANK, UNK, SOS, EOS

    def __init__(self, model: bytes, config: SentencePieceConfig, normalization: NormalizationConfig) -> None:
        """`model` is a serialized SentencePiece model whose first four pieces are the special tokens."""
        self.config = config
        self.normalization = normalization
        self._model = model
        self._pieces = sentencepiece.SentencePieceProcessor()
        self._pieces.LoadFromSerializedProto(model)
        self.num_pieces: int = self._pieces.vocab_size()
        """ids below are special tokens and pieces, ids from here on are the configured symbols"""
        self._symbol_ids = {symbol: self.num_pieces + i for i, symbol in enumerate(config.symbols)}
        self.symbols: tuple[str, ...] = (
            *(self._pieces.id_to_piece(i) for i in range(self.num_pieces)),
            *config.symbols,
        )
        """token of every id"""
        if self.symbols[: len(SPECIALS)] != SPECIALS:
            raise DataError(f"the first tokens are {self.symbols[: len(SPECIALS)]}; expected {SPECIALS}")

    @classmethod
    def train(
        cls,
        lines: Iterable[str],
        config: SentencePieceConfig,
        normalization: NormalizationConfig | None = None,
    ) -> SubwordTokenizer:
        """Learn pieces from lines of text (not yet normalized): bit for bit the same from the same lines.

        Warns when the text yields fewer than `config.vocab_size` tokens. Raises DataError for a text
        without a word, ConfigError when `vocab_size` cannot hold the characters of the text.
        """
        normalization = normalization or NormalizationConfig()
        runs = list(_training_runs(_draw(lines, config.max_lines), config, normalization))
        if not runs:
            raise DataError("text to learn tokens from: no words in it; give a file of sentences")
        tokenizer = cls(_train_model(runs, config, normalization), config, normalization)
        if message := tokenizer.cap_message:
            _logger.warning("warning: %s", message)
        return tokenizer

    def extended(self, symbols: Iterable[str]) -> SubwordTokenizer:
        """The same pieces, and more symbols after those that there are, before them the mark of escaped words where no piece has it.

        ConfigError for one that is there already.
        """
        added = tuple(symbols)
        # Words that look like the new symbols have to be written too, whatever text the pieces were learnt from.
        mark = normalize(MARK, self.normalization)
        is_needed = any(normalize(symbol, self.normalization) in added for symbol in added)
        is_written = bool(mark) and UNK not in self._pieces.encode(mark)
        if is_needed and not is_written and MARK not in self._symbol_ids:
            added = (MARK, *added)  # a network of words alone has it, and not the others
        if twice := [symbol for symbol in added if symbol in self._symbol_ids]:
            raise ConfigError(
                f"tokens.symbols: {' '.join(twice)}: a symbol of the targets as well; leave it out"
            )
        config = replace(self.config, symbols=(*self.config.symbols, *added))
        return SubwordTokenizer(self._model, config, self.normalization)

    @property
    def cap_message(self) -> str | None:
        """What to tell a user who got fewer tokens than asked for; None when there is nothing to tell."""
        if self.config.model_type == "char" or self.num_pieces >= self.config.vocab_size:
            return None
        return (
            f"vocab_size {self.config.vocab_size} is more than the text can fill: "
            f"capped at {self.num_pieces} tokens"
        )

    @property
    def vocab_size(self) -> int:
        """Number of token ids, with the special ones and the symbols."""
        return len(self.symbols)

    def encode(self, text: str, *, with_symbols: bool = True) -> list[int]:
        """Return the token ids of `text`, without <sos> and <eos>.

        with_symbols: a word that equals a symbol is that symbol; otherwise it is a word like any other.
        """
        ids: list[int] = []
        for is_symbol, words in _runs(text, self._symbol_ids if with_symbols else {}):
            if is_symbol:
                ids.extend(self._symbol_ids[word] for word in words)
            else:
                ids.extend(self._pieces.encode(normalize(" ".join(words), self.normalization)))
        return ids

    def unknown(self, text: str) -> frozenset[str]:
        """Return the characters of `text` that no token can write."""
        runs = _runs(text, self._symbol_ids)
        spoken = " ".join(word for is_symbol, words in runs if not is_symbol for word in words)
        characters = frozenset(normalize(spoken, self.normalization))
        return frozenset(c for c in characters if UNK in self._pieces.encode(c))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids. <blank>, <sos> and <eos> are left out; <unk> is "\u2047"."""
        kept = [i for i in ids if i not in (BLANK, SOS, EOS)]
        words: list[str] = []
        for is_symbol, group in itertools.groupby(kept, key=lambda i: i >= self.num_pieces):
            if is_symbol:
                words.extend(self.symbols[i] for i in group)
                continue
            # Pieces may end in, or be nothing but, the mark of a blank.
            run = self._pieces.decode(list(group)).split()
            while run and words and words[-1] == MARK:
                run[0] = words.pop() + run[0]
            words.extend(run)
        return " ".join(words)

    def save(self, folder: Path) -> None:
        """Write `sentencepiece.model`, `symbols.txt` (a token a line, by id), `tokenizer.yaml`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sentencepiece.model").write_bytes(self._model)
        (folder / "symbols.txt").write_text("".join(f"{symbol}\n" for symbol in self.symbols), "utf-8")
        saved = _SavedConfig(tokens=self.config, normalization=self.normalization, vocab_size=self.vocab_size)
        (folder / "tokenizer.yaml").write_text(dump_config(saved), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> SubwordTokenizer:
        """Read what `save` wrote. Raises DataError for an incomplete or inconsistent folder."""
        try:
            saved = load_config(_SavedConfig, folder / "tokenizer.yaml")
            tokenizer = cls((folder / "sentencepiece.model").read_bytes(), saved.tokens, saved.normalization)
        except (ConfigError, OSError, RuntimeError) as error:
            raise DataError(f"{folder}: not a saved tokenizer: {error}; run stage 2 again") from None
        if tokenizer.vocab_size != saved.vocab_size:
            raise DataError(
                f"{folder}: tokenizer.yaml says {saved.vocab_size} tokens, sentencepiece.model gives "
                f"{tokenizer.vocab_size}; run stage 2 again"
            )
        return tokenizer

    def __reduce__(self) -> tuple[type[SubwordTokenizer], tuple[object, ...]]:
        return type(self), (self._model, self.config, self.normalization)


def _runs(text: str, symbols: Container[str]) -> Iterator[tuple[bool, list[str]]]:
    """Cut a text into runs of symbols and of other words; where MARK is a symbol, it is cut off from the symbols that it escapes."""
    if not symbols:
        yield False, [text]
        return
    has_mark = MARK in symbols
    cut: list[tuple[bool, str]] = []
    for word in text.split():
        rest = word.lstrip(MARK) if has_mark else word
        if rest == word:
            cut.append((word in symbols, word))
        elif rest in symbols:
            cut += [(True, MARK)] * (len(word) - len(rest)) + [(False, rest)]
        else:  # a word with backslashes, which as symbols would stick to the next one
            cut.append((False, word))
    for is_symbol, run in itertools.groupby(cut, key=lambda pair: pair[0]):
        yield is_symbol, [word for _, word in run]


def _draw(lines: Iterable[str], max_lines: int) -> list[str]:
    drawn = list(lines)
    if len(drawn) <= max_lines:
        return drawn
    _logger.info("tokens are learnt from %d of %d lines (max_lines)", max_lines, len(drawn))
    return [drawn[i] for i in sorted(random.Random(0).sample(range(len(drawn)), max_lines))]


def _training_runs(
    lines: Iterable[str], config: SentencePieceConfig, normalization: NormalizationConfig
) -> Iterator[str]:
    symbols = frozenset(config.symbols)
    for line in lines:
        for is_symbol, words in _runs(line, symbols):
            if not is_symbol:
                run = normalize(" ".join(words), normalization).replace(_SPM_RESERVED, "")
                if run.strip():
                    yield run


def _train_model(
    runs: Sequence[str], config: SentencePieceConfig, normalization: NormalizationConfig
) -> bytes:
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(runs),
            model_writer=model,
            model_type=config.model_type,
            vocab_size=config.vocab_size,
            hard_vocab_limit=False,  # a text that is too small gives fewer pieces instead of an error
            use_all_vocab=config.model_type == "char",
            character_coverage=config.character_coverage,
            byte_fallback=config.byte_fallback,
            normalization_rule_name="identity",  # ours has been done
            # Without blanks between words no piece has to say that a word begins.
            add_dummy_prefix=normalization.whitespace == "collapse",
            max_sentence_length=1 << 30,  # no line is left out for being long
            num_threads=1,  # sums of a fixed order: the same text gives the same pieces
            minloglevel=2,
            unk_surface=_UNKNOWN_TEXT,
            pad_id=BLANK,
            unk_id=UNK,
            bos_id=SOS,
            eos_id=EOS,
            pad_piece=SPECIALS[BLANK],
            unk_piece=SPECIALS[UNK],
            bos_piece=SPECIALS[SOS],
            eos_piece=SPECIALS[EOS],
        )
    except RuntimeError as error:
        raise ConfigError(_explain(str(error), config)) from None
    size = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).vocab_size()
    if size > config.vocab_size:  # a character model holds every character, whatever is asked for
        raise ConfigError(_too_few(config, size))
    return model.getvalue()


def _too_few(config: SentencePieceConfig, needed: int) -> str:
    return (
        f"vocab_size: {config.vocab_size} tokens cannot hold the characters of the text; "
        f"at least {needed} are needed: raise vocab_size, or lower character_coverage"
    )


def _explain(message: str, config: SentencePieceConfig) -> str:
    found = re.search(r"smaller than required_chars\. \d+ vs (\d+)", message)
    return (
        _too_few(config, int(found[1])) if found else f"sentencepiece cannot learn this vocabulary: {message}"
    )
