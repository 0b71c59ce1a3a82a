"""Learn tokens and units from text, and write the units of every set: stage 2 of every recipe.

    python -m stxlib.bin.tokenize --config conf/units.yaml --train data/train/text data/text_only/text \
        --labels data/train --sets data/train data/dev data/test data/text_only --out exp/units

writes the self-contained folder `exp/units` (`stxlib.text.saved.load_units` reads it), and the stream `units`
into each set that has text. The tasks of `targets` take their classes and types from the label streams of --labels.
"""

from __future__ import annotations

import gzip
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from stxlib.config import parse_config
from stxlib.data.tables import read_table, write_table
from stxlib.data.target_labels import learn_targets, notes_on
from stxlib.errors import ConfigError, DataError, run
from stxlib.text.saved import Units, UnitsConfig, load_units, save_units
from stxlib.text.target_vocabulary import KINDS
from stxlib.text.text_to_units import TextToUnits
from stxlib.text.tokenizer import SubwordTokenizer

_SHOWN = 10  # so many of a kind are named in a message
_HEADER = (
    "set",
    "utterances",
    "words",
    "tokens/word",
    "tokens/s",
    "units/word",
    "units/s",
    "unk tokens",
    "unk units",
)


@dataclass(frozen=True, kw_only=True)
class TokenizeConfig(UnitsConfig):
    """Tokens and units, and the text that they are learnt from."""

    train: tuple[Path, ...] = ()
    """text to learn from: tables `text`, data directories, or one sentence a line (.txt, .gz)"""
    base: Path | None = None
    """in place of train: a folder of units to take pieces and units from; only the symbols of `targets` are new, so that a network of
    that vocabulary can grow into this one"""
    labels: tuple[Path, ...] = ()
    """data directories of the training set: their label streams give the classes and types of `targets.tasks`"""
    sets: tuple[Path, ...] = ()
    """data directories that get the stream `units`, where they have `text`; with base, only looked at for labels that training lacks"""
    out: Path
    """folder to write"""
    num_jobs: int = 0
    """processes that ask eSpeak for phones of a long text; 0: one for each CPU"""

    def __post_init__(self) -> None:
        if bool(self.train) == (self.base is not None):
            raise ConfigError(
                "give text to learn from (--train) or a folder of units (--base), one of the two and not both"
            )
        if self.base is not None and self.base.resolve() == self.out.resolve():
            raise ConfigError(
                f"--out {self.out}: is the folder of --base, which others begin with; give another"
            )
        if self.num_jobs < 0:
            raise ConfigError(f"num_jobs: {self.num_jobs}; expected 0 or more")


def main(argv: Sequence[str] | None = None) -> None:
    """Raises ConfigError and DataError."""
    description = "Learn tokens and units from text, and write the units of every set."
    config = parse_config(TokenizeConfig, argv, prog="stxlib.bin.tokenize", description=description).config
    if config.base is not None:
        extend(config, config.base)
        return
    training = [line for path in config.train for line in read_sentences(path)]
    texts = {path: _read_text(path) for path in config.sets}

    settings = UnitsConfig(
        normalization=config.normalization, tokens=config.tokens, units=config.units, targets=config.targets
    )
    targets = learn_targets(settings.targets, config.labels, settings.normalization)
    escaped = map(targets.escape_words, training)
    tokens = SubwordTokenizer.train(escaped, settings.tokens, settings.normalization).extended(
        targets.symbols
    )
    # All at once: each distinct line is looked up once, and a lexicon's missing words come in one message.
    lines = list(dict.fromkeys(chain(training, *(text.values() for text in texts.values()))))
    to_units = TextToUnits(settings, tokens, num_jobs=config.num_jobs or _num_cpus())
    units_of = dict(zip(lines, to_units(lines), strict=True))
    units = Units(tokens, to_units.vocabulary([units_of[line] for line in training]), settings, targets)

    save_units(units, config.out)
    print(_describe(units, len(training), config.out))
    rows: list[Sequence[str]] = [_HEADER]
    notes: list[str] = []
    for path, text in texts.items():
        if not text:
            notes.append(f"{path}: no text, so no units")
            continue
        stream = {utt: units_of[line] or ["<unk>"] for utt, line in text.items()}
        write_table(path / "units", {utt: " ".join(symbols) for utt, symbols in stream.items()})
        row, more = _summarize(path, text, stream, units)
        rows.append(row)
        notes.extend(more)
    for path in dict.fromkeys((*config.labels, *texts)):
        notes.extend(notes_on(targets, path))
    print("\n".join([*(_align(rows) if len(rows) > 1 else []), *notes]))


def extend(config: TokenizeConfig, base: Path) -> None:
    """Write the units of another folder with the symbols of `config.targets` after its tokens."""
    old = load_units(base)
    if old.targets.symbols:
        raise ConfigError(f"--base {base}: has symbols of targets already; give the folder of words alone")
    targets = learn_targets(config.targets, config.labels, old.config.normalization)
    settings = replace(old.config, targets=config.targets)
    units = Units(old.tokens.extended(targets.symbols), old.units, settings, targets)
    save_units(units, config.out)
    notes = []
    for path in dict.fromkeys((*config.labels, *config.sets)):
        notes.extend([*_note_unknown(path, _read_text(path), units), *notes_on(targets, path)])
    print("\n".join([f"pieces and units are those of {base}", _describe(units, None, config.out), *notes]))


