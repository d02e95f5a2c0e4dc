"""Stored images of samples that no model codes: 16 bits deep, or printing inks.

`unpack_samples` takes bytes from a file, raises FormatError for anything wrong, and allocates no more than the image's
dimensions allow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from selfcodec.errors import FormatError
from selfcodec.format.jpegxl import Samples, pack_jpegxl, unpack_jpegxl

_RAW, _JPEGXL = 0, 3


@dataclass(frozen=True)
class SampleMode:
    """What the samples of an image mode are."""

    channels: int
    type: str
    """Of a sample, as NumPy names it."""


SAMPLE_MODES = {
    "I;16": SampleMode(1, "<u2"),
    "LA;16": SampleMode(2, "<u2"),
    "RGB;16": SampleMode(3, "<u2"),
    "RGBA;16": SampleMode(4, "<u2"),
    "CMYK": SampleMode(4, "u1"),
}


def pack_samples(samples: Samples) -> bytes:
    """Store samples (H, W, C): the smaller of 00 and the samples in little-endian order, and 03 and a JPEG XL."""
    raw = samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()
    return min(bytes((_RAW,)) + raw, bytes((_JPEGXL,)) + pack_jpegxl(samples), key=len)


def unpack_samples(data: bytes, mode: str, width: int, height: int) -> Samples:
    """Return the samples (height, width, C) of a mode in SAMPLE_MODES that `pack_samples` stored; raise FormatError."""
    layout = SAMPLE_MODES[mode]
    shape, kind = (height, width, layout.channels), np.dtype(layout.type)
    form, body = data[:1], data[1:]
    if form == bytes((_RAW,)):
        if len(body) != height * width * layout.channels * kind.itemsize:
            raise FormatError(f"{len(body)} bytes are not the raw samples of {mode} {width}×{height}")
        return np.frombuffer(body, kind).reshape(shape).astype(kind.newbyteorder("="))
    if form == bytes((_JPEGXL,)):
        return unpack_jpegxl(body, shape, kind.newbyteorder("="))
    raise FormatError(f"the stored image of mode {mode} is neither raw samples nor a JPEG XL")
