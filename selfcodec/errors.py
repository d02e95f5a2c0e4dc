"""Every error that selfcodec raises on purpose, so that a caller needs one `except`, and its warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_CALLED_THROUGH = ("selfcodec", "PIL")
"""Warnings are of the line that calls these packages, at whatever depth they are given."""


class SelfcodecWarning(UserWarning):
    """Something was lost or ignored on the way, or nothing vouches for what is there; its text is one line."""


class SelfcodecError(Exception):
    """Base of all selfcodec errors; its text is one line that a user can act on."""


class FormatError(SelfcodecError):
    """The bytes are not a valid `.sv` file.

    Attributes:
        offset: position of the first byte that is wrong, or None where no single byte is.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (at byte {offset})")
        self.offset = offset


class TruncatedError(FormatError):
    """The file ends before the data that was asked for."""


class ModelError(SelfcodecError):
    """A model is missing, damaged, or not the one that a file was written with."""


class InputError(SelfcodecError):
    """An input that selfcodec does not take: an unreadable or unsupported image, a bad path, a bad setting."""


class MissingDataError(InputError):
    """A data set is not there."""


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Errors of the block that are selfcodec's begin with a name, if there is one: of one of several pictures, say."""
    try:
        yield
    except SelfcodecError as error:
        error.args = (_named(name, error),)  # the same error, which keeps what else it tells
        raise


def warn_of(lines: Iterable[str], name: str = "") -> None:
    """Gives a SelfcodecWarning of each line, at the caller's own line; it begins with a name, if there is one."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _CALLED_THROUGH:
        level, frame = level + 1, frame.f_back
    for line in lines:
        warnings.warn(_named(name, line), SelfcodecWarning, stacklevel=level)


def _named(name: str, text: object) -> str:
    return f"{name}: {text}" if name else str(text)
