"""Every error that selfcodec raises on purpose, so that a caller needs one `except`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Errors of the block that are selfcodec's begin with a name: of one of several pictures, say."""
    try:
        yield
    except SelfcodecError as error:
        raise type(error)(f"{name}: {error}") from error
