"""The stored fallback: an image without a model, as raw samples, as a PNG or as a lossless WebP.

`unpack_stored` takes bytes from a file, raises FormatError for anything wrong, and allocates no more than the image's
dimensions allow.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, features
from PIL.WebPImagePlugin import WebPImageFile

from selfcodec.errors import FormatError
from selfcodec.format.png import check_scanlines, load_png, png_chunks, scanlines_size

_Write = Callable[[Image.Image, Any], None]
_RAW, _PNG, _WEBP = 0, 1, 2
_PNG_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
_WEBP_MODES = {"L": "RGB", "LA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}
"""Each mode is another one inside a WebP."""
_WEBP_SIDE = 2**14 - 1
_WEBP_PIXELS = 2**24
"""A WebP is written of at most so many pixels, since its encoder takes 27 bytes for each."""
_WEBP_HEADER = struct.Struct("<4sI4s4sIBI")
"""A file begins with RIFF, size of what follows, WEBP, VP8L, size of its body, 2F, and in bits width - 1, height - 1,
alpha and version."""
_FEW_SAMPLES = 2**18
"""Up to so many samples trying both does not take long; only of tiny images a PNG is smaller than a WebP."""
_REPEATED = 0.25
"""Of a photograph's pixels a smaller share is equal to the one on the left, or to the one above."""
_PHOTOGRAPH = 3 * 32**2
"""What has fewer samples is no photograph; and it takes no time to see how large its WebP is."""
_QUICKER, _QUICKER_OF_FEW = 1.1, 1.2
"""What is smaller than a photograph's quick WebP by this factor has not been seen to be larger than a better one: of
2,700 pictures of 32×32 and 64×64 no quick one was larger by more than 1.183 than the best, with `_FEW_SAMPLES`."""


def _raw_size(mode: str, width: int, height: int) -> int | None:
    """Return the bytes of raw samples, or None where the mode cannot be stored raw (a palette)."""
    if mode == "1":
        return (width + 7) // 8 * height
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}.get(mode)
    return None if channels is None else channels * width * height


class _Counter(io.RawIOBase):
    """A file that keeps nothing but its size."""

    size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)


def _write_png(image: Image.Image, file: Any) -> None:
    source = image
    if image.mode == "P":
        # A palette of 256 entries, lest PNG use fewer bits a pixel than indices beyond a short palette need.
        top = int(np.asarray(image).max())
        palette_mode = image.palette.mode if image.palette else "RGB"
        palette = image.getpalette(palette_mode) or []
        missing = top + 1 - len(palette) // len(palette_mode)
        if missing > 0:
            source = image.copy()
            source.putpalette(palette + [0, 0, 0, 255][: len(palette_mode)] * missing, palette_mode)
    # Pillow's 255 for the white of one bit a pixel is more than that bit.
    key = {"transparency": int(bool(image.info["transparency"]))} if image.mode == "1" and _has_key(image) else {}
    source.save(file, "PNG", optimize=True, icc_profile=None, **key)


def _write_webp(image: Image.Image, file: Any, quality: int = 75, method: int = 4) -> None:
    bare = image.convert(_WEBP_MODES[image.mode])
    bare.info.clear()  # a profile would be written
    bare.save(file, "WEBP", lossless=True, exact=True, quality=quality, method=method)


def _has_key(image: Image.Image) -> bool:
    return "transparency" in image.info


def _has_webp(image: Image.Image) -> bool:
    size_fits = max(image.size) <= _WEBP_SIDE and image.width * image.height <= _WEBP_PIXELS
    return size_fits and image.mode in _WEBP_MODES and not _has_key(image) and bool(features.check("webp"))


def _has_raw(image: Image.Image) -> bool:
    return _raw_size(image.mode, *image.size) is not None and not _has_key(image)


def _size(image: Image.Image, write: _Write) -> int:
    counter = _Counter()
    write(image, counter)
    return counter.size


def _bytes(image: Image.Image, write: _Write) -> bytes:
    buffer = io.BytesIO()
    write(image, buffer)
    return buffer.getvalue()


def stored_size(image: Image.Image) -> int:
    """Return a length that `pack_stored` does not exceed, without holding the bytes in memory."""
    sizes = [_raw_size(image.mode, *image.size) or 0] if _has_raw(image) else []
    if _has_webp(image):
        sizes.append(_size(image, _write_webp))
    if not _has_webp(image) or image.width * image.height * len(image.getbands()) <= _FEW_SAMPLES:
        sizes.append(_size(image, _write_png))
    return 1 + min(sizes)


