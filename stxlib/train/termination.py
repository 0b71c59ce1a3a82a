"""SIGTERM asks for a checkpoint and an exit: what schedulers send before they kill."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Terminated(SystemExit):
    """Raised by the trainer after the checkpoint is written. Exit status 143, as a shell reports SIGTERM."""

    def __init__(self) -> None:
        super().__init__(143)


class Termination:
    """While active, SIGTERM only sets `requested`.

    Also a second one: torchrun passes the signal on to processes to which a scheduler has sent it already.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> Termination:
        # Python allows signal handlers in the main thread only; elsewhere the owner of the process decides.
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
