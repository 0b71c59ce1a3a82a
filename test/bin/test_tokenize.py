"""The command of stage 2."""

from __future__ import annotations

import gzip
import os
import re
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
        "tokens:\n  vocab_size: 40\n  symbols: [<noise>]\nunits:\n  kind: subwords\n"
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
    assert (
        units.tokens.decode(units.tokens.encode("Turn ON, the <noise> light")) == "turn on the <noise> light"
    )
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
    with pytest.raises(ConfigError, match="one of the two and not both"):
        main(["--train", "--out", str(data / "out")])


def label(data: Path) -> list[str]:
    """Label streams of the sets, and the options that ask for all tasks."""
    (data / "train" / "text").write_text("a-1 wake bob's dog ! in rome\na-2 go\nb-1 hi !\n")
    (data / "train" / "semantics").write_text(
        'a-1 {"intent": "alarm_set", "slots": {"who": "bob"}}\na-2 {"intent": "move"}\nb-1 {"intent": "move"}\n'
    )
    (data / "train" / "entities").write_text(
        'a-1 [{"type": "PERSON", "filler": "bob"}, {"type": "GPE", "filler": "Rome"}]\na-2 []\nb-1 []\n'
    )
    (data / "more").mkdir()
    (data / "more" / "sentiment").write_text("x-1 Positive\nx-2 Negative\n")
    (data / "more" / "parse").write_text("x-1 [IN:GO go [SL:WHERE rome ] ]\n")
    (data / "dev" / "intent").write_text("c-1 alarm_set\nc-2 music_set\n")
    (data / "dev" / "entities").write_text(
        'c-1 [{"type": "GPE", "filler": "oslo"}]\nc-2 [{"type": "ORG", "filler": "weather"}]\n'
    )
    tasks = ["--targets.tasks", "asr", "intent", "slu", "ner", "sentiment", "parse"]
    return [*tasks, "--labels", str(data / "train"), str(data / "more")]


