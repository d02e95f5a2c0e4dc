"""Tar files: as WebDataset has them, a sample's files one after another, alike up to the first dot of their names."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial
from pathlib import PurePath
from tarfile import TarInfo
from typing import BinaryIO

from selfcodec.errors import InputError
from selfcodec.images.deep import AnyImage
from selfcodec.images.saving import save_image
from selfcodec.shards.shard import HEAD_BYTES, Entry, Sink, Source

_DAMAGED = (tarfile.TarError, EOFError, zlib.error)
_FOLLOW_THE_NAME = ("path", "linkpath", "size")
"""A member's own records of these would stand above what it is called and how long it is now."""
_SPARSE = "GNU.sparse."
_AT_ONCE = 1 << 20


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """What goes wrong in reading is an InputError that begins with a name."""
    try:
        yield
    except _DAMAGED as error:
        raise InputError(f"{name}: no whole tar file: get another copy of it ({error})") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from error


class TarSource(Source):
    """A tar file, perhaps compressed, that is read.

    Raises:
        InputError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        with _naming(path):
            self._tar = tarfile.open(path)  # noqa: SIM115, closed by `close`

    def entries(self) -> Iterator[Entry]:
        links = 0
        with _naming(self._path):
            for info in self._tar:
                if info.isfile():
                    yield Entry(info.name, info, self._bytes(info, HEAD_BYTES), partial(self._read, info))
                elif info.isdir():
                    yield Entry(info.name, info, b"", bytes)
                else:
                    links += 1
            self._check_end()
        if links:
            self.left_out = (f"members that are links, pipes or devices are left out ({links})",)

    def _bytes(self, info: TarInfo, most: int = -1) -> bytes:
        file = self._tar.extractfile(info)
        assert file is not None
        return file.read(most)

    def _read(self, info: TarInfo) -> bytes:
        with _naming(f"{self._path}: {info.name}"):
            data = self._bytes(info)
            if len(data) != info.size:
                raise EOFError("it is cut short")
            return data

    def _check_end(self) -> None:
        """A tar file ends with zeros. Python takes anything that is no member for the end, and the end of the file."""
        file = self._tar.fileobj
        assert file is not None
        file.seek(self._tar.offset)
        rest = file.read(tarfile.BLOCKSIZE)
        if len(rest) < tarfile.BLOCKSIZE:
            raise EOFError("its end is missing")
        while rest:
            if rest.count(0) != len(rest):
                raise tarfile.ReadError(f"at byte {self._tar.offset} neither a member nor the end")
            rest = file.read(_AT_ONCE)

    def close(self) -> None:
        self._tar.close()


class TarSink(Sink):
    """A tar file that is written, without compression, to an open file."""

    def __init__(self, file: BinaryIO) -> None:
        self._tar = tarfile.TarFile(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name: str, info: TarInfo, data: bytes | memoryview) -> None:
        own = copy(info)
        own.name, own.size = name, len(data)
        own.type = tarfile.DIRTYPE if info.isdir() else tarfile.REGTYPE
        kept = {key: value for key, value in info.pax_headers.items() if not key.startswith(_SPARSE)}
        own.pax_headers = {key: value for key, value in kept.items() if key not in _FOLLOW_THE_NAME}
        self._tar.addfile(own, io.BytesIO(data))

    def add_image(self, name: str, info: TarInfo, image: AnyImage) -> tuple[str, ...]:
        buffer = io.BytesIO()
        lines = save_image(image, buffer, "TIFF" if PurePath(name).suffix == ".tif" else "PNG")
        self.add(name, info, buffer.getbuffer())
        return lines

    def finish(self) -> tuple[str, ...]:
        self._tar.close()
        return ()
