"""Independent pieces of one image's work on several processors."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

import scipy.linalg.cython_blas  # noqa: F401  (numba's, whose threads cannot be limited before it is loaded)
import torch
from threadpoolctl import threadpool_limits

T = TypeVar("T")

if hasattr(os, "register_at_fork"):
    # A forked copy of a process has none of its threads. OpenMP would wait for them for ever, unless it needs just one.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))

_own = threading.local()
"""A thread of `mapped` finds here whether its results are still wanted."""


def check_wanted() -> None:
    """To be called now and then by what takes long.

    Raises:
        CancelledError: this is a thread of `mapped` whose results nobody waits for any more, after an error or Ctrl-C.
    """
    if (given_up := getattr(_own, "given_up", None)) is not None and given_up.is_set():
        raise CancelledError


def mapped(tasks: Sequence[Callable[[], T]], most: int | None = None) -> Iterator[T]:
    """What tasks return, in order, while the next ones run already.

    PyTorch's threads (`torch.set_num_threads`) are divided among the tasks as long as the iterator lives, since a
    matrix product spread over processors that are busy takes longer than on one of them; compiled loops' products have
    one each, for the same reason. With one thread, or for one task, everything runs in the caller's thread.

    Args:
        tasks: what to call. They must spend their time without Python's lock.
        most: tasks that may run at once; None for as many as there are threads.
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(tasks), most or threads)
    with threadpool_limits(1, user_api="blas"):
        if workers < 2:
            for task in tasks:
                yield task()
            return
        share, given_up = threads // workers, threading.Event()

        def begin() -> None:
            torch.set_num_threads(share)
            _own.given_up = given_up

        torch.set_num_threads(share)
        try:
            with ThreadPoolExecutor(workers, initializer=begin) as pool:
                try:
                    ahead: deque[Future[T]] = deque()
                    for task in tasks:
                        ahead.append(pool.submit(task))
                        if len(ahead) > workers:
                            yield ahead.popleft().result()
                    while ahead:
                        yield ahead.popleft().result()
                finally:
                    given_up.set()
        finally:
            torch.set_num_threads(threads)
