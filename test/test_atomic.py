"""Files are whole or absent, and a place that cannot be written to is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from stxlib.atomic import make_folder, write_text, written_whole
from stxlib.errors import DataError


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_text(path, "old \u00e9")
    with pytest.raises(ZeroDivisionError), written_whole(path) as draft:
        draft.write_text("half")
        raise ZeroDivisionError
    assert path.read_text(encoding="utf-8") == "old \u00e9" and list(path.parent.iterdir()) == [path]
    write_text(path, "new")
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file: cannot be written \(File exists\); name another place"):
        make_folder(tmp_path / "file")
    with pytest.raises(DataError, match=r"file/inside: cannot be written \(Not a directory\)"):
        make_folder(tmp_path / "file" / "inside")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"folder: cannot be written \(Is a directory\)"):
        write_text(tmp_path / "folder", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
