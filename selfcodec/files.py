"""Writing files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets

from selfcodec.errors import InputError

Path = str | os.PathLike[str]


def write_atomically(path: Path, *data: bytes | memoryview) -> None:
    """Write a file under a temporary name beside it, then rename: nobody sees a part, errors leave nothing.

    Several pieces of data are written one after another.

    A symbolic link is followed; what is no regular file (a pipe, a device) is written in place.

    Raises:
        InputError: naming the path.
    """
    target = os.path.realpath(path)
    temporary = os.path.join(os.path.dirname(target), f".selfcodec-{secrets.token_hex(8)}.tmp")
    try:
        if os.path.exists(target) and not os.path.isfile(target) and not os.path.isdir(target):
            with open(target, "wb") as file:
                file.writelines(data)
            return
        # "x" and not tempfile, so that the file gets the permissions of an ordinary new one.
        with open(temporary, "xb") as file:
            file.writelines(data)
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
