"""Ctrl-C at any moment: one line, and an exit status of its own."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import AbstractContextManager
from types import FrameType
from typing import NoReturn

from selfcodec.signals import handled

INTERRUPTED = 130
REASON = "stopped by Ctrl-C"
_IMPORTING = "<frozen importlib._bootstrap>"


def end_at_once(signal_number: int, frame: FrameType | None) -> NoReturn:
    """Handles the signal where nothing is under way that would have to be cleaned up."""
    if sys.stderr is not None:
        os.write(sys.stderr.fileno(), f"selfcodec: interrupted: {REASON}\n".encode())
    os._exit(INTERRUPTED)


def _raise(signal_number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt, but not in an import: extension modules print it there, or make other errors of it."""
    caller = frame
    while caller is not None:
        if caller.f_code.co_filename == _IMPORTING:
            end_at_once(signal_number, frame)
        caller = caller.f_back
    raise KeyboardInterrupt


def raised() -> AbstractContextManager[None]:
    """While work is under way, Ctrl-C is a KeyboardInterrupt, by which it cleans up."""
    return handled((signal.SIGINT,), _raise)
