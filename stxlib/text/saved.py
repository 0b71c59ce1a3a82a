"""Tokens, units and targets of a run: learnt from text and labels, saved as one folder, and read back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from stxlib.config import dump_config, load_config
from stxlib.errors import ConfigError, DataError
from stxlib.text.lexicon import LexiconConfig
from stxlib.text.normalize import NormalizationConfig
from stxlib.text.phones import EspeakConfig, SubwordsConfig, UnitVocabulary
from stxlib.text.target_vocabulary import TargetsConfig, TargetVocabulary, Task
from stxlib.text.targets import Targets
from stxlib.text.tokenizer import SOS, SentencePieceConfig, SubwordTokenizer


@dataclass(frozen=True, kw_only=True)
class _SpellingConfig:
    """`units.yaml` of a saved folder."""

    normalization: NormalizationConfig = field(default_factory=NormalizationConfig)
    """what is done to text before anything else"""
    tokens: SentencePieceConfig = field(default_factory=SentencePieceConfig)
    """what the decoder writes"""
    units: EspeakConfig | LexiconConfig | SubwordsConfig = field(default_factory=SubwordsConfig)
    """what the CTC at the latent layer writes"""


@dataclass(frozen=True, kw_only=True)
class UnitsConfig(_SpellingConfig):
    """What text is made of (tokens for the decoder, units for the CTC at the latent layer), and what is written of an utterance."""

    targets: TargetsConfig = field(default_factory=TargetsConfig)
    """what the decoder writes of an utterance: its words, its meaning"""


@dataclass(frozen=True)
class Units:
    """Everything between text and ids, between labels and text. Can be pickled."""

    tokens: SubwordTokenizer
    units: UnitVocabulary
    config: UnitsConfig
    targets: Targets = field(default_factory=lambda: Targets(TargetVocabulary()))
    """labels <-> text; its symbols are tokens"""

    def start_tokens(self, tasks: Iterable[Task], vocab_size: int) -> dict[str, int]:
        """task -> the token with which a decoder of `vocab_size` tokens begins: the task's own, or <sos> where it has none (a plain
        recognizer).
        """
        ids = {symbol: index for index, symbol in enumerate(self.tokens.symbols[:vocab_size])}
        return {task: ids.get(self.targets.task_token(task), SOS) for task in tasks}

    def __post_init__(self) -> None:
        if missing := [symbol for symbol in self.targets.symbols if symbol not in self.tokens.config.symbols]:
            raise DataError(f"symbols of targets without a token: {' '.join(missing)}; run stage 2 again")


def save_units(units: Units, folder: Path) -> None:
    """Write a folder of `units.yaml`, `tokens/`, `units/`, in place of one that is there: all or nothing.

    Where there is more than recognition, `targets.yaml` holds the tasks, the tag set, and the classes and types of the training set.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "units.yaml").exists():
        raise ConfigError(f"{folder}: holds something else than units; give another folder")
    draft = folder.with_name(f"{folder.name}.tmp{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    units.tokens.save(draft / "tokens")
    units.units.save(draft / "units")
    config = units.config
    spelling = _SpellingConfig(normalization=config.normalization, tokens=config.tokens, units=config.units)
    (draft / "units.yaml").write_text(dump_config(spelling), "utf-8")
    if units.targets.symbols:
        units.targets.vocabulary.save(draft / "targets.yaml")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def load_units(folder: Path | str) -> Units:
    """Read what `save_units` wrote. Raises DataError for a missing, incomplete or inconsistent folder."""
    folder = Path(folder)
    try:
        spelling = load_config(_SpellingConfig, folder / "units.yaml")
    except ConfigError as error:
        raise DataError(f"{folder}: not a folder of units: {error}; run stage 2") from None
    path = folder / "targets.yaml"
    vocabulary = TargetVocabulary.load(path) if path.exists() else TargetVocabulary()
    config = UnitsConfig(
        normalization=spelling.normalization,
        tokens=spelling.tokens,
        units=spelling.units,
        targets=vocabulary.config,
    )
    tokens = SubwordTokenizer.load(folder / "tokens")
    return Units(
        tokens, UnitVocabulary.load(folder / "units"), config, Targets(vocabulary, spelling.normalization)
    )
