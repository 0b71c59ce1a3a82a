"""Units: their table, eSpeak's phones, words joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from stxlib.errors import DataError
from stxlib.text import espeak
from stxlib.text.phones import EspeakG2P, UnitVocabulary, flatten_words


def test_table_of_units(tmp_path: Path) -> None:
    vocabulary = UnitVocabulary.of(["t", "ɔː", "<unk>", "a", "t"])
    assert vocabulary.symbols == ("<blank>", "<unk>", "a", "t", "ɔː")
    assert vocabulary.vocab_size == 5
    assert vocabulary.encode(["t", "x", "ɔː", "<unk>"]) == [3, 1, 4, 1]
    assert vocabulary.decode([0, 3, 1, 4]) == ["t", "<unk>", "ɔː"]
    vocabulary.save(tmp_path)
    assert UnitVocabulary.load(tmp_path).symbols == vocabulary.symbols


@pytest.mark.parametrize("symbols", [("a", "b"), ("<blank>", "<unk>", "a", "a"), ("<blank>", "<unk>", "a b")])
def test_bad_tables(symbols: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected"):
        UnitVocabulary(symbols)
    (tmp_path / "symbols.txt").write_text("\n".join(symbols), "utf-8")
    with pytest.raises(DataError, match=r"symbols\.txt: not a table of units"):
        UnitVocabulary.load(tmp_path)


def test_word_boundaries_stand_between_words_that_are_spoken() -> None:
    words = [[], ["h", "aɪ"], [], ["ð", "ɛɹ"], []]
    assert flatten_words(words, word_boundary=False) == ["h", "aɪ", "ð", "ɛɹ"]
    assert flatten_words(words, word_boundary=True) == ["h", "aɪ", "|", "ð", "ɛɹ"]
    assert flatten_words([], word_boundary=True) == []


def test_equal_lines_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def phonemize(lines: Sequence[str], voice: str) -> list[list[list[str]]]:
        asked.append(list(lines))
        return [[list(word) for word in line.split()] for line in lines]

    monkeypatch.setattr(espeak, "phonemize", phonemize)
    assert EspeakG2P("de")(["Ab c", "d", "ab C"]) == [[["a", "b"], ["c"]], [["d"]], [["a", "b"], ["c"]]]
    assert EspeakG2P("de", lower=False)(["Ab", "ab"]) == [[["A", "b"]], [["a", "b"]]]
    assert asked == [["ab c", "d"], ["Ab", "ab"]]


@pytest.mark.slow
def test_processes_give_what_one_process_gives() -> None:
    pytest.importorskip("espeakng_loader")
    words = [*"abcdefgh", "turn", "off", "every", "light", "the", "kitchen", "seven"]
    lines = [f"{a} {b} {c} {d}" for a in words for b in words for c in words[:6] for d in words[-6:]]
    assert len(set(lines)) >= 8000
    assert EspeakG2P(num_jobs=2)(lines) == EspeakG2P()(lines)
