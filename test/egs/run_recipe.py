"""A recipe as a user runs it, from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_recipe(
    recipe: Path, *options: str, script: str = "run.sh", timeout: float = 60, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What a script of the folder `recipe` prints, and its exit status. timeout: seconds; environment: variables besides those that there are."""
    # A .venv of the clone would go first; without one, PYTHON is taken.
    variables = {**os.environ, "PYTHON": sys.executable, **environment}
    return subprocess.run(
        [str(recipe / script), *options],
        cwd="/",
        env=variables,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
