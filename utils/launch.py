"""Run a command as several processes of this machine: `launch.py N -m MODULE ...` or `launch.py N SCRIPT ...`.

torchrun does the work. It would end with a traceback of its own, whatever the processes ended with: here their exit status
becomes ours, and what they have said themselves stands alone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence

from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

# Of a process that has said itself why it ended: an error of the user's, Ctrl-C, and a checkpoint saved on SIGTERM.
SELF_EXPLAINING = (2, 128 + signal.SIGINT, 128 + signal.SIGTERM)


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit status of the process that failed first, 128 + n for signal n."""
    count, *command = sys.argv[1:] if argv is None else argv
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # N processes of all threads each would be slower than one
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        torchrun.run(torchrun.parse_args(["--standalone", "--nproc_per_node", count, *command]))
    except SignalException as error:
        return 128 + int(error.sigval)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        status = failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
        if status not in SELF_EXPLAINING:
            why = f"was killed by signal {-failure.exitcode}" if failure.exitcode < 0 else "failed"
            hint = "; often too little memory" if failure.exitcode == -signal.SIGKILL else ""
            print(
                f"process {rank} of {count} {why} (exit status {status}){hint}", file=sys.stderr, flush=True
            )
        return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
