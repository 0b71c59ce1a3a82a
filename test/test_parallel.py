"""Work in processes of its own: results in order, errors that reach the caller, and nothing that goes on alone."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stxlib.errors import DataError
from stxlib.parallel import in_processes

ROOT = Path(__file__).parents[1]


def test_results_come_in_order_and_errors_are_raised_here() -> None:
    assert in_processes(math.isqrt, [(9,), (4,)], "") == [3, 2]
    with pytest.raises(ValueError, match="nonnegative"):
        in_processes(math.isqrt, [(9,), (-1,)], "")
    with pytest.raises(DataError, match="lower num_jobs"):
        in_processes(signal.raise_signal, [(signal.SIGKILL,)], "a process was killed; lower num_jobs")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_one_that_started_them(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "work.py"
    script.write_text(
        "import sys, time\n"
        "from stxlib.parallel import in_processes\n"
        "def work(part):\n"
        "    print('started', part, flush=True)\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    in_processes(work, [(0,), (1,)], '')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        assert {parent.stdout.readline() for _ in range(2)} == {"started 0\n", "started 1\n"}
        parent.send_signal(number)
        # The pipe closes when the last process that writes to it is gone.
        assert parent.communicate(timeout=60)[0] == ""
