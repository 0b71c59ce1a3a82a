"""stxlib.bin.doctor: what is said of parts that work, are missing, or do not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from stxlib.bin import doctor
from stxlib.errors import ConfigError

ROOT = Path(__file__).parents[2]


def requirements() -> dict[str, list[str]]:
    """install_requires and the extras of setup.py, without running setuptools."""
    found: dict[str, object] = {}

    class FakeSetuptools:
        setup = staticmethod(lambda **settings: found.update(settings))
        find_namespace_packages = staticmethod(lambda **_: [])

    real = sys.modules.get("setuptools")
    sys.modules["setuptools"] = FakeSetuptools  # type: ignore[assignment]
    try:
        exec(compile((ROOT / "setup.py").read_text(), "setup.py", "exec"), {})
    finally:
        sys.modules.pop("setuptools") if real is None else sys.modules.update(setuptools=real)
    extras = found["extras_require"]
    assert isinstance(extras, dict)
    return {"core": found["install_requires"], **extras}  # type: ignore[dict-item]


def name_of(requirement: str) -> str:
    for mark in "<>=!;":
        requirement = requirement.split(mark)[0]
    return requirement.strip()


def test_whole_report(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PARTS", doctor.PARTS[:1])  # the others take seconds to import
    doctor.main([])
    out = capsys.readouterr().out
    for word in ("stxlib", "python", "torch", "CPU", "GPU", "threads", "optional parts", "mini"):
        assert word in out
    assert "FAILS" not in out


def test_a_missing_part_is_off_with_a_remedy() -> None:
    part = doctor.Part("magic", "wonders", "nothing happens", {"numpy": "numpy", "no-such": "no_such_module"})
    first, second = doctor.examine(part)
    assert first == "  magic    off  wonders: no-such: not installed"
    assert f"{sys.executable} -m pip install no-such; without it: nothing happens" in second


def test_a_part_that_does_not_load_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module.py").write_text("raise OSError('libmagic.so.3: cannot open\\nmore')\n")
    (tmp_path / "needy_module.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert doctor.probe("broken", "broken_module") == ("", "OSError: libmagic.so.3: cannot open")
    assert doctor.probe("needy", "needy_module") == ("", "needs no_such_dependency, which is not installed")


def test_a_missing_core_package_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "CORE", {"numpy": "numpy", "jiwer": "no_such_module"})
    monkeypatch.setattr(doctor, "PARTS", ())
    with pytest.raises(ConfigError, match=r"^jiwer: missing or not working; run .*tools/setup\.sh"):
        doctor.main([])
    assert "jiwer           FAILS: not installed" in capsys.readouterr().out


def test_it_knows_every_requirement_of_setup_py() -> None:
    wanted = requirements()
    assert {name_of(r) for r in wanted["core"]} == set(doctor.CORE)
    parts = {part.extra: set(part.modules) for part in doctor.PARTS}
    assert set(parts) == set(wanted) - {"core", "all", "dev"}
    for extra, packages in parts.items():
        assert packages == {name_of(r) for r in wanted[extra]}
    # `all` is all but the part that compiles.
    assert set(wanted["all"]) == {
        r for extra in wanted if extra not in ("core", "all", "lm") for r in wanted[extra]
    }


def test_every_requirement_is_pinned() -> None:
    lines = [
        line.split(";")[0].strip()
        for line in (ROOT / "tools" / "constraints.txt").read_text().splitlines()
        if line[0] != "#"
    ]
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    assert len(pinned) == len(lines) > 80
    for requirement in {r for extra in requirements().values() for r in extra}:
        assert name_of(requirement).lower() in pinned


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; import stxlib.bin.doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    tree = ast.parse((ROOT / "stxlib" / "bin" / "doctor.py").read_text())
    assert ast.get_docstring(tree)
