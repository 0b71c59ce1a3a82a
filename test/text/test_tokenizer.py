"""Subword tokens: round trips, ids, caps."""

from __future__ import annotations

import logging
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxlib.errors import ConfigError, DataError
from stxlib.text.normalize import NormalizationConfig, normalize
from stxlib.text.tokenizer import SPECIALS, SentencePieceConfig, SubwordTokenizer

LINES = [
    "turn on the light in the kitchen",
    "what's the weather in Zürich tomorrow?",
    "включи свет на кухне",
    "打开厨房的灯",
    "キッチンの電気をつけて",
    "रसोई की बत्ती जला दो",
    "افتح الضوء في المطبخ",
    "ฉันต้องการเปิดไฟ",
    "부엌 불 켜줘",
]
CHARACTERS = "".join(sorted(set("".join(LINES))))
# Not st.text(): what any code point does is more quickly drawn than looked up by category.
ANYTHING = st.lists(
    st.sampled_from(CHARACTERS + " <>!]") | st.integers(0, 0x10FFFF).map(chr), max_size=20
).map("".join)
KINDS = ("unigram", "bpe", "char")


def train(lines: list[str] = LINES, **options: Any) -> SubwordTokenizer:
    normalization = options.pop("normalization", None)
    return SubwordTokenizer.train(lines, SentencePieceConfig(**options), normalization)


