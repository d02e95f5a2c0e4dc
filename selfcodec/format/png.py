"""PNG as a sequence of chunks: writing one, walking over all of them, and pixels within known bounds.

What reads raises FormatError for anything wrong, and allocates no more than the image's dimensions or a limit allow.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from selfcodec.errors import FormatError

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PIECE = 2**12
"""Compressed bytes that are inflated at once, to a thousand times as many at most."""
_FRAME_BYTES = 12
"""Length, name and checksum around a chunk's body."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel by colour type."""
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""Passes of an image: first row and column, steps down and across."""


class TooLongError(FormatError):
    """A stream decompresses to more than is allowed."""


def png_chunk(name: bytes, body: bytes) -> bytes:
    """Return a whole chunk."""
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(body, zlib.crc32(name)).to_bytes(4, "big")


def make_png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of these chunks, each name and body, and an end."""
    return PNG_MAGIC + b"".join(png_chunk(name, body) for name, body in (*chunks, (b"IEND", b"")))


def walk_chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and body of every chunk up to IEND, the first of which is an IHDR of 13 bytes."""
    if not png.startswith(PNG_MAGIC):
        raise FormatError("it is not a PNG")
    position, name = len(PNG_MAGIC), b""
    while name != b"IEND":
        size, name = int.from_bytes(png[position : position + 4], "big"), png[position + 4 : position + 8]
        end = position + _FRAME_BYTES + size
        if end > len(png):
            raise FormatError("the PNG is cut short")
        if position == len(PNG_MAGIC) and (name != b"IHDR" or size != 13):
            raise FormatError("the PNG does not begin with its header")
        body = png[position + 8 : end - 4]
        if png[end - 4 : end] != zlib.crc32(body, zlib.crc32(name)).to_bytes(4, "big"):
            raise FormatError(f"the checksum of the PNG's chunk {name.decode('latin-1')!r} is wrong")
        yield name, body
        position = end


def png_chunks(png: bytes, allowed: frozenset[bytes]) -> dict[bytes, bytes]:
    """Return a PNG's chunks by name, repeated ones joined, where all are allowed and nothing follows them."""
    chunks: dict[bytes, bytearray] = {}
    size = len(PNG_MAGIC)
    for name, body in walk_chunks(png):
        if name not in allowed or (name == b"IHDR" and chunks):
            raise FormatError("the stored PNG has a part that a writer does not make")
        chunks.setdefault(name, bytearray()).extend(body)
        size += _FRAME_BYTES + len(body)
    if size != len(png):
        raise FormatError("the stored PNG has bytes after its end")
    return {name: bytes(body) for name, body in chunks.items()}


def inflate(data: bytes, limit: int, what: str) -> Iterator[bytes]:
    """Decompress one zlib stream that is all of `data`, piece by piece; raise TooLongError beyond `limit` bytes."""
    inflater = zlib.decompressobj()
    total = 0
    for start in range(0, len(data), _PIECE):
        try:
            piece = inflater.decompress(data[start : start + _PIECE], limit + 1 - total)
        except zlib.error as error:
            raise FormatError(f"the {what} cannot be decompressed: {error}") from error
        total += len(piece)
        if total > limit:
            raise TooLongError(f"the {what} decompresses to more than {limit} bytes")
        yield piece
        if inflater.eof and (inflater.unused_data or start + _PIECE < len(data)):
            raise FormatError(f"bytes follow the {what}")
    if not inflater.eof:
        raise FormatError(f"the {what} ends early")


def scanlines_size(width: int, height: int, depth: int, colour: int, *, interlaced: bool) -> int:
    """Return the bytes of an image's rows, a filter's number before each, as they are before compression."""
    size = 0
    for top, left, down, across in _ADAM7 if interlaced else _WHOLE:
        rows, columns = len(range(top, height, down)), len(range(left, width, across))
        size += rows * (1 + (columns * depth * _CHANNELS.get(colour, 0) + 7) // 8) if columns else 0
    return size


def check_enough(stream: bytes, size: int, what: str) -> None:
    """Raise FormatError unless a zlib stream inflates to `size` bytes at least; what follows them is not looked at."""
    total = 0
    try:
        for piece in inflate(stream, size, what):
            total += len(piece)
            if total == size:
                return
    except TooLongError:
        return
    raise FormatError(f"the {what} end early")


def check_scanlines(stream: bytes, size: int, what: str) -> None:
    """Raise FormatError unless a zlib stream inflates to `size` bytes; Pillow would fill up what is missing."""
    if sum(map(len, inflate(stream, size, what))) != size:
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
