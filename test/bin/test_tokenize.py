"""The command of stage 2."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stxlib.bin.tokenize import main, read_sentences
from stxlib.data.tables import read_table
from stxlib.errors import ConfigError, DataError
from stxlib.text.saved import load_units

TRAIN = {"a-1": "Turn on the light", "a-2": "turn off the light", "b-1": "what's the weather in Zürich?"}
DEV = {"c-1": "turn on the жar", "c-2": "the weather"}


def write_set(folder: Path, text: dict[str, str], durations: bool = False) -> Path:
    folder.mkdir(parents=True)
    (folder / "text").write_text("".join(f"{utt} {line}\n" for utt, line in text.items()), "utf-8")
    if durations:
        (folder / "utt2dur").write_text("".join(f"{utt} 2.0\n" for utt in text))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_set(tmp_path / "train", TRAIN, durations=True)
    write_set(tmp_path / "dev", DEV)
    (tmp_path / "untranscribed").mkdir()
    (tmp_path / "units.yaml").write_text(
        "normalization:\n  case: lower\n  punctuation: remove\n"
        "tokens:\n  vocab_size: 40\n  symbols: [<asr>]\nunits:\n  kind: subwords\n"
    )
    return tmp_path


def tokenize(data: Path, *options: str, out: str = "out") -> None:
    sets = [str(data / name) for name in ("train", "dev", "untranscribed")]
    common = ["--config", str(data / "units.yaml"), "--train", str(data / "train" / "text")]
    main([*common, "--sets", *sets, "--out", str(data / out), *options])


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_writes_units_beside_the_data(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenize(data)
    units = load_units(data / "out")
    assert units.tokens.decode(units.tokens.encode("Turn ON, the <asr> light")) == "turn on the <asr> light"
    stream = read_table(data / "train" / "units")
    assert list(stream) == list(TRAIN)
    for utt, text in TRAIN.items():
        assert units.units.encode(stream[utt].split()) == units.tokens.encode(text)
    assert "<unk>" in read_table(data / "dev" / "units")["c-1"].split()
    assert not (data / "untranscribed" / "units").exists()

    lines = capsys.readouterr().out.splitlines()
    assert f"tokens: {units.tokens.vocab_size} (unigram, 1 of them configured symbols)" in lines
    num_tokens = sum(len(units.tokens.encode(text)) for text in TRAIN.values())
    (row,) = (line.split() for line in lines if line.startswith(f"{data / 'train'} "))
    assert row[1:] == [
        *("3", "13", f"{num_tokens / 13:.2f}", f"{num_tokens / 6:.2f}"),
        *(f"{num_tokens / 13:.2f}", f"{num_tokens / 6:.2f}", "0", "(0.00%)", "0", "(0.00%)"),
    ]
    (row,) = (line.split() for line in lines if line.startswith(f"{data / 'dev'} "))
    assert row[4] == row[6] == "-" and row[7] == row[9] == "1"
    assert f"{data / 'dev'}: characters without a token: ж" in lines
    assert f"{data / 'dev'}: units that the training text lacks: <unk>" in lines
    assert f"{data / 'untranscribed'}: no text, so no units" in lines


def test_the_same_twice(data: Path) -> None:
    tokenize(data)
    before = contents(data)
    tokenize(data)
    assert contents(data) == before
    assert "train/units" in before and "out/tokens/sentencepiece.model" in before
    tokenize(data, out="other")
    assert contents(data / "other") == contents(data / "out")


def test_phones(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("espeakng_loader")
    tokenize(data, "--units.kind", "espeak")
    assert read_table(data / "train" / "units")["a-1"] == "t ɜː n ɔ n ð ə l aɪ t"
    assert "(espeak)" in capsys.readouterr().out


def test_a_lexicon_must_have_the_words_of_all_sets(data: Path) -> None:
    words = sorted({word for text in TRAIN.values() for word in text.lower().rstrip("?").split()})
    lexicon = data / "lexicon.txt"
    lexicon.write_text("".join(f"{word}\t{' '.join(word)}\n" for word in words), "utf-8")
    options = ["--units.kind", "lexicon", "--units.path", str(lexicon)]
    with pytest.raises(DataError, match=r"no pronunciation for 1 words of the text \(times\): жar \(1\)"):
        tokenize(data, *options)
    assert not (data / "out").exists() and not (data / "train" / "units").exists()
    lexicon.write_text(lexicon.read_text("utf-8") + "жar\tzh a r\n", "utf-8")
    tokenize(data, *options)
    assert read_table(data / "dev" / "units")["c-1"].endswith("zh a r")


def test_a_small_text_is_said_to_cap_the_vocabulary(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenize(data, "--tokens.vocab_size", "4000")
    size = load_units(data / "out").tokens.num_pieces
    assert (
        f"vocab_size 4000 is more than the text can fill: capped at {size} tokens" in capsys.readouterr().out
    )


def test_an_utterance_without_words_has_one_unknown_unit(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_set(data / "odd", {"o-1": "...", "o-2": "the light"})
    tokenize(data, "--sets", str(data / "odd"))
    assert read_table(data / "odd" / "units")["o-1"] == "<unk>"
    assert "1 utterances without a token after normalization: o-1" in capsys.readouterr().out


def test_forms_of_text(data: Path) -> None:
    sentences = list(TRAIN.values())
    (data / "plain.txt").write_text("\n".join([*sentences, "", "last\u2028line"]), "utf-8-sig")
    (data / "plain.txt.gz").write_bytes(gzip.compress((data / "plain.txt").read_bytes()))
    assert read_sentences(data / "train") == read_sentences(data / "train" / "text") == sentences
    for name in ("plain.txt", "plain.txt.gz"):
        assert read_sentences(data / name) == [*sentences, "last\u2028line"]
    (data / "bad.gz").write_bytes(b"no gzip")
    for name in ("bad.gz", "none.txt", "none", "untranscribed"):
        with pytest.raises(DataError):
            read_sentences(data / name)


def test_errors(data: Path) -> None:
    with pytest.raises(DataError, match="no such data directory"):
        tokenize(data, "--sets", str(data / "nowhere"))
    with pytest.raises(
        ConfigError, match=r"5 tokens cannot hold the characters of the text; at least \d+ are needed"
    ):
        tokenize(data, "--tokens.vocab_size", "5")
    with pytest.raises(ConfigError, match="train: no text"):
        main(["--train", "--out", str(data / "out")])


def test_as_a_command(data: Path) -> None:
    """Another process and hash seed give the same bytes; a user's error is one line."""
    tokenize(data)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "stxlib.bin.tokenize", "--config", str(data / "units.yaml"), "--out"]
    train = ["--train", str(data / "train")]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([*command, str(data / "again"), *train], cwd=root, env=environment, check=True)
    assert contents(data / "again") == contents(data / "out")
    failed = subprocess.run(
        [*command, str(data / "bad"), "--train", "nowhere"], cwd=root, capture_output=True, text=True
    )
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: nowhere") and len(failed.stderr.splitlines()) == 1
