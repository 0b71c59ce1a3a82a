"""Recipes' preparations as modules, and corpora in the layouts of their releases."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

sys.path.insert(0, str(Path(__file__).parent))  # for run_recipe


def load_module(path: Path, name: str) -> ModuleType:
    """A file that is in no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def load_prepare() -> Callable[[str], ModuleType]:
    """load_prepare("slurp") -> egs/slurp/local/prepare.py."""
    return lambda recipe: load_module(
        ROOT / "egs" / recipe / "local" / "prepare.py", f"{recipe}_prepare_of_egs"
    )


@pytest.fixture(scope="session")
def mini_layouts(test_data: Path) -> Callable[..., Path]:
    """mini_layouts(folder, "slurp", per_split=4) -> the folder, with a corpus that tools/make_mini_layouts.py of the test data wrote."""
    path = test_data / "tools" / "make_mini_layouts.py"
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    # It resamples one corpus by scipy, which nothing else here needs.
    stub: Any = types.ModuleType("scipy.signal")
    stub.resample_poly = None
    stubs = {"scipy": types.ModuleType("scipy"), "scipy.signal": stub}
    if importlib.util.find_spec("scipy") is not None:
        stubs = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, module in stubs.items():
            patch.setitem(sys.modules, name, module)
        generator = load_module(path, "make_mini_layouts")

    def make(folder: Path, corpus: str, per_split: int = 4) -> Path:
        rows = {name: generator.load(name, per_split) for name in ("train", "dev", "test")}
        getattr(generator, corpus)(str(folder), rows)
        return folder

    return make
