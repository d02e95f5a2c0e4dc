"""Writing files whole or not at all."""

from __future__ import annotations

import os

from selfcodec.atomic import replacing
from selfcodec.errors import InputError

Path = str | os.PathLike[str]


def write_atomically(path: Path, *data: bytes | memoryview) -> None:
    """Write a file aside, then put it in its place: nobody sees a part, errors leave nothing.

    Several pieces of data are written one after another. A symbolic link is followed; what is no regular file (a pipe,
    a device) is written in place.

    Raises:
        InputError: naming the path.
    """
    target = os.path.realpath(path)
    try:
        if os.path.exists(target) and not os.path.isfile(target) and not os.path.isdir(target):
            with open(target, "wb") as file:
                file.writelines(data)
        else:
            with replacing(target) as file:
                file.writelines(data)
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: cannot be written: {error.strerror or error}") from error
