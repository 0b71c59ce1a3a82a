"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of public test sets and reference values; a test that needs it is skipped visibly without it."""
    folder = Path(os.environ.get("STXLIB_TEST_DATA", Path(__file__).parents[2] / "shared")).resolve()
    if not (folder / "golden").is_dir():
        pytest.skip(f"{folder} holds no golden/: set STXLIB_TEST_DATA to the folder of reference values")
    return folder
