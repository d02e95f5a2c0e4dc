"""The signals that ask a process to end: raised, so that what is unfinished is removed, or held back for a while."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Ended(KeyboardInterrupt):
    """A signal other than Ctrl-C's asked this process to end.

    Attributes:
        name: the signal's.
        status: with which shells report a process that it has killed.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name, self.status = signal.Signals(number).name, 128 + number


@contextmanager
def handled(numbers: Sequence[int], handler: Handler) -> Iterator[None]:
    """Within the block a handler has these signals but those that are ignored, as of what runs in the background.

    It has them in the main thread, which alone may say what signals do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def raised() -> AbstractContextManager[None]:
    """Within the block signals raise `Ended` that would have killed the process."""
    deadly = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:
        for other in deadly:
            signal.signal(other, signal.SIG_IGN)  # a second one must not disturb the ending
        raise Ended(number)

    return handled(deadly, end)


@contextmanager
def held_back() -> Iterator[None]:
    """Has signals wait until the end of the block, and those to processes started in it for ever, where that goes."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_main_thread() -> None:
    """To be called in a new thread: signals reach the main thread alone, which may hold them back."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
