"""A command's work in several processes of its own, which end when it does, however it ends."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import multiprocessing.connection
import os
import threading
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
        len(of_each), mp_context=context, initializer=_end_with_parent
    ) as pool:
        futures = [pool.submit(work, *arguments) for arguments in of_each]
        try:
            return [future.result() for future in futures]
        except concurrent.futures.process.BrokenProcessPool:
            raise DataError(if_killed) from None


def _end_with_parent() -> None:
    """Watch the process that started this one: where it is killed, its pool cannot end us, and we would go on writing unseen."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
