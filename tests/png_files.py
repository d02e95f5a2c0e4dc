"""PNG files of every sort, written here, since Pillow writes few of them."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from selfcodec.arrays import UInt16
from selfcodec.format.png import make_png

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type."""
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""Of Adam7: first row and column, steps down and across."""


def _rows(samples: UInt16, depth: int) -> bytes:
    """Return the unfiltered rows of samples (H, W, C)."""
    if not samples.size:
        return b""
    flat = samples.reshape(len(samples), -1)
    if depth == 16:
        packed = flat.astype(">u2").view(np.uint8)
    else:
        bits = np.unpackbits(flat.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
        packed = np.packbits(bits.reshape(len(samples), -1), axis=1)
    return np.pad(packed, ((0, 0), (1, 0))).tobytes()


def png_of(
    samples: UInt16,
    depth: int,
    colour: int,
    *chunks: tuple[bytes, bytes],
    interlaced: bool = False,
    tail: bytes = b"",
    lack: int = 0,
) -> bytes:
    """Return a PNG of samples (H, W, C), with chunks before its pixels, of whose rows `lack` bytes are missing.

    With a negative `lack` there are so many more.
    """
    height, width, _ = samples.shape
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    rows = b"".join(_rows(samples[top::down, left::across], depth) for top, left, down, across in passes)
    rows = rows[: len(rows) - max(lack, 0)] + bytes(max(-lack, 0))
    return make_png((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows))) + tail


def grey(*chunks: tuple[bytes, bytes], tail: bytes = b"") -> bytes:
    """Return a small grey PNG with these chunks."""
    return png_of(np.arange(6, dtype=np.uint16).reshape(2, 3, 1), 8, 0, *chunks, tail=tail)
