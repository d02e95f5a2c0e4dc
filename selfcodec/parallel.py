"""Independent pieces of one image's work on several processors."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from threadpoolctl import OpenBLASController, ThreadpoolController

from selfcodec import signals

T = TypeVar("T")

THREADS = "OMP_NUM_THREADS"
"""This environment variable says how many threads there are, and OpenMP's in PyTorch; otherwise one a processor."""


class _Own(threading.local):
    """What each thread has for itself.

    Attributes:
        threads: its share of the threads, itself included; None for all of them.
        given_up: in a thread of `mapped`, one of them is set once nobody waits for its results any more.
    """

    threads: int | None = None
    given_up: tuple[threading.Event, ...] = ()


_own = _Own()


@cache
def _processors() -> int:
    wanted = os.environ.get(THREADS, "").split(",")[0]
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """So many threads may work for the one that asks, itself included."""
    return _own.threads or _processors()


def set_threads(count: int | None) -> None:
    """Sets that, for the calling thread; None for as many as there are processors."""
    _own.threads = count


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, _processors() - 1), "selfcodec", signals.leave_to_main_thread)


def _after_fork() -> None:
    """A forked copy of a process has none of its threads, and would wait for them for ever."""
    _helpers.cache_clear()
    set_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _OneThreadEach:
    """Keeps matrix products to the thread that they are called from while anybody is inside.

    Where threads share out what they multiply, those of the library for linear algebra would only be in their way.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._limit: Any = None  # while anybody is inside

    @staticmethod
    def _take_over() -> None:
        """Else limits are set by the thread that set the first one, and what others ask for is ignored."""
        OpenBLASController.clear_controlling_thread(force=True)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._inside:
                self._take_over()
                self._limit = ThreadpoolController().limit(limits=1, user_api="blas")
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._take_over()
                    self._limit.restore_original_limits()


one_thread_each = _OneThreadEach()


def check_wanted() -> None:
    """To be called now and then by what takes long.

    Raises:
        CancelledError: this is a thread of `mapped` whose results nobody waits for any more, after an error or Ctrl-C.
    """
    if any(event.is_set() for event in _own.given_up):
        raise CancelledError


def shared_out(tasks: Sequence[Callable[[], object]]) -> None:
    """Calls all tasks, in any order, in the calling thread and those that may help it.

    They must spend their time without Python's lock.
    """
    left = iter(tasks)

    def work() -> None:
        try:
            for task in left:
                task()
        finally:
            deque(left, maxlen=0)  # after an error nobody wants the others

    helping = [_helpers().submit(work) for _ in range(min(threads(), len(tasks)) - 1)]
    try:
        work()
    finally:
        helping = [helper for helper in helping if not helper.cancel()]
        wait(helping)
    for helper in helping:
        helper.result()


@contextmanager
def beside(task: Callable[[], object]) -> Iterator[None]:
    """Calls a task while the block runs, in another thread; where there is none to spare in time, it is not called.

    It must spend its time without Python's lock. The block's end waits for it.
    """
    if threads() < 2:
        yield
        return
    helper = _helpers().submit(task)
    try:
        yield
    finally:
        if not helper.cancel():
            helper.result()


def mapped(tasks: Sequence[Callable[[], T]], most: int | None = None) -> Iterator[T]:
    """What tasks return, in order, while the next ones run already.

    The `threads` are divided among the tasks as long as the iterator lives, since a matrix product spread over
    processors that are busy takes longer than on one of them. With one thread, or for one task, everything runs in the
    caller's thread.

    Args:
        tasks: what to call. They must spend their time without Python's lock.
        most: tasks that may run at once; None for as many as there are threads.
    """
    before, available = _own.threads, threads()
    workers = min(available, len(tasks), most or available)
    with one_thread_each():
        if workers < 2:
            for task in tasks:
                yield task()
            return
        share, given_up, outer = available // workers, threading.Event(), _own.given_up

        def begin() -> None:
            signals.leave_to_main_thread()
            set_threads(share)
            _own.given_up = (*outer, given_up)

        set_threads(share)
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
            set_threads(before)
