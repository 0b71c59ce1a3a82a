"""The folder of units: written, read back, and refused."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stxlib.errors import ConfigError, DataError
from stxlib.text import espeak
from stxlib.text.lexicon import LexiconConfig
from stxlib.text.normalize import NormalizationConfig
from stxlib.text.phones import EspeakConfig, SubwordsConfig
from stxlib.text.saved import Units, UnitsConfig, load_units, save_units
from stxlib.text.target_vocabulary import TargetsConfig, TargetVocabulary
from stxlib.text.targets import Targets
from stxlib.text.text_to_units import TextToUnits
from stxlib.text.tokenizer import SentencePieceConfig, SubwordTokenizer

LINES = ["Turn it on!", "turn 打开 off", "Поверни"]
WORDS = ["turn", "it", "on", "打开", "off", "поверни"]


@pytest.fixture(autouse=True)
def speak_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters in place of eSpeak's phones."""

    def phonemize(lines: Sequence[str], voice: str) -> list[list[list[str]]]:
        return [[list(word) for word in line.split()] for line in lines]

    monkeypatch.setattr(espeak, "phonemize", phonemize)


def make(units: Any, **options: Any) -> tuple[Units, list[list[str]]]:
    config = UnitsConfig(
        normalization=NormalizationConfig(case="lower", punctuation="remove", **options),
        tokens=SentencePieceConfig(vocab_size=60, symbols=("<asr>", "turn!")),
        units=units,
    )
    tokens = SubwordTokenizer.train(LINES, config.tokens, config.normalization)
    to_units = TextToUnits(config, tokens)
    symbols = to_units(LINES)
    return Units(tokens, to_units.vocabulary(symbols), config), symbols


@pytest.mark.parametrize("kind", ["espeak", "subwords", "lexicon"])
def test_units_come_back(kind: str, tmp_path: Path) -> None:
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("".join(f"{w}\t{' '.join(w)}\n" for w in [*WORDS, "zoo"]), "utf-8")
    configs: dict[str, Any] = {
        "espeak": EspeakConfig(voice="ru"),
        "subwords": SubwordsConfig(),
        "lexicon": LexiconConfig(path=lexicon),
    }
    units, symbols = make(configs[kind])
    save_units(units, tmp_path / "exp" / "units")
    lexicon.unlink()  # the folder alone is enough
    shutil.copytree(tmp_path / "exp" / "units", tmp_path / "model" / "units")
    copy = load_units(tmp_path / "model" / "units")
    assert copy.config == units.config
    assert copy.tokens.symbols == units.tokens.symbols
    assert copy.units.symbols == units.units.symbols
    ids = [copy.units.encode(line) for line in symbols]
    assert [copy.units.decode(line) for line in ids] == symbols
    assert all(0 < i < copy.units.vocab_size and i != 1 for line in ids for i in line)
    assert ("z" in copy.units.symbols) == (kind == "lexicon")  # the whole lexicon's phones
    assert pickle.loads(pickle.dumps(copy)).tokens.symbols == units.tokens.symbols


def test_subword_units_have_the_ids_of_tokens() -> None:
    units, symbols = make(SubwordsConfig())
    for line, pieces in zip(LINES, symbols, strict=True):
        assert units.units.encode(pieces) == units.tokens.encode(line)
    assert units.units.symbols == units.tokens.symbols[: units.tokens.num_pieces]


def test_symbols_are_not_spoken() -> None:
    for config in (EspeakConfig(), SubwordsConfig()):
        units, _ = make(config)
        to_units = TextToUnits(units.config, units.tokens)
        assert to_units(["<asr> turn! it on", "<asr>"]) == [*to_units(["it on"]), []]


def test_phones_are_made_of_words_where_tokens_have_no_blanks() -> None:
    _, symbols = make(EspeakConfig(word_boundary=True), whitespace="remove")
    assert symbols[0] == ["t", "u", "r", "n", "|", "i", "t", "|", "o", "n"]


def test_saving_again_replaces_everything(tmp_path: Path) -> None:
    folder = tmp_path / "units"
    units, _ = make(EspeakConfig())
    save_units(units, folder)
    (folder / "tokens" / "stale").touch()
    save_units(units, folder)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "tokens/sentencepiece.model",
        "tokens/symbols.txt",
        "tokens/tokenizer.yaml",
        "units.yaml",
        "units/symbols.txt",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["units"]


def make_with_targets() -> Units:
    units, _ = make(SubwordsConfig())
    config = replace(units.config, targets=TargetsConfig(tasks=("asr", "intent")))
    vocabulary = TargetVocabulary.of(
        config.targets, [("intent", "turn_on"), ("scenario", "turn"), ("action", "on")]
    )
    symbols = (*config.tokens.symbols[1:], *vocabulary.symbols())
    tokens = SubwordTokenizer.train(LINES, replace(config.tokens, symbols=symbols), config.normalization)
    return Units(tokens, units.units, config, Targets(vocabulary))


def test_targets_come_back(tmp_path: Path) -> None:
    units = make_with_targets()
    save_units(units, tmp_path / "units")
    copy = load_units(tmp_path / "units")
    assert copy.config == units.config
    assert copy.targets.vocabulary == units.targets.vocabulary
    assert copy.targets.symbols == copy.tokens.symbols[-4:] != ()
    assert pickle.loads(pickle.dumps(copy)).targets.symbols == copy.targets.symbols
    (tmp_path / "units" / "targets.yaml").write_text("tasks: [asr]\nentity_tags: own\n")
    with pytest.raises(DataError, match="not a vocabulary of targets"):
        load_units(tmp_path / "units")


def test_symbols_of_targets_are_tokens() -> None:
    units = make_with_targets()
    tokens = SubwordTokenizer.train(LINES, units.config.tokens, units.config.normalization)
    with pytest.raises(DataError, match="symbols of targets without a token: <intent>"):
        replace(units, tokens=tokens)


def test_recognition_alone_has_no_file_of_targets(tmp_path: Path) -> None:
    save_units(make(SubwordsConfig())[0], tmp_path / "units")
    assert not (tmp_path / "units" / "targets.yaml").exists()
    assert "targets" not in (tmp_path / "units" / "units.yaml").read_text()
    loaded = load_units(tmp_path / "units")
    assert loaded.targets.symbols == () and loaded.targets.tasks == ("asr",)


def test_a_word_that_looks_like_a_symbol_of_targets_is_spoken() -> None:
    units = make_with_targets()
    spelt = TextToUnits(units.config, units.tokens)(["<intent>"])
    assert spelt == [[units.tokens.symbols[i] for i in units.tokens.encode("<intent>", with_symbols=False)]]
    assert "<intent>" not in spelt[0]


def test_another_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="holds something else"):
        save_units(make(EspeakConfig())[0], tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_damaged_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder of units"):
        load_units(tmp_path)
    save_units(make(EspeakConfig())[0], tmp_path)
    (tmp_path / "units" / "symbols.txt").unlink()
    with pytest.raises(DataError, match="not a table of units"):
        load_units(tmp_path)
