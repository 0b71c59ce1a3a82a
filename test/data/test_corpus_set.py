"""The sets of released corpora: what goes into their folders, and what is left out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stxlib.data import corpus_set
from stxlib.data.corpus_set import (
    CorpusSet,
    Measured,
    count_text,
    distinct_text,
    find_corpus,
    measure_files,
    merge,
)
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
        rows.drop(utt, f"no words of {utt}")
    reasons = "no row of 2 can be used, 1: no words of a, 1: no words of b; is it this corpus"
    with pytest.raises(DataError, match=f"set: {reasons}"):
        rows.write(tmp_path / "set")


def test_measures_in_the_order_that_is_given(tmp_path: Path) -> None:
    paths = {f"u{number}": write_wave(tmp_path / f"{number}.wav", 10 + number, 16000) for number in range(20)}
    measured = measure_files(paths)
    assert [*measured.items()] == [(f"u{number}", (10 + number, 16000)) for number in range(20)]


def test_a_recording_is_measured_once_whatever_is_made_of_its_set(
    rows: CorpusSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []

    def measure(paths: Mapping[str, Path]) -> dict[str, Measured]:
        counted.extend(paths)
        return measure_files(paths)

    monkeypatch.setattr(corpus_set, "measure_files", measure)
    rows.measure()
    whole = merge([rows])
    whole.add("c", "", {"text": "x", "utt2spk": "s"}, write_wave(tmp_path / "c.wav", 7))
    whole.write(tmp_path / "whole")
    rows.write(tmp_path / "set")
    assert sorted(counted) == ["a", "b", "c"]


def test_merged_sets_keep_what_was_dropped_and_counted_and_the_streams_of_all(
    rows: CorpusSet, tmp_path: Path
) -> None:
    rows.drop("b", "no words")
    other = CorpusSet(num_rows=4)
    cut = {"segments": "d 0.01 0.03", "utt2num_samples": "160", "utt2dur": "0.0200"}
    values = {"text": "x", "utt2spk": "s", "sentiment": "Neutral"}
    other.add("d", "", values | cut, write_wave(tmp_path / "d.wav", 800))
    other.add(
        "e", "table:7", values, tmp_path / "e.wav"
    )  # not there: how long its cut is was not to be known
    other.dropped.add("f", "too loud", "table:8")
    whole = merge([rows, CorpusSet(num_rows=3), other])
    assert whole.num_rows == 9
    with pytest.raises(DataError, match=r"table:7: utterance 'e': .*missing audio"):
        whole.write(tmp_path / "whole")
    data = whole.write(tmp_path / "whole", fix=True)
    assert data.streams == {"wav.scp", "segments", "text", "utt2spk", "utt2num_samples", "utt2dur"}
    assert data.table("segments") == {"a": "a 0 -1", "d": "d 0.01 0.03"}
    assert data.table("utt2num_samples") == {"a": "801", "d": "160"}
    assert data.table("utt2dur") == {"a": "0.1001", "d": "0.0200"}
    assert read_dropped(tmp_path / "whole") == {
        "b": "no words (rows.tsv:400)",
        "e": "its audio is missing (table:7)",
        "f": "too loud (table:8)",
    }
    assert [*rows.places] == ["a"] and [*other.places] == ["d", "e"]  # as they were
    with pytest.raises(DataError, match=r"'d' is at .* as well \(1 such\)"):
        merge([other, whole])


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
