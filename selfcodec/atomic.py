"""Putting a file in its place whole, so that even a process that is killed leaves no part of one.

Where the system has files without a name (Linux, on most file systems), data get a name when all of them are there.
Elsewhere they stand beside the target under a temporary name, which only a process that is killed cannot remove.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

_unfinished: set[str] = set()
"""These are temporary names that may exist."""


@contextmanager
def replacing(target: str, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A new file, open for writing, that takes the target's place when the block ends, and goes if that fails.

    Args:
        target: no symbolic link, which would be replaced itself.
        mode: the file's permissions, of which the umask takes some.

    Raises:
        OSError: it cannot be written, or cannot take that place.
    """
    temporary = os.path.join(os.path.dirname(target), f".selfcodec-{os.urandom(8).hex()}.tmp")
    _unfinished.add(temporary)
    try:
        nameless = _nameless(os.path.dirname(target) or os.curdir, mode)
        with nameless or open(temporary, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            yield file
            file.flush()
            there = nameless is not None and _named(file, target, temporary)
        if not there:
            os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        _unfinished.discard(temporary)


def _nameless(folder: str, mode: int) -> BinaryIO | None:
    """A new file without a name on a folder's file system; None where there are none, or no way to name them later."""
    try:
        descriptor = os.open(folder, os.O_WRONLY | os.O_TMPFILE, mode)
    except (AttributeError, OSError):
        return None
    if os.path.exists(_path(descriptor)):
        return open(descriptor, "wb")
    os.close(descriptor)
    return None


def _named(file: BinaryIO, target: str, temporary: str) -> bool:
    """Give a file the target's name, or where there is a file already, which no call replaces so, the temporary one.

    Returns:
        whether it is the target's.
    """
    descriptor = file.fileno()
    try:
        os.link(_path(descriptor), target, src_dir_fd=descriptor)  # with any descriptor links are followed
    except FileExistsError:
        os.link(_path(descriptor), temporary, src_dir_fd=descriptor)
        return False
    return True


def _path(descriptor: int) -> str:
    """Of an open file, if /proc is there."""
    return f"/proc/self/fd/{descriptor}"


def remove_unfinished() -> None:
    """Remove what this process has begun under a temporary name, before it ends in the middle of that."""
    for path in tuple(_unfinished):
        with contextlib.suppress(OSError):
            os.unlink(path)
