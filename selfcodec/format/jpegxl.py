"""Samples as a lossless JPEG XL codestream, whose header is read before anything is decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from selfcodec.errors import FormatError
from selfcodec.format.boxes import contents

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_SIGNATURE = b"\xff\x0a"
_EFFORT = 3
_SIDES = ((1, 9), (1, 13), (1, 18), (1, 30))
_PREVIEW_EIGHTHS = ((16, 0), (32, 0), (1, 5), (33, 9))
_PREVIEW_SIDES = ((1, 6), (65, 8), (321, 10), (1345, 12))
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_DEPTHS = ((8, 0), (10, 0), (12, 0), (1, 6))
_COUNTS = ((0, 0), (1, 0), (2, 4), (1, 12))
_TICKS = ((100, 0), (1000, 0), (1, 10), (1, 30))
_TICKS_UNDER = ((1, 0), (1001, 0), (1, 8), (1, 10))
_LOOPS = ((0, 0), (0, 3), (0, 16), (0, 32))
"""Of an animation: numerator and denominator of the ticks a second, and repetitions."""


@dataclass(frozen=True)
class StreamHeader:
    """The beginning of a codestream, as far as it tells how much decoding will allocate."""

    width: int
    height: int
    plain: bool
    """It has no preview, no animation, no orientation and no size of its own to be shown in."""
    depth: int
    """Bits a sample; 0 for floating point."""
    extra: int
    """Channels besides those of colour."""
    animated: bool = False
    orientation: int = 1
    """As in EXIF; decoders turn what they decode."""


class _Bits:
    """Bits of a byte string, the least significant of each byte first; zeros follow its end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._value & (1 << count) - 1
        self._value >>= count
        return value

    def choice(self, options: tuple[tuple[int, int], ...]) -> int:
        """Read which of four (offset, bits) a number has, and the number."""
        offset, count = options[self.take(2)]
        return offset + self.take(count)


def _side(bits: _Bits, eighths: int) -> int:
    return 8 * (1 + bits.take(5)) if eighths else bits.choice(_SIDES)


def _preview_side(bits: _Bits, eighths: int) -> int:
    return 8 * bits.choice(_PREVIEW_EIGHTHS) if eighths else bits.choice(_PREVIEW_SIDES)


def _size(bits: _Bits, side: Callable[[_Bits, int], int] = _side) -> tuple[int, int]:
    eighths = bits.take(1)
    height = side(bits, eighths)
    ratio = bits.take(3)
    if not ratio:
        return side(bits, eighths), height
    over, under = _RATIOS[ratio - 1]
    return height * over // under, height


def _extra_fields(bits: _Bits) -> tuple[bool, int]:
    """Read what few images have, and return whether it is an animation, and the orientation."""
    orientation = 1 + bits.take(3)
    if bits.take(1):
        _size(bits)  # to be shown in
    if bits.take(1):
        _size(bits, _preview_side)
    animated = bool(bits.take(1))
    if animated:
        for options in (_TICKS, _TICKS_UNDER, _LOOPS):
            bits.choice(options)
        bits.take(1)  # whether frames have time codes
    return animated, orientation


def read_header(stream: bytes) -> StreamHeader:
    """Return the header of a bare codestream; raise FormatError."""
    if not stream.startswith(_SIGNATURE):
        raise FormatError("it is not a JPEG XL codestream")
    bits = _Bits(stream[len(_SIGNATURE) : 64])
    width, height = _size(bits)
    if bits.take(1):  # all is as usual: 8 bits of no extra channels
        return StreamHeader(width, height, True, 8, 0)
    plain = not bits.take(1)
    animated, orientation = (False, 1) if plain else _extra_fields(bits)
    floating = bits.take(1)
    depth = bits.choice(_DEPTHS)
    if floating:
        return StreamHeader(width, height, plain, 0, 0, animated, orientation)
    bits.take(1)  # whether 16 bits suffice for decoding
    return StreamHeader(width, height, plain, depth, bits.choice(_COUNTS), animated, orientation)


def codestream(data: bytes) -> bytes:
    """Return the bare codestream of a JPEG XL file, which may have a container of boxes around it; or b""."""
    if data.startswith(_SIGNATURE):
        return data
    if (whole := next(contents(data, b"jxlc"), None)) is not None:
        return whole
    return b"".join(part[4:] for part in contents(data, b"jxlp"))  # each behind its number


def pack_jpegxl(samples: Samples) -> bytes:
    """Return the codestream of samples (H, W, C), C = 1..4, uint8 or uint16; with C = 2 or 4 the last is extra."""
    import imagecodecs

    squeezed = samples[..., 0] if samples.shape[2] == 1 else samples
    return codestream(bytes(imagecodecs.jpegxl_encode(squeezed, lossless=True, effort=_EFFORT)))


def unpack_jpegxl(stream: bytes, shape: tuple[int, int, int], dtype: Any) -> Samples:
    """Return the samples of a codestream whose header tells this shape and type; raise FormatError."""
    import imagecodecs

    height, width, channels = shape
    expected = StreamHeader(width, height, True, 8 * np.dtype(dtype).itemsize, 1 - channels % 2)
    if read_header(stream) != expected:
        raise FormatError(f"the stored JPEG XL is not {width}×{height} with {channels} channels")
    try:
        samples = imagecodecs.jpegxl_decode(stream)
    except Exception as error:  # what the decoder raises is not documented
        raise FormatError(f"the stored JPEG XL cannot be decoded: {error}") from error
    if samples.size != height * width * channels or samples.dtype != dtype:
        raise FormatError(f"the stored JPEG XL holds {samples.shape} samples of {samples.dtype}")
    return samples.reshape(shape)
