"""The sets of released corpora: what goes into their folders, and what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from stxlib.data.corpus_set import CorpusSet, count_text, distinct_text, find_corpus, measure_files
from stxlib.data.dropped import read_dropped
from stxlib.data.tables import read_table
from stxlib.errors import ConfigError, DataError


def write_wave(path: Path, num_samples: int, rate: int = 8000) -> Path:
    soundfile.write(path, np.zeros(num_samples, dtype=np.float32), rate)
    return path


@pytest.fixture
def rows(tmp_path: Path) -> CorpusSet:
    rows = CorpusSet(num_rows=2)
    for utt, words, count in (("b", "two words", 400), ("a", "one", 801)):
        path = write_wave(tmp_path / f"{utt}.wav", count)
        rows.add(utt, f"rows.tsv:{count}", {"text": words, "utt2spk": "s"}, path)
    return rows


def test_tables_are_sorted_and_have_lengths_from_the_headers(rows: CorpusSet, tmp_path: Path) -> None:
    data = rows.write(tmp_path / "set")
    assert data.utts == ("a", "b")
    assert (tmp_path / "set" / "text").read_text() == "a one\nb two words\n"
    assert (tmp_path / "set" / "utt2num_samples").read_text() == "a 801\nb 400\n"
    assert (tmp_path / "set" / "utt2dur").read_text() == "a 0.1001\nb 0.0500\n"
    assert not (tmp_path / "set" / "left_out.txt").exists()


def test_what_is_dropped_is_in_no_table_and_in_the_list(
    rows: CorpusSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows.drop("b", "too loud")
    rows.write(tmp_path / "set")
    for stream in ("wav.scp", "text", "utt2spk", "utt2dur", "utt2num_samples"):
        assert list(read_table(tmp_path / "set" / stream)) == ["a"]
    assert read_dropped(tmp_path / "set") == {"b": "too loud (rows.tsv:400)"}
    assert capsys.readouterr().out == "set: 1 left out: too loud (b)\n"


def test_audio_that_is_missing_empty_or_broken(rows: CorpusSet, tmp_path: Path) -> None:
    for utt, content in (("c", b""), ("d", b"no audio at all"), ("e", None)):
        path = tmp_path / f"{utt}.wav"
        if content is not None:
            path.write_bytes(content)
        rows.add(utt, f"rows.tsv:{utt}", {"text": "x", "utt2spk": "s"}, path)
    rows.add("f", "rows.tsv:f", {"text": "x", "utt2spk": "s"}, write_wave(tmp_path / "f.wav", 0))
    with pytest.raises(
        DataError, match=r"rows.tsv:c: utterance 'c': .*empty.*\(4 such in this set\); .*--fix true"
    ):
        rows.write(tmp_path / "set")
    assert not (tmp_path / "set").exists()
    assert rows.write(tmp_path / "set", fix=True).utts == ("a", "b")
    reasons = {utt: reason.partition(" (")[0] for utt, reason in read_dropped(tmp_path / "set").items()}
    broken = "its audio cannot be read"
    assert reasons == {"c": broken, "d": broken, "e": "its audio is missing", "f": broken}


def test_set_of_which_nothing_is_left(rows: CorpusSet, tmp_path: Path) -> None:
    for utt in ("a", "b"):
        rows.drop(utt, "no words")
    with pytest.raises(DataError, match="set: no row of 2 can be used"):
        rows.write(tmp_path / "set")


def test_measures_in_the_order_that_is_given(tmp_path: Path) -> None:
    paths = {f"u{number}": write_wave(tmp_path / f"{number}.wav", 10 + number, 16000) for number in range(20)}
    lengths, unreadable = measure_files(paths)
    assert lengths == {f"u{number}": (10 + number, 16000) for number in range(20)} and not unreadable


def test_distinct_text_keeps_labels_and_the_first_of_equal_rows() -> None:
    rows = CorpusSet()
    for utt, words, intent in (("b", "go", "X"), ("a", "go", "X"), ("c", "go", "Y")):
        rows.add(utt, utt, {"text": words, "intent": intent, "utt2spk": utt}, Path("x.wav"))
    text = distinct_text(rows)
    assert text.tables == {"text": {"text-a": "go", "text-c": "go"}, "intent": {"text-a": "X", "text-c": "Y"}}
    assert not text.audio and text.num_rows == 2


def test_count_is_told_where_it_is_not_that_of_the_release() -> None:
    assert count_text("dev", "rows", 3, 3, "paper") is None and count_text("dev", "rows", 3, None, "") is None
    told = count_text("dev", "rows", 1234, 2000, "paper")
    assert told is not None and "dev has 1,234 rows, and the release 2,000 (paper)" in told


def test_corpus_is_looked_for_where_it_may_lie(tmp_path: Path) -> None:
    (tmp_path / "up" / "inner").mkdir(parents=True)
    (tmp_path / "up" / "inner" / "mark").write_text("")
    marks = [(".", "mark"), ("inner", "mark")]
    out = tmp_path / "data"
    for given in ("up", "up/inner"):
        assert find_corpus(tmp_path / given, out, marks) == (tmp_path / "up" / "inner").resolve()
    with pytest.raises(ConfigError, match="has no mark nor none/mark"):
        find_corpus(tmp_path / "up", out, [(".", "mark"), ("none", "mark")])
    with pytest.raises(ConfigError, match="there is no such folder"):
        find_corpus(tmp_path / "nowhere", out, marks)
    for overlapping in (tmp_path / "up", tmp_path / "up" / "data", tmp_path):
        with pytest.raises(ConfigError, match="which is never written to"):
            find_corpus(tmp_path / "up", overlapping, marks)