def read_sentences(path: Path) -> list[str]:
    """Return the sentences of a table `text`, of a data directory, or of a .txt or .gz of one a line.

    Raises DataError.
    """
    if path.is_dir():
        path = path / "text"
    if path.suffix not in (".txt", ".gz"):
        return list(read_table(path).values())
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = content.decode("utf-8-sig").split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}; give UTF-8 text of one sentence a line") from None
    return [line for line in lines if line.strip()]


def _read_text(path: Path) -> dict[str, str]:
    """The transcripts of a data directory; none where it has none."""
    if not path.is_dir():
        raise DataError(f"{path}: no such data directory; run stage 1, or correct --sets")
    return read_table(path / "text") if (path / "text").exists() else {}


def _note_unknown(path: Path, text: dict[str, str], units: Units) -> list[str]:
    """How many tokens of the transcripts of a set are unknown, and for which characters; nothing where none is."""
    escaped = {line: units.targets.escape_words(line) for line in text.values()}
    tokens = {line: units.tokens.encode(words) for line, words in escaped.items()}
    count = sum(tokens[line].count(units.tokens.unk) for line in text.values())
    if not count:
        return []
    total = sum(len(tokens[line]) for line in text.values())
    characters = _unknown_characters(escaped, tokens, units)
    return [f"{path}: {count} of {total} tokens are unknown; characters without a token: {_some(characters)}"]


def _unknown_characters(
    text: Mapping[str, str], tokens: Mapping[str, Sequence[int]], units: Units
) -> list[str]:
    """The characters, sorted, that have no token; text and its tokens by the same keys."""
    having = [text[key] for key, ids in tokens.items() if units.tokens.unk in ids]
    return sorted({c for line in having for c in units.tokens.unknown(line)})


def _describe(units: Units, num_lines: int | None, out: Path) -> str:
    tokens, kind = units.tokens, units.config.tokens.model_type
    num_targets = len(units.targets.symbols)
    of_targets = f", {num_targets} symbols of targets" if num_targets else ""
    num_configured = len(units.config.tokens.symbols)
    lines = [
        *([] if num_lines is None else [f"learnt from {num_lines} lines"]),
        f"tokens: {tokens.vocab_size} ({kind}, {num_configured} of them configured symbols{of_targets})",
        f"units: {units.units.vocab_size} ({units.config.units.kind})",
        f"written to {out}",
    ]
    if num_targets:
        names = units.targets.vocabulary.names
        kinds = [f"{len(names[name])} {name}" for name in KINDS if names.get(name)]
        lines.insert(2, f"targets: {', '.join(kinds)}; tasks {' '.join(units.targets.tasks)}")
    if tokens.cap_message:
        lines.insert(2, tokens.cap_message)
    return "\n".join(lines)


def _summarize(
    path: Path, text: dict[str, str], stream: dict[str, list[str]], units: Units
) -> tuple[tuple[str, ...], list[str]]:
    """One row of the summary, and what should be told about the set besides."""
    text = {utt: units.targets.escape_words(line) for utt, line in text.items()}
    tokens = {utt: units.tokens.encode(line) for utt, line in text.items()}
    num_words = sum(len(line.split()) for line in text.values())
    num_tokens = sum(map(len, tokens.values()))
    num_units = sum(map(len, stream.values()))
    unk_tokens = sum(ids.count(units.tokens.unk) for ids in tokens.values())
    known = set(units.units.symbols) - {"<unk>"}
    unk_units = Counter(symbol for symbols in stream.values() for symbol in symbols if symbol not in known)
    durations = {}
    if (path / "utt2dur").exists():
        durations = {utt: float(s) for utt, s in read_table(path / "utt2dur").items() if utt in text}
    seconds = sum(durations.values()) if len(durations) == len(text) else 0.0
    row = (
        str(path),
        str(len(text)),
        str(num_words),
        _quotient(num_tokens, num_words),
        _quotient(num_tokens, seconds),
        _quotient(num_units, num_words),
        _quotient(num_units, seconds),
        f"{unk_tokens} ({unk_tokens / max(num_tokens, 1):.2%})",
        f"{unk_units.total()} ({unk_units.total() / max(num_units, 1):.2%})",
    )
    notes = []
    if unk_tokens:
        characters = _unknown_characters(text, tokens, units)
        notes.append(f"{path}: characters without a token: {_some(characters)}")
    if unk_units:
        notes.append(
            f"{path}: units that the training text lacks: {_some([u for u, _ in unk_units.most_common()])}"
        )
    if empty := [utt for utt, ids in tokens.items() if not ids]:
        notes.append(f"{path}: {len(empty)} utterances without a token after normalization: {_some(empty)}")
    return row, notes


def _quotient(count: int, by: float) -> str:
    return f"{count / by:.2f}" if by else "-"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return " ".join(names[:_SHOWN]) + more


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _num_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(run(main))
