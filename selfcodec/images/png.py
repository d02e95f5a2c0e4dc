"""Writing PNG with every chunk that the source had."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from selfcodec.format.metadata import EXIF_PREFIX, XMP_KEYWORD
from selfcodec.format.png import png_chunk
from selfcodec.images.properties import Properties

_HEAD_BYTES = 8 + 25
"""Signature and IHDR; behind it stand the chunks of properties, all of which may come before PLTE and IDAT."""


def with_properties(png: memoryview, properties: Properties) -> list[bytes | memoryview]:
    """Return a PNG without metadata, in pieces, with metadata added; it is not copied."""
    return [png[:_HEAD_BYTES], *(png_chunk(name, body) for name, body in _chunks(properties)), png[_HEAD_BYTES:]]


def _chunks(properties: Properties) -> Iterator[tuple[bytes, bytes]]:
    yield from properties.png_chunks
    if properties.icc_profile:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(properties.icc_profile)
    if properties.exif:
        yield b"eXIf", properties.exif.removeprefix(EXIF_PREFIX)
    if properties.xmp:  # keyword, not compressed, no language, no translated keyword
        yield b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + properties.xmp
