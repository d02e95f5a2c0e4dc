"""Samples of files with 16 bits a sample, which Pillow would reduce to 8, and how such files are told."""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from selfcodec.arrays import UInt16
from selfcodec.errors import InputError
from selfcodec.format.boxes import contents
from selfcodec.format.jpegxl import codestream, read_header
from selfcodec.images.deep import scaled
from selfcodec.images.turning import turned

Read = Callable[[bytes, Image.Image], UInt16]
"""From a file's bytes, and the image of its header, to samples (H, W), or (H, W, C) with alpha last."""

MAX_DEPTH = 16
TOO_DEEP = "it has more than 16 bits a sample, or such that are no whole numbers: convert it to 16 bits or fewer first"
_UNUSUAL = "its samples of more than 8 bits are of an unusual kind ({}): convert it to a PNG of 16 bits first"
# Raw modes by which Pillow reduces deep samples to 8 bits unasked. BGR;16 is not one: it packs 5-6-5 bits.
_DEEP_RAW_MODE = re.compile(r"(L|LA|R|RGB|RGBA|RGBX|RGBa|CMYK);16")
_SIZ = b"\xff\x4f\xff\x51"
"""Markers at the beginning of a JPEG 2000 codestream."""
_JP2_COLOURS = (b"\0\0\0\x10", b"\0\0\0\x11", b"RGB ", b"GRAY")
"""sRGB and grey by their numbers in JPEG 2000, others by the colour space in their ICC profile."""
_AV1C = (
    (b"meta", b"iprp", b"ipco", b"av1C"),
    (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"av01", b"av1C"),
)
"""Boxes with what tells of an AV1 codestream: of a picture, and of a sequence."""
_BITS, _PHOTOMETRIC, _EXTRA, _FORMAT, _ORIENTATION = 258, 262, 338, 339, 274
"""Tags of TIFF."""


def _file(image: Image.Image) -> bytes:
    """Return all of a not yet loaded file, or b""; what tells of its samples may stand anywhere in it."""
    fp = getattr(image, "fp", None)
    if fp is None:
        return b""
    position = fp.tell()
    fp.seek(0)
    data: bytes = fp.read()
    fp.seek(position)
    return data


def _siz(data: bytes) -> list[bytes]:
    """Return the three bytes (depth - 1 and sign, steps across and down) of each component of a JPEG 2000."""
    stream = data if data.startswith(_SIZ) else next(contents(data, b"jp2c"), b"")
    count = int.from_bytes(stream[40:42], "big") if stream.startswith(_SIZ) else 0
    return [stream[42 + 3 * i : 45 + 3 * i] for i in range(min(count, 5))]


def _avif_depth(data: bytes) -> int:
    record = next((record for path in _AV1C for record in contents(data, *path)), b"")
    flags = record[2] if len(record) > 2 else 0  # tier, high_bitdepth and twelve_bit, behind version, profile and level
    return (12 if flags & 0x20 else 10) if flags & 0x40 else 8


def is_deep(image: Image.Image) -> bool:
    """Return whether a not yet loaded file has more than 8 bits a sample, all the same whether Pillow reduces them."""
    if image.mode.startswith(("I", "F")):
        return True
    if image.format == "JPEG2000":
        return any(part[:1] and (part[0] & 0x7F) >= 8 for part in _siz(_file(image)))
    if image.format == "AVIF":
        return _avif_depth(_file(image)) > 8
    if image.format == "JXL":
        return not 0 < _jpegxl_depth(_file(image)) <= 8
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8)) > 8
    for tile in getattr(image, "tile", ()):
        if tile[0] == "SGI16":
            return True
        parameters = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        raw_mode = parameters[0] if parameters else None
        if isinstance(raw_mode, str) and _DEEP_RAW_MODE.match(raw_mode):
            return True
        # PPM: (raw mode, largest sample value)
        if str(tile[0]).startswith("ppm") and len(parameters) == 2 and parameters[1] > 255:
            return True
    return False


def _jpegxl_depth(data: bytes) -> int:
    return read_header(codestream(data)).depth


def read_deep(image: Image.Image) -> UInt16:
    """Return the samples (H, W, C), 0..65535, C = 1..4 with alpha last, of a not yet loaded file that `is_deep`.

    Samples of fewer than 16 bits are scaled: rounding back brings the file's own back.

    Raises:
        InputError: they are of a kind that cannot be kept, as 32 bits or floating point.
    """
    read = _READERS.get(image.format or "")
    if getattr(image, "fp", None) is None or read is None:
        raise InputError(TOO_DEEP if image.mode in ("I", "F") else _UNUSUAL.format(f"in a file {image.format}"))
    samples = read(_file(image), image)
    samples = samples[..., None] if samples.ndim == 2 else samples
    if samples.dtype != np.uint16 or samples.ndim != 3 or not 1 <= samples.shape[2] <= 4:
        raise InputError(_UNUSUAL.format(f"{samples.shape} of {samples.dtype}"))
    return np.ascontiguousarray(samples)


