from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxlib.data.tables import line_of, read_table, write_table
from stxlib.errors import DataError

BLANKS = " \t\r\n\x0b\x0c"
characters = st.characters(exclude_categories=["Cs"])
ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=BLANKS), min_size=1).filter(
    lambda utt: not utt.startswith("\ufeff")
)
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")).map(
    lambda text: text.strip(BLANKS)
)


@given(st.dictionaries(ids, values, max_size=8))
def test_what_is_written_is_read(table: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text"
        write_table(path, table)
        read = read_table(path, allow_empty=True)
        assert read == table
        assert [utt.encode() for utt in read] == sorted(utt.encode() for utt in table)
        assert [entry.name for entry in Path(folder).iterdir()] == ["text"]  # no temporary file is left
        content = path.read_bytes()
        write_table(path, read)
        assert path.read_bytes() == content


@given(st.text(characters), st.text(characters))
def test_what_cannot_be_read_back_is_not_written(utt: str, value: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text"
        try:
            write_table(path, {utt: value})
        except DataError:
            assert not path.exists()
        else:
            assert read_table(path, allow_empty=True) == {utt: value}


def test_unicode_line_separators_and_blanks_belong_to_the_value(tmp_path: Path) -> None:
    table = {"a\u3000b": "x\u2028y\u0085z\u00a0", "é": "ا ب"}
    write_table(tmp_path / "text", table)
    assert read_table(tmp_path / "text") == table


def test_tabs_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"a\tone two \r\nb   three\r\n")
    assert read_table(tmp_path / "text") == {"a": "one two", "b": "three"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"b x\na x\n",
            "text:2: id 'a' comes after 'b': unsorted; sort with LC_ALL=C sort, or run utils/validate",
        ),
        (b"a x\na y\n", "text:2: id 'a' is here a second time (first on line 1); delete one of the two"),
        (b"a x\nb\n", "text:2: id 'b' has no value; write one after the id"),
        (b"a x\n\nb y\n", "text:2: the line is empty; delete it"),
        (
            b"a x\nb \xff\n",
            "text:2: the line of 'b' is not UTF-8 (invalid start byte 0xff); convert the file to UTF-8",
        ),
        (b"\xef\xbb\xbfa x\n", "text:1: the file begins with a byte order mark"),
    ],
)
def test_errors_name_path_line_and_id(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "text").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_table(tmp_path / "text")
    assert str(error.value).startswith(f"{tmp_path}/{message}")


def test_sorting_is_by_bytes_not_by_locale(tmp_path: Path) -> None:
    write_table(tmp_path / "text", {"a": "1", "B": "2", "é": "3", "z": "4", "\U0001f600": "5", "\uffee": "6"})
    assert list(read_table(tmp_path / "text")) == ["B", "a", "z", "é", "\uffee", "\U0001f600"]


def test_a_missing_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_table(tmp_path / "text")


def test_line_of(tmp_path: Path) -> None:
    write_table(tmp_path / "text", {"a": "1", "ab": "2", "ü": "3"})
    assert [line_of(tmp_path / "text", utt) for utt in ("a", "ab", "ü", "x")] == [1, 2, 3, 0]
