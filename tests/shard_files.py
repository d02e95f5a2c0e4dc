"""Small shards, for the tests that read them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from selfcodec.arrays import UInt8

TIME = 1_700_000_000


def png_of(samples: UInt8) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, files: Mapping[str, bytes], **options: str) -> Path:
    """A tar file whose members have times of their own."""
    with tarfile.open(path, options.get("mode", "w")) as tar:  # type: ignore[call-overload]
        for i, (name, data) in enumerate(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode, info.uname = len(data), TIME + i, 0o640, "someone"
            tar.addfile(info, io.BytesIO(data))
    return path


def read_tar(path: Path) -> dict[str, bytes]:
    """What is in a tar file, in order."""
    with tarfile.open(path) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isfile()}  # type: ignore[union-attr]


def facts(path: Path) -> list[tuple[object, ...]]:
    """What a tar file says of its members beside their names."""
    with tarfile.open(path) as tar:
        return [(info.mtime, info.mode, info.uname, info.type) for info in tar]


def crops(photo: UInt8, count: int, size: int = 12) -> UInt8:
    """Pictures of one size, (count, size, size, 3)."""
    return np.stack([photo[i : i + size, 2 * i : 2 * i + size] for i in range(count)])
