"""Metadata: ICC profile, EXIF, XMP, and chunks of a PNG, which no model codes.

`pack_metadata` raises InputError for what it cannot hold. `unpack_metadata` takes bytes from a file, raises FormatError
for anything wrong, and allocates no more than MAX_METADATA.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Protocol

from selfcodec.errors import FormatError, InputError
from selfcodec.format.png import inflate

MAX_METADATA = 2**24
"""Metadata have at most so many bytes once decompressed."""
EXIF_PREFIX = b"Exif\x00\x00"
WITHOUT_METADATA = "encode without metadata (--strip, strip=True)"
"""The way out where they cannot be kept, on the command line and in Python."""
CHUNK_SIZES: dict[bytes, int | None] = {
    b"cICP": 4,
    b"mDCV": 24,
    b"cLLI": 8,
    b"gAMA": 4,
    b"cHRM": 32,
    b"sRGB": 1,
    b"pHYs": 9,
    b"tIME": 7,
    b"tEXt": None,
    b"iTXt": None,
}
"""The kinds of PNG chunks that metadata hold, in their order, with their size in bytes; texts have any, and may be
several."""
TEXT_CHUNKS = frozenset(name for name, size in CHUNK_SIZES.items() if size is None)
MAX_KEYWORD = 79
MAX_CHUNKS = 2**12
"""Metadata hold at most so many chunks, since each takes memory beyond its bytes."""
XMP_KEYWORD = b"XML:com.adobe.xmp"
"""PNG's text of this keyword is the XMP packet, which has a record of its own."""

Chunk = tuple[bytes, bytes]
"""Name and body, as in PNG."""

_TAGS = {"icc_profile": 1, "exif": 2, "xmp": 3, "png_chunks": 4}
_RECORD = struct.Struct("<BI")
_CHUNK = struct.Struct("<4sI")
_ORDER = list(CHUNK_SIZES)
METRES_PER_INCH = 0.0254
GAMMA_UNIT = 100_000


class HasInfo(Protocol):
    """An image of Pillow's, or a deep one."""

    @property
    def info(self) -> dict[Any, Any]:
        """Whatever is known of the image besides its pixels."""


def _check_text(name: bytes, body: bytes) -> None:
    """Raise FormatError unless a text chunk has a keyword and what goes with it, and is not compressed."""
    keyword, nul, rest = body.partition(b"\0")
    if not nul or not 0 < len(keyword) <= MAX_KEYWORD or keyword == XMP_KEYWORD:
        raise FormatError("a text in the metadata has no keyword of its own")
    if name == b"iTXt" and (rest[:2] != b"\0\0" or rest[2:].count(b"\0") < 2):
        raise FormatError("a text in the metadata is compressed or cut short")


def check_chunks(chunks: Iterable[Chunk]) -> None:
    """Raise FormatError unless chunks are of the kinds and sizes that metadata hold, in their order."""
    last = -1
    for count, (name, body) in enumerate(chunks):
        if count == MAX_CHUNKS:
            raise FormatError(f"the metadata hold more than {MAX_CHUNKS} chunks")
        place = _ORDER.index(name) if name in CHUNK_SIZES else -1
        text = name in TEXT_CHUNKS
        if place < last or (place == last and not text):
            raise FormatError("the metadata hold a chunk of an unknown kind, twice, or out of order")
        if text:
            _check_text(name, body)
        elif len(body) != CHUNK_SIZES[name]:
            raise FormatError(f"the metadata hold a chunk {name.decode()} of {len(body)} bytes")
        last = place


def ordered(chunks: Iterable[Chunk]) -> tuple[Chunk, ...]:
    """Return chunks in the order in which metadata hold them; unknown ones come first, and are refused there."""
    return tuple(sorted(chunks, key=lambda chunk: _ORDER.index(chunk[0]) if chunk[0] in CHUNK_SIZES else -1))


def _pack_chunks(chunks: Iterable[Chunk]) -> bytes:
    in_order = ordered(chunks)
    try:
        check_chunks(in_order)
    except FormatError as error:
        raise InputError(f"{error}: {WITHOUT_METADATA}") from error
    return b"".join(_CHUNK.pack(name, len(body)) + body for name, body in in_order)


def _unpack_chunks(record: bytes) -> Iterator[Chunk]:
    position = 0
    while position < len(record):
        if len(record) - position < _CHUNK.size:
            raise FormatError("a chunk in the metadata ends early")
        name, size = _CHUNK.unpack_from(record, position)
        position += _CHUNK.size
        if size > len(record) - position:
            raise FormatError("a chunk in the metadata ends early")
        yield name, record[position : position + size]
        position += size


def pack_metadata(fields: Mapping[str, Any]) -> bytes:
    """Serialise metadata; b"" where there are none.

    A zlib stream of records in ascending order of tag: tag (1 byte), length (4 bytes, little-endian), data.

    Args:
        fields: bytes of `icc_profile`, `exif` and `xmp`, and of `png_chunks` a sequence of names and bodies; anything
            else, and what is empty, is left out.

    Raises:
        InputError: more than MAX_METADATA bytes, or chunks that metadata do not hold.
    """
    records = b""
    for field, tag in _TAGS.items():
        value = fields.get(field) or b""
        body = value if isinstance(value, bytes) else _pack_chunks(value)
        if body:
            records += _RECORD.pack(tag, len(body)) + body
    if len(records) > MAX_METADATA:
        raise InputError(f"{len(records)} bytes of metadata exceed {MAX_METADATA}: {WITHOUT_METADATA}")
    return zlib.compress(records, 9) if records else b""


def unpack_metadata(data: bytes) -> dict[str, Any]:
    """Return what was given to `pack_metadata`, of what there is of it; raise FormatError."""
    fields: dict[str, Any] = {}
    if not data:
        return fields
    names = {tag: name for name, tag in _TAGS.items()}
    records = b"".join(inflate(data, MAX_METADATA, "metadata"))
    position, last = 0, 0
    while position < len(records) or not fields:
        if len(records) - position < _RECORD.size:
            raise FormatError("the metadata end early")
        tag, size = _RECORD.unpack_from(records, position)
        position += _RECORD.size
        if tag not in names or tag <= last or not 0 < size <= len(records) - position:
            raise FormatError("the metadata hold a bad record")
        fields[names[tag]] = records[position : position + size]
        position, last = position + size, tag
    if "png_chunks" in fields:
        fields["png_chunks"] = tuple(islice(_unpack_chunks(fields["png_chunks"]), MAX_CHUNKS + 1))
        check_chunks(fields["png_chunks"])
    return fields


def apply_metadata(image: HasInfo, data: bytes) -> None:
    """Put packed metadata into `image.info`, under the keys that Pillow uses; raise FormatError.

    PNG chunks stand there as `png_chunks`; resolution and gamma also as Pillow's `dpi` and `gamma`.
    """
    fields = unpack_metadata(data)
    if "exif" in fields:
        fields["exif"] = EXIF_PREFIX + fields["exif"]
    image.info.update(fields)
    for name, body in fields.get("png_chunks", ()):
        if name == b"pHYs":
            across, down, unit = struct.unpack(">IIB", body)
            if unit == 1:
                image.info["dpi"] = (across * METRES_PER_INCH, down * METRES_PER_INCH)
        elif name == b"gAMA":
            image.info["gamma"] = int.from_bytes(body, "big") / GAMMA_UNIT