def test_targets(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = label(data)
    tokenize(data, *options)
    units = load_units(data / "out")
    targets = units.targets
    assert targets.symbols[6:] == (
        *("<scenario:alarm>", "<scenario:move>", "<action:set>", "<slot:who>"),
        *("<sentiment:Negative>", "<sentiment:Positive>", "<GPE>", "<PERSON>"),
        *("[IN:GO", "[SL:WHERE", "<join>", "<apart>", "]"),
    )
    assert units.tokens.symbols[-len(targets.symbols) - 1 :] == ("<noise>", *targets.symbols)
    assert targets.classes("intent") == ("alarm_set", "move")

    lines = capsys.readouterr().out.splitlines()
    assert (
        f"tokens: {units.tokens.vocab_size} (unigram, 1 of them configured symbols, 19 symbols of targets)"
        in lines
    )
    assert (
        "targets: 2 intent, 2 scenario, 1 action, 1 slot, 2 sentiment, 2 entity, 2 bracket; "
        "tasks asr intent slu ner sentiment parse" in lines
    )
    dev = f"{data / 'dev'}: "
    assert [line.removeprefix(dev) for line in lines if line.startswith(dev)] == [
        "characters without a token: t u ж",
        "units that the training text lacks: <unk>",
        "intent: 1 utterances have what the training set lacks: intent music_set, scenario music (c-2)",
        "ner: 1 utterances have what the training set lacks: entity ORG (c-2)",
        "ner: of 1 entities, 1 not_found",
    ]
    assert f"{data / 'train'}: ner: of 2 entities, 1 other_case" in lines

    before = contents(data / "out")
    tokenize(data, *options)
    assert contents(data / "out") == before and "targets.yaml" in before


def test_symbols_are_added_to_other_units(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = label(data)
    tokenize(data)
    spelt = read_table(data / "train" / "units")
    base = ["--base", str(data / "out"), "--sets", str(data / "dev"), "--out"]
    main([*base, str(data / "more_units"), *options])
    printed = capsys.readouterr().out
    assert "dev: intent: 1 utterances have what the training set lacks" in printed
    old, new = load_units(data / "out"), load_units(data / "more_units")
    assert new.tokens.symbols == (*old.tokens.symbols, *new.targets.symbols)
    assert new.units.symbols == old.units.symbols and len(new.targets.symbols) == 19
    assert re.search(r"dev: \d of \d+ tokens are unknown; characters without a token: .*ж\n", printed)
    assert read_table(data / "train" / "units") == spelt
    with pytest.raises(ConfigError, match="out: is the folder of --base"):
        main([*base, str(data / "out"), *options])
    with pytest.raises(ConfigError, match="has symbols of targets already"):
        main(["--base", str(data / "more_units"), "--out", str(data / "third"), *options])
    (data / "units.yaml").write_text("tokens: {vocab_size: 40, symbols: [<slu>]}\n")
    with pytest.raises(
        ConfigError, match="tokens.symbols: <slu>: a symbol of the targets as well; leave it out"
    ):
        tokenize(data, *options)


def test_words_that_look_like_symbols_are_learnt_as_words(data: Path) -> None:
    tokenize(data, *label(data), "--targets.entity_tags", "slue_raw", "--normalization.punctuation", "keep")
    units = load_units(data / "out")
    target = units.targets.encode("asr", {"text": "hi !"})
    ids = units.tokens.encode(target)
    assert target == "hi \\!" and all(i < units.tokens.num_pieces and i != units.tokens.unk for i in ids)
    assert units.targets.decode("asr", units.tokens.decode(ids)).streams == {"text": "hi !"}
    assert "!" in "".join(read_table(data / "train" / "units")["b-1"].split())


def test_words_that_look_like_symbols_are_written_with_the_pieces_of_others(data: Path) -> None:
    """The folder of --base has no backslash, and full-width signs become the plain ones that are symbols."""
    options = [*label(data), "--targets.entity_tags", "slue_raw"]
    (data / "units.yaml").write_text("tokens: {vocab_size: 40}\n")
    tokenize(data)
    main(["--base", str(data / "out"), "--out", str(data / "grown"), *options])
    units = load_units(data / "grown")
    assert units.tokens.config.symbols == ("\\", *units.targets.symbols)
    for text in ("hi !", "hi ！"):
        ids = units.tokens.encode(units.targets.encode("asr", {"text": text}))
        assert units.tokens.unk not in ids
        assert units.targets.decode("asr", units.tokens.decode(ids)).streams == {"text": "hi !"}


def test_recognition_alone_is_as_if_there_were_no_labels(data: Path) -> None:
    label(data)
    tokenize(data)
    tokenize(data, "--labels", str(data / "train"), out="other")
    assert contents(data / "other") == contents(data / "out")
    assert not any(name.startswith("targets") for name in contents(data / "out"))


def test_errors_of_labels(data: Path) -> None:
    options = label(data)
    with pytest.raises(ConfigError, match=r"slu: no stream semantics in --labels \(no folder was given\)"):
        tokenize(data, "--targets.tasks", "slu")
    with pytest.raises(ConfigError, match=r"intent: no stream intent or semantics in --labels \(.*more\)"):
        tokenize(data, "--targets.tasks", "intent", "--labels", str(data / "more"))
    with pytest.raises(ConfigError, match="ner: no stream text/entities"):
        tokenize(data, "--targets.tasks", "ner", "--labels", str(data / "more"))
    with pytest.raises(DataError, match="nowhere: no such data directory"):
        tokenize(data, "--targets.tasks", "ner", "--labels", str(data / "nowhere"))
    (data / "more" / "parse").write_text("x-1 [IN:GO go\n")
    with pytest.raises(DataError, match="more/parse: x-1: .* not closed"):
        tokenize(data, *options)
    assert not (data / "out").exists()


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
