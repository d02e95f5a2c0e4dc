"""What no model codes of an image that one does: the alpha plane and the metadata.

`pack_*` raise InputError for what they cannot hold. `unpack_*` take bytes from a file, raise FormatError for
anything wrong, and allocate no more than the image's dimensions or a fixed limit allow.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from selfcodec.arrays import UInt8
from selfcodec.errors import FormatError, InputError

MAX_METADATA = 2**24
"""Metadata have at most so many bytes once decompressed."""


_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PIECE = 2**16
_CONSTANT, _SCANLINES = 0, 1
_METADATA_TAGS = {"icc_profile": 1, "exif": 2, "xmp": 3}
_EXIF_PREFIX = b"Exif\x00\x00"
# TIFF tags that describe the layout of the source file, or that Pillow hands over separately (ICC, XMP).
_TIFF_LAYOUT = frozenset((254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323))
_TIFF_LAYOUT |= frozenset((324, 325, 338, 339, 347, 530, 532, 700, 34675))
_TIFF_SUBDIRECTORIES = (0x8769, 0x8825)


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(body, zlib.crc32(name)).to_bytes(4, "big")


def png_chunks(png: bytes, allowed: frozenset[bytes]) -> dict[bytes, bytes]:
    """Return a PNG's chunks by name, repeated ones joined; raise FormatError if any is not allowed."""
    if not png.startswith(_PNG_MAGIC):
        raise FormatError("the stored image is not a PNG")
    position = len(_PNG_MAGIC)
    chunks: dict[bytes, bytearray] = {}
    while b"IEND" not in chunks:
        size, name = int.from_bytes(png[position : position + 4], "big"), png[position + 4 : position + 8]
        end = position + 12 + size
        if end > len(png) or name not in allowed or (name != b"IHDR" and not chunks):
            raise FormatError("the stored PNG is cut short or has a part that a writer does not make")
        body = png[position + 8 : end - 4]
        if png[position:end] != _png_chunk(name, body):
            raise FormatError("a checksum in the stored PNG is wrong")
        chunks.setdefault(name, bytearray()).extend(body)
        position = end
    if position != len(png) or len(chunks[b"IHDR"]) != 13:
        raise FormatError("the stored PNG has bytes after its end or a bad header")
    return {name: bytes(body) for name, body in chunks.items()}


def _inflate(data: bytes, limit: int, what: str) -> Iterator[bytes]:
    """Decompress one zlib stream that is all of `data`, piece by piece; raise FormatError beyond `limit` bytes."""
    inflater = zlib.decompressobj()
    total = 0
    for start in range(0, len(data), _PIECE):
        try:
            piece = inflater.decompress(data[start : start + _PIECE], limit + 1 - total)
        except zlib.error as error:
            raise FormatError(f"the {what} cannot be decompressed: {error}") from error
        total += len(piece)
        if total > limit:
            raise FormatError(f"the {what} decompresses to more than {limit} bytes")
        yield piece
        if inflater.eof and (inflater.unused_data or start + _PIECE < len(data)):
            raise FormatError(f"bytes follow the {what}")
    if not inflater.eof:
        raise FormatError(f"the {what} ends early")


def check_scanlines(stream: bytes, size: int, what: str) -> None:
    """Raise FormatError unless a zlib stream inflates to `size` bytes; Pillow would fill up what is missing."""
    if sum(map(len, _inflate(stream, size, what))) != size:
        raise FormatError(f"the {what} ends early")


def load_png(png: bytes, mode: str, width: int, height: int, what: str) -> Image.Image:
    """Decode a PNG of known mode and size; the size is compared before pixels are allocated."""
    try:
        # The class itself, because Image.open warns of a large image that the caller already allowed.
        image = PngImageFile(io.BytesIO(png))
        if image.mode != mode or image.size != (width, height) or getattr(image, "n_frames", 1) != 1:
            raise FormatError(f"the {what} is {image.mode} {image.width}×{image.height}, not {mode} {width}×{height}")
        image.load()
    except FormatError:
        raise
    except Exception as error:  # Pillow raises nearly every type on damaged data
        raise FormatError(f"the {what} cannot be decoded: {error}") from error
    return image


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
    chunks = ((b"IHDR", header), (b"IDAT", data[1:]), (b"IEND", b""))
    png = _PNG_MAGIC + b"".join(_png_chunk(name, body) for name, body in chunks)
    return np.array(load_png(png, "L", width, height, "alpha plane"))


def _exif(image: Image.Image) -> bytes:
    raw = image.info.get("exif")
    if isinstance(raw, bytes):
        return raw.removeprefix(_EXIF_PREFIX)
    try:
        source = image.getexif()
        kept = Image.Exif()
        for tag in source:
            if tag not in _TIFF_LAYOUT:
                kept[tag] = source.get_ifd(tag) if tag in _TIFF_SUBDIRECTORIES else source[tag]
        return kept.tobytes().removeprefix(_EXIF_PREFIX) if len(kept) else b""
    except Exception as error:  # Pillow raises nearly every type on damaged data
        raise InputError(f"the EXIF data cannot be read: encode without metadata (--strip) ({error})") from error


def pack_metadata(image: Image.Image) -> bytes:
    """Serialise an image's ICC profile, EXIF and XMP; b"" where it has none.

    A zlib stream of records in ascending order of tag: tag (1 byte), length (4 bytes, little-endian), data.
    EXIF that is not a byte string already (TIFF) is rebuilt without the tags that describe the file's layout.

    Raises:
        InputError: more than MAX_METADATA bytes, or EXIF that cannot be read.
    """
    fields = {
        "icc_profile": image.info.get("icc_profile"),
        "exif": _exif(image),
        "xmp": image.info.get("xmp"),
    }
    records = b""
    for name, tag in _METADATA_TAGS.items():
        value = fields[name]
        body = value.encode() if isinstance(value, str) else value
        if isinstance(body, bytes) and body:
            records += struct.pack("<BI", tag, len(body)) + body
    if len(records) > MAX_METADATA:
        raise InputError(f"{len(records)} bytes of metadata exceed {MAX_METADATA}: encode without it (--strip)")
    return zlib.compress(records, 9) if records else b""


def unpack_metadata(data: bytes) -> dict[str, bytes]:
    """Return what `pack_metadata` stored under `icc_profile`, `exif`, `xmp`; raise FormatError."""
    fields: dict[str, bytes] = {}
    if not data:
        return fields
    names = {tag: name for name, tag in _METADATA_TAGS.items()}
    records = b"".join(_inflate(data, MAX_METADATA, "metadata"))
    position, last = 0, 0
    while position < len(records) or not fields:
        if len(records) - position < 5:
            raise FormatError("the metadata end early")
        tag, size = struct.unpack_from("<BI", records, position)
        position += 5
        if tag not in names or tag <= last or not 0 < size <= len(records) - position:
            raise FormatError("the metadata hold a bad record")
        fields[names[tag]] = records[position : position + size]
        position, last = position + size, tag
    return fields


def apply_metadata(image: Image.Image, data: bytes) -> None:
    """Put packed metadata into `image.info`, under the keys that Pillow uses; raise FormatError."""
    fields = unpack_metadata(data)
    if "exif" in fields:
        fields["exif"] = _EXIF_PREFIX + fields["exif"]
    image.info.update(fields)
