"""Processes that a command starts for its work, and that end when it does, however it ends."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from stxlib.errors import DataError

T = TypeVar("T")


def in_processes(work: Callable[..., T], of_each: Sequence[tuple[Any, ...]], if_killed: str) -> list[T]:
    """What `work` returns for each tuple of arguments, each in a process of its own, in their order.

    Work, arguments and results are pickled. if_killed: what to tell a user where a process is killed, most likely for lack of memory
    (DataError). What a process raises is raised here.
    """
    # Not forked: a forked process inherits locks of torch's thread pools and may hang.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        len(of_each), mp_context=context, initializer=end_with_parent
    ) as pool:
        futures = [pool.submit(work, *arguments) for arguments in of_each]
        try:
            return [future.result() for future in futures]
        except concurrent.futures.process.BrokenProcessPool:
            raise DataError(if_killed) from None


def end_with_parent() -> None:
    """To be called in a process that another one has started: end it when that one has been killed.

    It would not notice by itself: it goes on to the end of its work, unseen, or is blocked on a pipe that a sibling keeps open.
    """
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
