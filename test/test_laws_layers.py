"""Which layer may import which: read off the source, so that an import inside a function counts as well."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "stxlib"
FREE = {
    "atomic",
    "config",
    "config_options",
    "config_yaml",
    "errors",
    "parallel",
    "ratio",
    "revision",
}  # single modules that every layer may import
EVERYTHING = {
    "bin",
    "report",
    "objectives",
    "decode",
    "score",
    "judge",
    "importers",
    "models",
    "units",
    "data",
    "nn",
    "train",
    "text",
    "ops",
}
ALLOWED: dict[str, set[str]] = {
    "bin": EVERYTHING,
    "report": {"score", "data"},
    "objectives": {"models", "nn", "ops", "data", "text"},
    "decode": {"models", "nn", "ops", "text"},
    "score": {"data", "text"},
    "judge": {"score"},
    "importers": {"models"},
    "models": {"nn", "ops"},
    "units": {"data", "text", "ops"},
    "data": {"text", "ops"},
    "nn": {"ops"},
    "train": set(),
    "text": set(),
    "ops": set(),
}
MODULES = sorted(PACKAGE.rglob("*.py"))
# Packages that one module alone may import, so that they can be replaced.
SINGLE = {"torchaudio": "ops/features.py", "kaldiio": "data/kaldi.py", "espeakng_loader": "text/espeak.py"}


def imports_of(path: Path) -> list[tuple[int, str]]:
    """(line, dotted module) of every import statement of a file; `from a import b` is a.b. importlib.import_module("a") counts too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import; write the whole name"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found += [(node.lineno, arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant)]
    return found


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def violations(path: Path) -> list[str]:
    own = layer_of(path)
    lines = []
    for line, name in imports_of(path):
        parts = name.split(".")
        if parts[0] in ("egs", "utils", "tools", "test", "conftest"):
            lines.append(f"{path}:{line}: {name}: the library does not import {parts[0]}")
        if parts[0] != "stxlib" or len(parts) == 1:
            continue
        other = parts[1]
        if other in FREE or other == own or other in ALLOWED.get(own, set()):
            continue
        lines.append(f"{path}:{line}: {own} may not import {name}")
    return lines


def test_enough_modules_are_seen() -> None:
    seen = {layer_of(path) for path in MODULES if path.parent != PACKAGE}
    assert seen <= EVERYTHING, (
        f"a new layer: {seen - EVERYTHING}; add it to ALLOWED and to docs/architecture.md"
    )
    assert seen >= {
        "bin",
        "report",
        "objectives",
        "decode",
        "score",
        "judge",
        "models",
        "data",
        "nn",
        "train",
        "text",
        "ops",
    }
    assert len(MODULES) >= 80


@pytest.mark.parametrize("layer", sorted(EVERYTHING))
def test_layers(layer: str) -> None:
    wrong = [line for path in MODULES if layer_of(path) == layer for line in violations(path)]
    assert not wrong, "\n".join(wrong)


def test_single_modules_import_only_each_other() -> None:
    for path in PACKAGE.glob("*.py"):
        assert path.stem in FREE | {"__init__"}, f"{path}: a new top-level module; put it into a layer"
        for line, name in imports_of(path):
            assert not name.startswith("stxlib.") or name.split(".")[1] in FREE, (
                f"{path}:{line}: imports {name}"
            )
            assert name.split(".")[0] not in ("torch", "numpy") or path.stem == "ratio", (
                f"{path}:{line}: imports {name}"
            )


def test_nothing_imports_bin() -> None:
    for path in MODULES:
        if layer_of(path) != "bin":
            assert not [name for _, name in imports_of(path) if name.startswith("stxlib.bin")], path


@pytest.mark.parametrize("package", sorted(SINGLE))
def test_replaceable_packages_have_one_importer(package: str) -> None:
    importers = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if any(name.split(".")[0] == package for _, name in imports_of(path))
    }
    assert importers == {SINGLE[package]}


def test_a_violation_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    module = tmp_path / "ops" / "sly.py"
    module.parent.mkdir()
    module.write_text(
        "def f():\n    from stxlib import models\n    import stxlib.data.tables\n    from stxlib.errors import run\n"
    )
    assert [line.split(": ", 1)[1] for line in violations(module)] == [
        "ops may not import stxlib.models",
        "ops may not import stxlib.data.tables",
    ]


def test_no_catch_all_files() -> None:
    banned = {"utils.py", "common.py", "base.py", "helpers.py", "misc.py"}
    assert not [path for path in MODULES if path.name in banned]
