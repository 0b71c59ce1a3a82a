"""Lexicons: both forms, what is missing, what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stxlib.errors import ConfigError, DataError
from stxlib.text.lexicon import LexiconConfig, LexiconG2P, read_lexicon

CMUDICT = """;;; a comment
'BOUT  B AW1 T
HELLO  HH AH0 L OW1
HELLO(1)  HH EH0 L OW1
DON'T  D OW1 N T
LIVE  L IH1 V
LIVE(2)  L AY1 V # the adjective

PARIS P EH1 R IH0 S
"""


def write(folder: Path, content: str) -> Path:
    path = folder / "lexicon.txt"
    path.write_text(content, "utf-8")
    return path


def g2p(folder: Path, content: str = CMUDICT, **options: Any) -> LexiconG2P:
    return LexiconG2P(LexiconConfig(path=write(folder, content), **options))


def test_cmudict_form(tmp_path: Path) -> None:
    lexicon = read_lexicon(write(tmp_path, CMUDICT))
    assert lexicon == {
        "'bout": ("B", "AW", "T"),
        "hello": ("HH", "AH", "L", "OW"),
        "don't": ("D", "OW", "N", "T"),
        "live": ("L", "IH", "V"),
        "paris": ("P", "EH", "R", "IH", "S"),
    }
    assert read_lexicon(tmp_path / "lexicon.txt", keep_stress=True)["hello"] == ("HH", "AH0", "L", "OW1")


def test_tab_form_in_any_script(tmp_path: Path) -> None:
    lexicon = read_lexicon(
        write(tmp_path, "\ufeffПривет\tp rʲ ɪ ˈvʲ e t\r\n你好\tn i3 x ao3\r\nZÜRICH\tts yː\r\n")
    )
    assert lexicon == {
        "привет": ("p", "rʲ", "ɪ", "vʲ", "e", "t"),
        "你好": ("n", "i3", "x", "ao3"),
        "zürich": ("ts", "yː"),
    }


def test_lines_become_phones_of_words(tmp_path: Path) -> None:
    lines = ["Hello, PARIS!", "don\u2019t 'live'", "", "- hello 'bout"]
    assert g2p(tmp_path)(lines) == [
        [["HH", "AH", "L", "OW"], ["P", "EH", "R", "IH", "S"]],
        [["D", "OW", "N", "T"], ["L", "IH", "V"]],
        [],
        [[], ["HH", "AH", "L", "OW"], ["B", "AW", "T"]],
    ]
    assert g2p(tmp_path).inventory >= {"HH", "AW", "T"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("HELLO  HH AH\nWORLD\n", r"lexicon\.txt:2: expected a word and its phones, not 'WORLD'"),
        ("NEW YORK\tN UW\n", r"lexicon\.txt:1: expected a word"),
        ("\n;;; nothing\n", "no words in it"),
    ],
)
def test_bad_lexicons(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_lexicon(write(tmp_path, content))


def test_unreadable_lexicons(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_lexicon(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes("DÉJÀ  D EY\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_lexicon(tmp_path / "latin.txt")


def test_all_missing_words_are_listed(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        g2p(tmp_path)(["hello wug", "wug blick", "hello"])
    assert "no pronunciation for 2 words" in str(error.value)
    assert "wug (2), blick (1); add them, or set units.missing" in str(error.value)
    with pytest.raises(DataError, match=r"for 50 words .* and 30 more"):
        g2p(tmp_path)([f"word{i}" for i in range(50)])


def test_espeak_speaks_what_is_missing(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    lines = ["hello Thing!"]
    assert g2p(tmp_path, missing="espeak")(lines) == [[["HH", "AH", "L", "OW"], ["θ", "ɪ", "ŋ"]]]
    assert g2p(tmp_path, missing="espeak_arpabet")(lines)[0][1] == ["TH", "IH", "NG"]


def test_arpabet_has_english_only(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    with pytest.raises(DataError, match=r"no pronunciation for 'tür', and eSpeak's phone .* none of CMUdict"):
        g2p(tmp_path, missing="espeak_arpabet", voice="de")(["tür"])
    with pytest.raises(ConfigError, match="without stress"):
        LexiconConfig(path=tmp_path, missing="espeak_arpabet", stress="keep")


def test_arpabet_covers_the_english_voice(tmp_path: Path, test_data: Path) -> None:
    pytest.importorskip("espeakng_loader")
    text = (test_data / "data" / "asr_speechocean" / "train" / "text").read_text("utf-8")
    words = sorted({word for line in text.splitlines() for word in line.split()[1:]})
    assert len(words) > 1000
    phones = g2p(tmp_path, missing="espeak_arpabet")([" ".join(words)])
    assert len({phone for word in phones[0] for phone in word}) == 39
