"""Normalization of any script."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxlib.text.normalize import NormalizationConfig, normalize

# Any code point, and those that have given trouble: other blanks, marks, joiners, changes of length with the case.
TRICKY = " \u00a0\u3000\u2028\x00\x1f\ufeff\u200b\u200c\u200d\u00ad'\u2019-.@$ßİıſŉΣςK\ufb01\uff21a\u0301\u0338=\u00b4\u2581"
TEXT = st.lists(st.sampled_from(TRICKY) | st.integers(0, 0x10FFFF).map(chr), max_size=30).map("".join)
CONFIGS = st.builds(
    NormalizationConfig,
    case=st.sampled_from(["keep", "lower", "upper"]),
    unicode=st.sampled_from(["none", "nfc", "nfkc"]),
    punctuation=st.sampled_from(["keep", "remove"]),
    punctuation_kept=st.sampled_from(["", "'", "'-@"]),
    whitespace=st.sampled_from(["collapse", "remove"]),
)


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("  Hello,\t World\u00a0\u3000! ", {}, "Hello, World !"),
        ("Hello, World!", {"case": "lower", "punctuation": "remove"}, "hello world"),
        ("don\u2019t \u201cstop\u201d", {"punctuation": "remove"}, "don't stop"),
        ("it's 5 @ $3", {"punctuation": "remove", "punctuation_kept": "@"}, "it s 5 @ 3"),
        ("straße", {"case": "upper"}, "STRASSE"),
        ("ΟΔΟΣ", {"case": "lower"}, "οδος".replace("σ", "ς")),
        ("\uff21\uff22\ufb01", {}, "ABfi"),
        ("\uff21\ufb01", {"unicode": "nfc"}, "\uff21\ufb01"),
        ("e\u0301", {}, "\u00e9"),
        ("e\u0301", {"unicode": "none"}, "e\u0301"),
        ("你好 ， 世界。", {"punctuation": "remove", "whitespace": "remove"}, "你好世界"),
        ("नमस्ते, दुनिया।", {"punctuation": "remove"}, "नमस्ते दुनिया"),
        ("می\u200cخواهم\ufeff", {}, "می\u200cخواهم"),
        ("co\u00adop\u200b", {}, "coop"),
        ("\u2581a\u2581b\x00c", {}, "a b c"),
        ("a \u0301 b", {"whitespace": "remove"}, "\u00e1b"),
        ("", {}, ""),
    ],
)
def test_normalize(text: str, options: dict[str, Any], expected: str) -> None:
    assert normalize(text, NormalizationConfig(**options)) == expected


@settings(deadline=None)  # a busy machine is no defect
@given(TEXT, CONFIGS)
def test_twice_is_once(text: str, config: NormalizationConfig) -> None:
    once = normalize(text, config)
    assert normalize(once, config) == once


@settings(deadline=None)  # a busy machine is no defect
@given(TEXT, CONFIGS)
def test_the_result_is_what_was_asked_for(text: str, config: NormalizationConfig) -> None:
    result = normalize(text, config)
    assert result.split() == [word for word in result.split(" ") if word]
    assert config.whitespace == "collapse" or not any(c.isspace() for c in result)
    categories = {unicodedata.category(c) for c in result if c not in config.punctuation_kept}
    assert not categories & {"Cc", "Cs"}
    if config.punctuation == "remove":
        assert not any(category[0] in "PS" for category in categories)
    if config.unicode == "nfkc":
        assert unicodedata.is_normalized("NFKC", result)
