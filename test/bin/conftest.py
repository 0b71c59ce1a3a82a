"""What several commands are tested on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy_network import save_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small network, without a kept decoder: leave it like this."""
    return save_model(tmp_path_factory.mktemp("model"))
