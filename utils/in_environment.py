"""Imported first by the commands of this folder and by local/prepare.py of the recipes: run with a Python that lacks some of stxlib's dependencies, they go on in .venv's."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the stxlib of this clone

NEEDED = ("numpy", "yaml", "soundfile", "configargparse", "torch", "tqdm")
missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
if missing:
    python = ROOT / ".venv" / "bin" / "python"
    if not python.exists() or "STX_IN_ENVIRONMENT" in os.environ:
        sys.exit(
            f"{sys.argv[0]}: {sys.executable} lacks {missing[0]}; make the environment by {ROOT}/tools/setup.sh"
        )
    os.execve(python, [str(python), *sys.argv], os.environ | {"STX_IN_ENVIRONMENT": "1"})
