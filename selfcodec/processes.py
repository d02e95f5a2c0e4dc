"""Calls in processes of their own, which end with the process that started them, whatever becomes of that."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from selfcodec import parallel, signals
from selfcodec.atomic import remove_unfinished
from selfcodec.errors import InputError

T = TypeVar("T")

KILLED = "a process ended before its work was done, perhaps for lack of memory: try -j 1"
"""What is said of work that was to be done by a process that was killed."""
PATIENCE = 1.0
"""Processes have so many seconds to end by themselves."""


@contextmanager
def submitted(
    function: Callable[..., T], tasks: Sequence[tuple[Any, ...]], processes: int
) -> Iterator[list[Future[T]]]:
    """What a function makes of every task's arguments, in so many processes, which share this one's threads.

    The processes end with the block or with this process, and by no signal that asks them to: a terminal sends such
    signals to all, and it is for this process to say what happens then.

    Raises:
        InputError: one was killed.
    """
    threads = max(1, parallel.threads() // processes)
    # Spawned, because a forked copy of a process that has threads may hang.
    context = multiprocessing.get_context("spawn")
    theirs, lifeline = context.Pipe(duplex=False)
    others = multiprocessing.active_children()
    with signals.held_back():  # from the process, too, that looks after the pool's semaphores
        pool = ProcessPoolExecutor(processes, context, _start, (theirs, threads))
    with theirs, lifeline, pool:
        try:
            with signals.held_back():  # again, since starting that one has let them through
                futures = [pool.submit(function, *task) for task in tasks]
            yield futures
        except BaseException as error:
            lifeline.close()
            _end([child for child in multiprocessing.active_children() if child not in others])
            if isinstance(error, BrokenProcessPool):
                raise InputError(KILLED) from error
            raise


def _end(children: Sequence[BaseProcess]) -> None:
    """Waits for processes that see that they should end, and kills those that are still starting and cannot see it."""
    deadline = time.monotonic() + PATIENCE
    for child in children:
        child.join(max(0.0, deadline - time.monotonic()))
        if child.is_alive():
            child.kill()


def _start(lifeline: Connection, threads: int) -> None:
    """Begins a new process; the lifeline's other end is in the one that it belongs to, and there alone."""
    end_after(lifeline.recv_bytes)
    os.environ[parallel.THREADS] = str(threads)


def end_after(wait: Callable[[], object]) -> None:
    """Has this process end at once, without unfinished files, when `wait`, called in a thread, returns or fails."""

    def end() -> None:
        with contextlib.suppress(EOFError, OSError):
            wait()
        remove_unfinished()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()
