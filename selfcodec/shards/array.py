"""NumPy's files of one array: pictures of one size, without names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from tarfile import TarInfo
from typing import BinaryIO

import numpy as np

from selfcodec.arrays import UInt8, meant_as_one
from selfcodec.errors import InputError
from selfcodec.images.deep import AnyImage
from selfcodec.images.properties import Properties
from selfcodec.shards.shard import Entry, Sink, Source

_DIGITS = 6
"""Numbers have so many, as WebDataset's do, or more where that is too few."""
_MODES = ("L", "RGB")


class ArraySource(Source):
    """An array (N, H, W) or (N, H, W, 3) of uint8, whose pictures are numbered PPM files; they are read one by one.

    Raises:
        InputError: the file holds no array.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            with open(path, "rb") as file:
                if file.read(6) != b"\x93NUMPY":
                    raise ValueError("it does not begin as one")
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        except Exception as error:  # NumPy evaluates the header, which raises nearly every type where it is damaged
            raise InputError(f"{path}: no whole array of NumPy: get another copy of it ({error})") from error
        fits = array.dtype == np.uint8 and array.ndim in (3, 4) and array.shape[3:] in ((), (3,))
        self._array: UInt8 = array if fits and array.size else np.empty((0, 0, 0), np.uint8)
        self.left_out = meant_as_one(self._array.shape)
        if fits and not array.size:
            self.instead = f"an array {array.shape} holds no pictures"
        elif not fits:
            self.instead = f"an array {array.shape} of {array.dtype}: give (N, H, W) or (N, H, W, 3) of uint8"

    def entries(self) -> Iterator[Entry]:
        time, kind = int(os.stat(self._path).st_mtime), "ppm" if self._array.ndim == 4 else "pgm"
        for i in range(len(self._array)):
            info = TarInfo(f"{i:0{_DIGITS}}.{kind}")
            info.mtime = time
            yield Entry(info.name, info, b"", partial(self._read, i))

    def _read(self, i: int) -> bytes:
        height, width = self._array.shape[1:3]
        return b"P%d %d %d 255\n" % (6 if self._array.ndim == 4 else 5, width, height) + self._array[i].tobytes()

    def close(self) -> None:
        del self._array  # its file is open as long as it is there


class ArraySink(Sink):
    """An array that is written to an open file, of so many pictures, which have to be of one size and kind."""

    def __init__(self, file: BinaryIO, pictures: int) -> None:
        self._file, self._pictures = file, pictures
        self._first: tuple[str, tuple[int, int]] | None = None
        self._others = 0

    def add(self, name: str, info: TarInfo, data: bytes | memoryview) -> None:
        self._others += not info.isdir()

    def add_image(self, name: str, info: TarInfo, image: AnyImage) -> tuple[str, ...]:
        kind = image.mode, image.size
        if image.mode not in _MODES or "transparency" in image.info:
            raise InputError("an array holds grey and RGB pictures only: decode to a .tar")
        if self._first is None:
            self._first = kind
            self._begin(np.asarray(image).shape)
        if kind != self._first:
            (mode, (width, height)), (first, (w, h)) = kind, self._first
            unlike = f"{mode} {width}×{height}, where others are {first} {w}×{h}"
            raise InputError(f"{unlike}: an array holds pictures of one size and kind: decode to a .tar")
        self._file.write(np.ascontiguousarray(image).data)
        return tuple(Properties.of(image.info).left_out(frozenset()))

    def _begin(self, shape: tuple[int, ...]) -> None:
        form = {"descr": "|u1", "fortran_order": False, "shape": (self._pictures, *shape)}
        np.lib.format.write_array_header_1_0(self._file, form)

    def finish(self) -> tuple[str, ...]:
        left = f"files beside the pictures are left out ({self._others}): an array holds pictures only"
        return (left,) if self._others else ()