TOKENIZERS = {kind: train(model_type=kind, vocab_size=160, symbols=("<asr>", "!", "]")) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)  # a busy machine is no defect
@given(
    text=st.text(alphabet=CHARACTERS + " ") | st.lists(st.sampled_from([*LINES, "<asr>", "!"])).map(" ".join)
)
def test_text_comes_back(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = tokenizer.encode(text)
    assert tokenizer.unk not in ids
    assert tokenizer.decode(ids) == normalize(text, tokenizer.normalization)


BYTES = train(["hello world"], vocab_size=280, byte_fallback=True)


@settings(deadline=None)  # a busy machine is no defect
@given(text=ANYTHING)
def test_bytes_write_what_the_training_text_lacks(text: str) -> None:
    tokenizer = BYTES
    ids = tokenizer.encode(text)
    assert tokenizer.unk not in ids
    assert tokenizer.decode(ids) == normalize(text, tokenizer.normalization)


@settings(deadline=None)  # a busy machine is no defect
@given(text=ANYTHING, ids=st.lists(st.integers(0, 80)))
def test_anything_can_be_encoded_and_decoded(text: str, ids: list[int]) -> None:
    for tokenizer in TOKENIZERS.values():
        assert all(0 <= i < tokenizer.vocab_size for i in tokenizer.encode(text))
        decoded = tokenizer.decode(ids)
        assert decoded == " ".join(decoded.split())


@pytest.mark.parametrize("kind", KINDS)
def test_ids(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    assert tokenizer.symbols[:4] == SPECIALS
    assert (tokenizer.blank, tokenizer.unk, tokenizer.sos, tokenizer.eos) == (0, 1, 2, 3)
    assert tokenizer.symbols[-3:] == ("<asr>", "!", "]")
    assert tokenizer.vocab_size == len(tokenizer.symbols) == tokenizer.num_pieces + 3
    ids = tokenizer.encode(LINES[0])
    assert "".join(tokenizer.symbols[i] for i in ids).replace("▁", " ").strip() == LINES[0]
    assert tokenizer.decode([2, *ids, 0, 3]) == LINES[0]


def test_a_symbol_is_one_token_and_untouched_by_normalization() -> None:
    tokenizer = train(
        ["take me to paris", "go to berlin"],
        vocab_size=40,
        symbols=("<SLU>", "!", "]"),
        normalization=NormalizationConfig(case="lower", punctuation="remove"),
    )
    text = "<SLU> Take me to ! Paris ] <slu>"
    ids = tokenizer.encode(text)
    assert [tokenizer.symbols[i] for i in ids if i >= tokenizer.num_pieces] == ["<SLU>", "!", "]"]
    # what is glued to a word, or in the other case, is text
    assert tokenizer.decode(ids) == "<SLU> take me to ! paris ] sl\u2047"
    assert tokenizer.decode(tokenizer.encode("paris!")) == "paris"
    assert all(i < tokenizer.num_pieces for i in tokenizer.encode("go to ] paris", with_symbols=False))


def test_the_mark_of_escaped_words_can_always_be_written() -> None:
    """Pieces that were learnt from words alone get it with the symbols, glued to the word after it."""
    tokenizer = train(["fifty % of it is in % rome ]"], vocab_size=40)
    assert tokenizer.unk in tokenizer.encode("\\% of it")
    grown = tokenizer.extended(["<asr>", "%", "]"])
    assert grown.symbols == (*tokenizer.symbols, "\\", "<asr>", "%", "]")
    for text in ("fifty \\% of it is in % rome ]", "\\\\] \\% \\]", "% \\]"):
        ids = grown.encode(text)
        assert grown.unk not in ids and grown.decode(ids) == text and not grown.unknown(text)
    mark, asr, _, closing = range(grown.num_pieces, grown.vocab_size)
    assert [i for i in grown.encode("<asr> \\% ]") if i >= grown.num_pieces] == [asr, mark, closing]
    # Other words with backslashes are words, and what a network writes in vain is one.
    assert grown.unknown("a \\ \\it") == {"\\", "a"} and grown.unk in grown.encode("\\")
    assert grown.decode([mark, closing, mark]) == "\\ ] \\"
    assert pickle.loads(pickle.dumps(grown)).encode("\\%") == grown.encode("\\%")
    # It is not needed where text with it was learnt from, where it is dropped, and without symbols.
    assert "\\" not in train(["fifty \\% of"], vocab_size=40).extended(["%"]).config.symbols
    removing = NormalizationConfig(punctuation="remove")
    assert train(["fifty"], vocab_size=40, normalization=removing).extended(["%"]).config.symbols == ("%",)
    keeping = NormalizationConfig(punctuation="remove", punctuation_kept="%")
    kept = train(["fifty %"], vocab_size=40, normalization=keeping).extended(["%"])
    assert kept.config.symbols == ("\\", "%") and kept.decode(kept.encode("\\% %")) == "\\% %"
    assert tokenizer.extended([]).symbols == tokenizer.symbols


def test_unknown_characters() -> None:
    tokenizer = train(["abc abc"], vocab_size=20)
    ids = tokenizer.encode("abécxx a")
    assert ids.count(tokenizer.unk) == 2
    assert tokenizer.decode(ids) == "ab\u2047c\u2047 a"
    assert tokenizer.unknown("abécxx a") == {"é", "x"}


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_small_text_caps_the_vocabulary_and_warns(
    kind: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level(logging.WARNING):
        tokenizer = train(["yes no yes", "no no"], model_type=kind, vocab_size=5000)
    assert tokenizer.vocab_size < 30
    assert f"vocab_size 5000 is more than the text can fill: capped at {tokenizer.vocab_size}" in caplog.text
    tokenizer.save(tmp_path)
    assert f"\nvocab_size: {tokenizer.vocab_size}\n" in (tmp_path / "tokenizer.yaml").read_text()
    assert SubwordTokenizer.load(tmp_path).vocab_size == tokenizer.vocab_size


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_text_gives_the_asked_size_without_warning(
    kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnopqr", k=draw.randint(3, 9))) for _ in range(200)]
    lines = [" ".join(draw.choices(words, k=8)) for _ in range(200)]
    tokenizer = train(lines, model_type=kind, vocab_size=60)
    assert tokenizer.vocab_size == (60 if kind != "char" else 18 + 1 + 4)
    assert not caplog.records and tokenizer.cap_message is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_too_small_for_the_characters_is_an_error(kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"vocab_size: 8 tokens .* at least 23 .* raise vocab_size"):
        train(["abcdefghijklmnopqr"], model_type=kind, vocab_size=8)


def test_rare_characters_may_be_left_out() -> None:
    lines = ["ab ba " * 500, "ж"]
    tokenizer = train(lines, vocab_size=20, character_coverage=0.99)
    assert tokenizer.encode("ж")[-1] == tokenizer.unk


@pytest.mark.parametrize("lines", [[], [""], ["  ", "\u200b"], ["<asr>"]])
def test_text_without_words(lines: list[str]) -> None:
    with pytest.raises(DataError, match="no words"):
        train(lines, symbols=("<asr>",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 4}, "more than 4"),
        ({"max_lines": 0}, "at least 1 line"),
        ({"character_coverage": 0.5}, "0.9 to 1"),
        ({"symbols": ("a b",)}, "one word without blanks"),
        ({"symbols": ("",)}, "one word without blanks"),
        ({"symbols": ("<sos>",)}, "none of <blank>"),
        ({"symbols": ("x", "x")}, "twice"),
    ],
)
def test_bad_configs(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SentencePieceConfig(**options)


@pytest.mark.parametrize("kind", KINDS)
def test_training_twice_and_saving_give_the_same(kind: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(model_type=kind, vocab_size=160).save(tmp_path / name)
    SubwordTokenizer.load(tmp_path / "a").save(tmp_path / "c")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["sentencepiece.model", "symbols.txt", "tokenizer.yaml"]
    for name in files:
        content = (tmp_path / "a" / name).read_bytes()
        assert content == (tmp_path / "b" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


def test_max_lines_draws_the_same_lines() -> None:
    lines = [f"word{i} is {i * 7919}" for i in range(400)]
    one, other = (train(lines, vocab_size=60, max_lines=50) for _ in range(2))
    assert one.symbols == other.symbols != train(lines, vocab_size=60).symbols


def test_pickle() -> None:
    tokenizer = TOKENIZERS["unigram"]
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.symbols == tokenizer.symbols
    assert copy.encode("<asr> " + LINES[1]) == tokenizer.encode("<asr> " + LINES[1])


def test_scripts_without_blanks() -> None:
    tokenizer = train(["打开 厨房 的 灯", "打开 灯"], normalization=NormalizationConfig(whitespace="remove"))
    assert not any("▁" in symbol for symbol in tokenizer.symbols)
    assert tokenizer.decode(tokenizer.encode("打开 灯")) == "打开灯"


def test_damaged_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a saved tokenizer"):
        SubwordTokenizer.load(tmp_path)
    train(vocab_size=160).save(tmp_path)
    model = tmp_path / "sentencepiece.model"
    content = model.read_bytes()
    train(["abc"], vocab_size=20).save(tmp_path / "other")
    model.write_bytes((tmp_path / "other" / "sentencepiece.model").read_bytes())
    with pytest.raises(DataError, match=r"tokenizer\.yaml says \d+ tokens"):
        SubwordTokenizer.load(tmp_path)
    model.write_bytes(content[:100])
    with pytest.raises(DataError, match="not a saved tokenizer"):
        SubwordTokenizer.load(tmp_path)
