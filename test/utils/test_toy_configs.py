"""utils/toy_configs.py: every config of every recipe, small enough for minutes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RECIPES = sorted(path.parent for path in (ROOT / "egs").glob("*/run.sh"))


def toy(src: Path, dst: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(ROOT / "utils" / "toy_configs.py"), str(src), str(dst)]
    return subprocess.run(words, capture_output=True, text=True)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_every_training_ends_after_four_steps_and_every_synthesizer_reads_once(
    recipe: Path, tmp_path: Path
) -> None:
    assert toy(recipe / "conf", tmp_path).returncode == 0
    paths = sorted(tmp_path.rglob("*.yaml"))
    assert len(paths) == len(list((recipe / "conf").rglob("*.yaml"))) >= 8
    for path in paths:
        values = yaml.safe_load(path.read_text())
        if path.name.startswith(("train", "pretrain")) or "diffusion" in path.name:
            assert values["trainer"]["max_steps"] == 4, path
        elif path.name.startswith("synthesis"):
            assert values["passes"] == 1, path


def test_a_folder_without_configs_and_the_folder_itself_are_errors(tmp_path: Path) -> None:
    done = toy(tmp_path, tmp_path / "toy")
    assert done.returncode == 2 and "holds no .yaml; give the folder conf" in done.stderr
    (tmp_path / "a.yaml").write_text("x: 1\n")
    done = toy(tmp_path, tmp_path)
    assert done.returncode == 2 and "is the folder of the configs themselves" in done.stderr
    assert (tmp_path / "a.yaml").read_text() == "x: 1\n"
