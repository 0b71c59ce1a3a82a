"""A folder that a recipe makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from stxlib.data.made_folder import made_folder
from stxlib.errors import ConfigError


def test_it_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "new" / "data"
    for content in ("one", "two"):  # the second time it is replaced
        with made_folder(out) as draft:
            (draft / content).touch()
            assert not (out / content).exists()
        assert [path.name for path in out.glob("[!.]*")] == [content]
    with pytest.raises(KeyboardInterrupt), made_folder(out) as draft:
        (draft / "three").touch()
        raise KeyboardInterrupt
    assert [path.name for path in out.glob("[!.]*")] == ["two"]
    assert [path.name for path in out.parent.iterdir()] == ["data"]
    leftover = out.parent / ".data.making"  # of a process that was killed
    (leftover / "four").mkdir(parents=True)
    with made_folder(out):
        pass
    assert [path.name for path in out.glob("[!.]*")] == [] and not leftover.exists()


@pytest.mark.parametrize("name", ["thesis", ".git"])
def test_what_no_recipe_made_is_not_deleted(tmp_path: Path, name: str) -> None:
    (tmp_path / "data" / name).mkdir(parents=True)
    with pytest.raises(ConfigError, match=f"holds {name}, and no recipe made this folder"):
        with made_folder(tmp_path / "data"):
            pass
    assert (tmp_path / "data" / name).is_dir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="holds a file"), made_folder(tmp_path / "file"):
        pass
