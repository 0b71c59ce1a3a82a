"""Processes of their own for tests that kill, terminate or count ranks."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import toy_training

Run = Callable[..., tuple[list[int], str]]


@pytest.fixture(scope="session")
def run_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """`run(target, *arguments, ranks=1)` -> exit codes by rank (negative: the signal), and what they printed.

    The processes are forked from a server that has imported torch once: fresh interpreters would take seconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["toy_training", "torch.utils.tensorboard", "torch._dynamo"])
    with pytest.MonkeyPatch.context() as patch:
        # Python before 3.11.9 and 3.12.3 does not hand sys.path on; what the server cannot import it skips.
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        forkserver.ensure_running()

    def run(target: Callable[..., None], *arguments: Any, ranks: int = 1) -> tuple[list[int], str]:
        out = tmp_path_factory.mktemp("printed") / "out.txt"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        children = [
            context.Process(target=toy_training.in_process, args=(rank, ranks, port, out, target, arguments))
            for rank in range(ranks)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        late = [child for child in children if child.is_alive()]
        for child in late:
            child.kill()
            child.join()
        assert not late, f"still running after a minute:\n{out.read_text()}"
        return [child.exitcode or 0 for child in children], out.read_text()

    yield run
