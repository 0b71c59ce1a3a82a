"""A folder that a recipe makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from stxlib.data.made_folder import check_replaceable, made_folder
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


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path, is_there: bool) -> None:
    target, link = tmp_path / "big" / "disk", tmp_path / "recipe" / "data"
    link.parent.mkdir()
    link.symlink_to(target)
    if is_there:
        target.mkdir(parents=True)
    for content in ("one", "two"):
        with made_folder(link) as draft:
            (draft / content).touch()
        assert link.is_symlink() and link.readlink() == target
        assert [path.name for path in target.glob("[!.]*")] == [content]
        assert [path.name for path in target.parent.iterdir()] == ["disk"]
    assert [path.name for path in link.parent.iterdir()] == ["data"]
    (target / ".made_by_a_recipe").unlink()
    with pytest.raises(ConfigError, match=f"--out {link}: holds two, and no recipe made this folder"):
        check_replaceable(link)


def test_the_folder_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    with made_folder(Path(".")) as draft:
        (draft / "one").touch()
    assert [path.name for path in (tmp_path / "data").glob("[!.]*")] == ["one"]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


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
