"""Reading files whole; writing them whole or not at all, and never for more people to read than their sources."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import and_
from typing import BinaryIO

from selfcodec.atomic import replacing
from selfcodec.errors import InputError

Path = str | os.PathLike[str]

_IMAGES = "avif bmp gif heic heif j2k jfif jp2 jpe jpeg jpg jpx jxl pbm pgm png pnm ppm qoi tga tif tiff webp"
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _IMAGES.split())
"""Files so named are meant to be images: one that holds none is an error, where another is skipped."""
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,9})")
"""Longer numbers are of no open file, and the largest are beyond what the system takes."""
_NEW, _PERMISSIONS = 0o666, 0o777


def descriptor(path: Path) -> int | None:
    """The open file that a path such as /dev/stdout or /dev/fd/63 names, whatever lies behind it."""
    text = os.fspath(path)
    match = _DESCRIPTOR.fullmatch(text)
    return int(match[1]) if match else _STANDARD.get(text)


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """A file to read bytes from; InputError, naming the path, for any OSError, in the block, too."""
    try:
        with _open(path) as file:
            yield file
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: cannot be read: {error.strerror or error}") from error


def _open(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except ValueError as error:  # characters that no path has, such as NUL, which repr shows in one line
        raise InputError(f"{os.fspath(path)!r}: cannot be read: no file has such a name ({error})") from error


def read_whole(path: Path) -> bytes:
    """A file's bytes; InputError, naming it, where it cannot be read."""
    with reading(path) as file:
        return file.read()


def read_open(file: BinaryIO, *size: int) -> bytes:
    """What an open file gives; InputError, with the remedy, where that is no bytes."""
    try:
        data = file.read(*size)
    except (OSError, ValueError) as error:  # it is closed, or for writing, or decodes what is no text
        raise InputError(f"the open file cannot be read ({error}): open it with 'rb'") from error
    if not isinstance(data, bytes):
        raise InputError(f"the open file gives {type(data).__name__}, not bytes: open it with 'rb'")
    return data


def is_stream(path: Path) -> bool:
    """Whether a path names an open file, a pipe or a device, which have no place in a folder to be put at."""
    other = os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
    return other or descriptor(path) is not None


def _open_stream(path: Path) -> BinaryIO:
    # Opening /dev/stdout anew would start at the beginning of the file that it is redirected to.
    number = descriptor(path)
    return open(path if number is None else os.dup(number), "wb")


@contextmanager
def writing(path: Path, *, sources: Sequence[Path] = (), preserve: bool = False) -> Iterator[BinaryIO]:
    """A file that is written aside and put in its place when the block ends: nobody sees a part, errors leave nothing.

    A symbolic link is followed; a stream is written in place.

    Args:
        path: of the file. One that is replaced keeps its permissions.
        sources: what the file was made of; nobody may do more with the file than with every one of them.
        preserve: give the file exactly the permissions that the sources share, and the time of the latest.

    Raises:
        InputError: naming the path, for any OSError, in the block, too.
    """
    target = os.path.realpath(path)
    try:
        if is_stream(path):
            with _open_stream(path) as file:
                yield file
            return
        origins = [os.stat(source) for source in sources]
        most = reduce(and_, (origin.st_mode for origin in origins), _PERMISSIONS)
        with replacing(target, _NEW & most) as file:
            if origins and preserve:
                os.chmod(file.fileno(), most)
            elif os.path.exists(target):
                os.chmod(file.fileno(), os.stat(target).st_mode & most)
            yield file
            if origins and preserve:
                file.flush()  # since what is written later would change the time
                latest = max(origins, key=lambda origin: origin.st_mtime_ns)
                os.utime(file.fileno(), ns=(latest.st_atime_ns, latest.st_mtime_ns))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: cannot be written: {error.strerror or error}") from error


def write_atomically(
    path: Path, *data: bytes | memoryview, sources: Sequence[Path] = (), preserve: bool = False
) -> None:
    """Write pieces that follow one another as a file, as `writing` does."""
    with writing(path, sources=sources, preserve=preserve) as file:
        file.writelines(data)
