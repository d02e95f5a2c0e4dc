"""The alpha plane, which no model codes.

`pack_alpha` raises InputError for what it cannot hold. `unpack_alpha` takes bytes from a file, raises FormatError for
anything wrong, and allocates no more than the image's dimensions allow.
"""

from __future__ import annotations

import io
import zlib

import numpy as np
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.errors import FormatError, InputError
from selfcodec.format.png import check_scanlines, load_png, make_png, png_chunks

_CONSTANT, _SCANLINES = 0, 1


def pack_alpha(alpha: UInt8) -> bytes:
    """Code an alpha plane (H, W) uint8 without loss.

    Either 00 and the value of a constant plane, or 01 and a zlib stream of PNG-filtered 8-bit scanlines: a
    greyscale PNG without the parts that the dimensions imply.
    """
    if alpha.ndim != 2 or alpha.dtype != np.uint8 or not alpha.size:
        raise InputError(f"an alpha plane is (H, W) uint8, not {alpha.shape} {alpha.dtype}")
    if alpha.min() == alpha.max():
        return bytes((_CONSTANT, int(alpha[0, 0])))
    buffer = io.BytesIO()
    Image.fromarray(alpha).save(buffer, "PNG", optimize=True)
    filtered = png_chunks(buffer.getvalue(), frozenset((b"IHDR", b"IDAT", b"IEND")))[b"IDAT"]
    # Pillow always picks filters; on masks no filter (type 0) often wins.
    unfiltered = zlib.compress(np.pad(alpha, ((0, 0), (1, 0))).tobytes(), 9)
    return bytes((_SCANLINES,)) + min(filtered, unfiltered, key=len)


def unpack_alpha(data: bytes, width: int, height: int) -> UInt8:
    """Return the alpha plane (height, width) uint8 that `pack_alpha` coded; raise FormatError."""
    if len(data) == 2 and data[0] == _CONSTANT:
        return np.full((height, width), data[1], np.uint8)
    if data[:1] != bytes((_SCANLINES,)):
        raise FormatError("the alpha plane is neither constant nor compressed")
    check_scanlines(data[1:], height * (width + 1), "alpha plane")
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
    png = make_png((b"IHDR", header), (b"IDAT", data[1:]))
    return np.array(load_png(png, "L", width, height, "alpha plane"))