def _read_png(data: bytes, image: Image.Image) -> UInt16:
    import imagecodecs

    return imagecodecs.png_decode(data)  # a transparent colour becomes alpha


def _read_tiff(data: bytes, image: Image.Image) -> UInt16:
    import imagecodecs

    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    bits, formats = set(tags.get(_BITS, (1,))), set(tags.get(_FORMAT, (1,)))
    if bits != {MAX_DEPTH} or formats != {1}:
        raise InputError(TOO_DEEP if max(bits) > MAX_DEPTH or formats != {1} else _UNUSUAL.format(f"bits {bits}"))
    photometric, extra = tags.get(_PHOTOMETRIC), tags.get(_EXTRA, ())
    if photometric not in (0, 1, 2) or extra not in ((), (2,)):
        raise InputError(_UNUSUAL.format("inks, or alpha that is multiplied in"))
    samples = imagecodecs.tiff_decode(data)
    if photometric == 0:
        samples = 65535 - samples
    orientation = image.getexif().pop(_ORIENTATION, 1)
    return turned(samples, orientation)


def _read_jpeg2000(data: bytes, image: Image.Image) -> UInt16:
    import imagecodecs

    parts = set(_siz(data))
    if len(parts) != 1 or (part := parts.pop())[1:] != b"\1\1" or part[0] >= MAX_DEPTH:
        raise InputError(_UNUSUAL.format("components that differ, or with signs"))
    for colours in contents(data, b"jp2h", b"colr"):
        told = colours[3:7] if colours[:1] == b"\1" else colours[19:23]
        if told not in _JP2_COLOURS:
            raise InputError(_UNUSUAL.format("colours that are neither grey nor RGB, such as YCC or inks"))
    return scaled(imagecodecs.jpeg2k_decode(data), (1 << part[0] + 1) - 1)


def _read_avif(data: bytes, image: Image.Image) -> UInt16:
    import imagecodecs

    return scaled(imagecodecs.avif_decode(data, index=0), (1 << _avif_depth(data)) - 1)


def _read_jpegxl(data: bytes, image: Image.Image) -> UInt16:
    import imagecodecs

    depth = _jpegxl_depth(data)
    if not 8 < depth <= MAX_DEPTH:
        raise InputError(TOO_DEEP)
    return scaled(imagecodecs.jpegxl_decode(data, index=0), (1 << depth) - 1)


def _read_heif(data: bytes, image: Image.Image) -> UInt16:
    opened = importlib.import_module("pillow_heif").open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    depth = int(image.info["bit_depth"])  # samples stand in the upper bits
    return scaled((np.asarray(opened) >> MAX_DEPTH - depth).astype(np.uint16), (1 << depth) - 1)


def _read_pnm(data: bytes, image: Image.Image) -> UInt16:
    number = rb"(?:\s|#[^\n]*\n)+(\d+)"
    header = re.match(rb"P([2356])" + 3 * number + rb"\s", data)
    if header is None:
        raise InputError(_UNUSUAL.format("of floating point"))
    kind, width, height, top = map(int, header.groups())
    channels = 3 if kind in (3, 6) else 1
    count = width * height * channels
    if kind in (5, 6):
        values = np.frombuffer(data[header.end() :][: 2 * count], ">u2").astype(np.uint16)
    else:
        words = re.sub(rb"#[^\n]*", b"", data[header.end() :]).split(maxsplit=count)[:count]
        values = np.fromiter((_sample(word, top) for word in words), np.uint16)
    if len(values) != count:
        raise ValueError("the file is cut short")
    if values.max() > top:
        raise ValueError("a sample is larger than the largest")
    return scaled(values.reshape(height, width, channels), top)


def _sample(word: bytes, top: int) -> int:
    if not word.isdigit() or (value := int(word)) > top:
        raise ValueError(f"{word[:9]!r} is no sample from 0 to {top}")
    return value


_READERS: dict[str, Read] = {
    "PNG": _read_png,
    "TIFF": _read_tiff,
    "JPEG2000": _read_jpeg2000,
    "AVIF": _read_avif,
    "JXL": _read_jpegxl,
    "HEIF": _read_heif,
    "PPM": _read_pnm,
}
