"""Imported first by the commands of this folder: run with a Python that lacks stxlib's dependencies, they go on in .venv's."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the stxlib of this clone

if importlib.util.find_spec("numpy") is None or importlib.util.find_spec("yaml") is None:
    python = ROOT / ".venv" / "bin" / "python"
    if not python.exists() or "STX_IN_ENVIRONMENT" in os.environ:
        sys.exit(
            f"{sys.argv[0]}: {sys.executable} lacks numpy; make the environment by {ROOT}/tools/setup.sh"
        )
    os.execve(python, [str(python), *sys.argv], os.environ | {"STX_IN_ENVIRONMENT": "1"})