class Quick(NamedTuple):
    """What a tenth of the time tells of how a colour photograph would be stored.

    Attributes:
        size: of a quick WebP.
        sure: shorter files are not worth comparing to `stored_size`.
    """

    size: int
    sure: int


def quick_size(image: Image.Image) -> Quick | None:
    """Measure an image quickly; return None of one that is no colour photograph, for which that tells nothing."""
    if image.mode not in ("RGB", "RGBA") or not _has_webp(image):
        return None
    samples = np.asarray(image)  # (H, W, C)
    if samples.size < _PHOTOGRAPH or 1 in image.size:
        return None
    repeats = ((samples[:, 1:] == samples[:, :-1]).all(2).mean(), (samples[1:] == samples[:-1]).all(2).mean())
    grey = (samples[:, :, :1] == samples[:, :, 1:3]).all()
    if grey or max(repeats) >= _REPEATED:
        return None
    factor = _QUICKER_OF_FEW if samples.size <= _FEW_SAMPLES else _QUICKER
    size = _size(image, partial(_write_webp, quality=0, method=0))
    return Quick(size, int(size / factor))


def pack_stored(image: Image.Image) -> bytes:
    """Store an image of mode 1, L, LA, P, RGB or RGBA: pixels, mode, palette, transparency; not its metadata.

    Returns the smallest of 00 and raw samples (mode 1: packed bits, rows padded to bytes), 01 and a PNG, and 02 and a
    lossless WebP.
    """
    forms = [bytes((_RAW,)) + image.tobytes()] if _has_raw(image) else []
    forms.append(bytes((_PNG,)) + _bytes(image, _write_png))
    if _has_webp(image):
        forms.append(bytes((_WEBP,)) + _bytes(image, _write_webp))
    return min(forms, key=len)


def unpack_stored(data: bytes, mode: str, width: int, height: int) -> Image.Image:
    """Return the image that `pack_stored` stored; raise FormatError, also where mode or size differ."""
    form, body = data[:1], data[1:]
    if form == bytes((_RAW,)):
        if len(body) != _raw_size(mode, width, height):
            raise FormatError(f"{len(body)} bytes are not the raw samples of {mode} {width}×{height}")
        return Image.frombytes(mode, (width, height), body)
    if form == bytes((_PNG,)):
        return _read_png(body, mode, width, height)
    if form == bytes((_WEBP,)):
        return _read_webp(body, mode, width, height)
    raise FormatError("the stored image is neither raw samples nor a PNG nor a WebP")


def _read_png(data: bytes, mode: str, width: int, height: int) -> Image.Image:
    chunks = png_chunks(data, _PNG_CHUNKS)  # others could hold compressed data that Pillow would inflate
    depth, colour_type, *_, interlaced = chunks[b"IHDR"][8:]
    if depth > 8 or interlaced:
        raise FormatError("the stored PNG is interlaced or has more than 8 bits a sample")
    size = scanlines_size(width, height, depth, colour_type, interlaced=False)
    check_scanlines(chunks.get(b"IDAT", b""), size, "stored image")
    return load_png(data, mode, width, height, "stored image")


def _read_webp(data: bytes, mode: str, width: int, height: int) -> Image.Image:
    """The size is compared before pixels are allocated."""
    if len(data) < _WEBP_HEADER.size or mode not in _WEBP_MODES:
        raise FormatError(f"the stored WebP is cut short, or of mode {mode}")
    riff, size, webp, chunk, body, signature, bits = _WEBP_HEADER.unpack_from(data)
    if (riff, webp, chunk, signature) != (b"RIFF", b"WEBP", b"VP8L", 0x2F):
        raise FormatError("the stored image is not a lossless WebP without other parts")
    if len(data) != 8 + size or size != 12 + body + body % 2:
        raise FormatError("the stored WebP is cut short or has bytes after its end")
    allowed = width - 1 | height - 1 << 14, width - 1 | height - 1 << 14 | ("A" in mode) << 28
    if bits not in allowed:  # without the bit for alpha, all is opaque
        raise FormatError(f"the stored WebP is not {mode} {width}×{height}")
    try:
        image = WebPImageFile(io.BytesIO(data)).convert(_WEBP_MODES[mode])
    except Exception as error:  # Pillow raises nearly every type on damaged data
        raise FormatError(f"the stored WebP cannot be decoded: {error}") from error
    if mode in ("L", "LA"):
        red, green, blue, *alpha = image.split()
        if not red.tobytes() == green.tobytes() == blue.tobytes():
            raise FormatError("the stored WebP of a grey image has colours")
        image = Image.merge(mode, (red, *alpha))
    return Image.frombytes(mode, image.size, image.tobytes())  # without what Pillow knows of the WebP
