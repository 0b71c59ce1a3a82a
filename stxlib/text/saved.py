"""Tokens and units of a run: learnt from text, saved as one folder, and read back."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from stxlib.config import dump_config, load_config
from stxlib.errors import ConfigError, DataError
from stxlib.text.lexicon import LexiconConfig
from stxlib.text.normalize import NormalizationConfig
from stxlib.text.phones import EspeakConfig, SubwordsConfig, UnitVocabulary
from stxlib.text.tokenizer import SentencePieceConfig, SubwordTokenizer


@dataclass(frozen=True, kw_only=True)
class UnitsConfig:
    """What text is made of: tokens for the decoder, units for the CTC at the latent layer."""

    normalization: NormalizationConfig = field(default_factory=NormalizationConfig)
    """what is done to text before anything else"""
    tokens: SentencePieceConfig = field(default_factory=SentencePieceConfig)
    """what the decoder writes"""
    units: EspeakConfig | LexiconConfig | SubwordsConfig = field(default_factory=SubwordsConfig)
    """what the CTC at the latent layer writes"""


@dataclass(frozen=True)
class Units:
    """Everything between text and ids. Can be pickled."""

    tokens: SubwordTokenizer
    units: UnitVocabulary
    config: UnitsConfig


def save_units(units: Units, folder: Path) -> None:
    """Write a folder of `units.yaml`, `tokens/`, `units/`, in place of one that is there: all or nothing."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "units.yaml").exists():
        raise ConfigError(f"{folder}: holds something else than units; give another folder")
    draft = folder.with_name(f"{folder.name}.tmp{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    units.tokens.save(draft / "tokens")
    units.units.save(draft / "units")
    (draft / "units.yaml").write_text(dump_config(units.config), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def load_units(folder: Path | str) -> Units:
    """Read what `save_units` wrote. Raises DataError for a missing, incomplete or inconsistent folder."""
    folder = Path(folder)
    try:
        config = load_config(UnitsConfig, folder / "units.yaml")
    except ConfigError as error:
        raise DataError(f"{folder}: not a folder of units: {error}; run stage 2") from None
    return Units(SubwordTokenizer.load(folder / "tokens"), UnitVocabulary.load(folder / "units"), config)
