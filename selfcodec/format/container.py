"""The `.sv` file, version 1: everything around the entropy-coded words. `docs/format.md` is normative.

    93 53 56 | version, flags | mode, image mode | width | height | model id
             | settings? | side size? | metadata size? | CRC-32 | side? | metadata?
             | section table | words, section-major, or the stored blob

A section is one variable of the schedule; a stream is one tile. Words stand section by section, so a
file cut after a section is a shallower file of the same image. Writers raise InputError for what the format
cannot hold. Readers raise nothing but FormatError (TruncatedError is one), and check before they allocate.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from selfcodec.arrays import Words
from selfcodec.errors import FormatError, InputError, TruncatedError
from selfcodec.format.bytereader import MAX_VARINT, ByteReader, encode_varint
from selfcodec.format.header import MAX_PIXELS, MODE_OFFSET, Header, check_header, pack_header, read_header
from selfcodec.modes import Mode

MAX_STREAMS = 2**16

_CRC_BYTES = 4
_BAD_CHECKSUM = "the checksum does not match: the file is damaged or cut short"
"""Where is not known: where the checksum stands it is most probably right."""
_WORD_BYTES = 4

SectionsFor = Callable[[bytes, Mode, int], tuple[str, ...]]
"""It tells the sent variables' names in order from model id, mode and level; InputError for a level out of range."""


@dataclass(frozen=True, eq=False)
class Container:
    """A parsed file. Without a model (STORED) only `stored` carries the image; otherwise `streams` does."""

    header: Header
    variables: tuple[str, ...] = ()
    """Names of the sections, in schedule order."""
    streams: tuple[tuple[Words, ...], ...] = ()
    """streams[variable][stream], each (words,) uint32 in the order in which the decoder reads them."""
    side: bytes = b""
    metadata: bytes = b""
    stored: bytes = b""
    truncated: bool = False
    """Only complete sections of a damaged or shortened file are here, and no checksum vouches for them."""


def _read_checksum(reader: ByteReader) -> bool:
    """Whether the CRC-32 at the reader's position is that of all other bytes of the file."""
    before = reader.data[: reader.position]
    crc = int.from_bytes(reader.take(_CRC_BYTES, "checksum"), "little")
    return zlib.crc32(memoryview(reader.data)[reader.position :], zlib.crc32(before)) == crc


def _read_table(reader: ByteReader, sections: int) -> tuple[int, list[int]]:
    """Return the number of streams, and all word counts but the last, section by section."""
    start = reader.position
    streams = reader.varint("number of streams", 1, MAX_STREAMS)
    entries = streams * sections - 1
    if entries > reader.remaining:
        raise TruncatedError(f"a table of {sections}×{streams} streams does not fit in the file", start)
    return streams, [reader.varint("section table", 0, MAX_VARINT) for _ in range(entries)]


def _read_words(reader: ByteReader, count: int) -> Words:
    return np.frombuffer(reader.take(_WORD_BYTES * count, "words"), "<u4").astype(np.uint32)


def _read_sections(reader: ByteReader, streams: int, counts: list[int]) -> tuple[tuple[Words, ...], ...]:
    """Read sections of `streams` words arrays each until the counts or the bytes run out."""
    sections = []
    for first in range(0, len(counts), streams):
        section = counts[first : first + streams]
        if len(section) < streams or _WORD_BYTES * sum(section) > reader.remaining:
            break
        sections.append(tuple(_read_words(reader, count) for count in section))
    return tuple(sections)


def peek_metadata(data: bytes, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """Return the packed metadata of a file, unverified and without its model; raise FormatError."""
    reader = ByteReader(data)
    _, side_size, metadata_size = read_header(reader, max_pixels)
    reader.take(_CRC_BYTES, "checksum")
    reader.take(side_size, "side data")
    return reader.take(metadata_size, "metadata")


def verify_checksum(data: bytes, *, max_pixels: int = MAX_PIXELS) -> None:
    """Raise FormatError unless a file is whole, as far as that can be told without its model."""
    reader = ByteReader(data)
    read_header(reader, max_pixels)
    if not _read_checksum(reader):
        raise FormatError(_BAD_CHECKSUM)


def unpack(
    data: bytes, sections_for: SectionsFor, *, allow_truncated: bool = False, max_pixels: int = MAX_PIXELS
) -> Container:
    """Parse and check a whole file.

    Args:
        data: the file.
        sections_for: names the sections of a model; an InputError from it becomes a FormatError, any other
            exception (a missing model) passes through.
        allow_truncated: accept a payload that ends early or a checksum that fails. The complete sections come
            back with `truncated` set, and the checksum does not vouch for them. The last section of the whole
            file is never among them: only the file's true end tells its size.
        max_pixels: refuse larger images.

    Raises:
        TruncatedError: the file ends too early, in its header or before the first section is complete.
        FormatError: anything else is wrong with the file; the checksum is tested before the model is asked for.
    """
    reader = ByteReader(data)
    header, side_size, metadata_size = read_header(reader, max_pixels)
    intact = _read_checksum(reader)
    if not intact and not allow_truncated:
        raise FormatError(_BAD_CHECKSUM)
    side, metadata = reader.take(side_size, "side data"), reader.take(metadata_size, "metadata")
    if header.mode is Mode.STORED:
        if not intact or not reader.remaining:
            raise TruncatedError("a stored image cannot be read in part", len(data))
        return Container(header, side=side, metadata=metadata, stored=reader.take(reader.remaining, "payload"))

    try:
        variables = sections_for(header.model_id, header.mode, header.level)
    except InputError as error:
        raise FormatError(str(error), MODE_OFFSET) from error
    if not variables:
        raise FormatError(f"mode {header.mode} sends nothing with this model", MODE_OFFSET)
    streams, counts = _read_table(reader, len(variables))
    if intact:
        last, rest = divmod(reader.remaining - _WORD_BYTES * sum(counts), _WORD_BYTES)
        if last < 0 or rest:
            raise FormatError("the payload is not of the size that the section table gives", len(data))
        counts.append(last)
    sections = _read_sections(reader, streams, counts)
    if not sections:
        raise TruncatedError("the file ends before its first section is complete", len(data))
    return Container(header, variables[: len(sections)], sections, side, metadata, truncated=not intact)


def _check_body(container: Container) -> None:
    """Raise InputError unless a reader will accept what follows the header."""
    streams = {len(section) for section in container.streams}
    stored = container.header.mode is Mode.STORED
    for valid, what in (
        (not container.truncated, "what is left of a damaged file as if it were whole: cut it first"),
        (bool(container.stored) == stored, "a stored image and coded variables at once, or neither"),
        (bool(container.variables) != stored, f"{len(container.variables)} variables in this mode"),
        (len(container.streams) == len(container.variables), "a number of sections other than of variables"),
        (
            len(streams) == (not stored) and max(streams, default=1) <= MAX_STREAMS,
            "unequal or too many streams",
        ),
        (0 not in streams, "sections without a stream"),
        (
            all(words.dtype == np.uint32 and words.ndim == 1 for section in container.streams for words in section),
            "words other than one-dimensional uint32 arrays",
        ),
    ):
        if not valid:
            raise InputError(f"an .sv file cannot hold {what}")


def _head(container: Container) -> bytes:
    return pack_header(container.header, len(container.side), len(container.metadata))


def _pack_table(container: Container) -> bytes:
    if not container.streams:
        return b""
    counts = [len(words) for section in container.streams for words in section]
    return b"".join(map(encode_varint, (len(container.streams[0]), *counts[:-1])))


def pack(container: Container, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """Return the file; raise InputError where the format cannot hold the container."""
    check_header(container.header, max_pixels)
    _check_body(container)
    head = _head(container)
    words = (words.astype("<u4").tobytes() for section in container.streams for words in section)
    rest = b"".join((container.side, container.metadata, _pack_table(container), *words, container.stored))
    return b"".join((head, zlib.crc32(rest, zlib.crc32(head)).to_bytes(_CRC_BYTES, "little"), rest))


def cut(container: Container, variables_kept: tuple[str, ...], mode: Mode, level: int, quality: int) -> Container:
    """Return the container shortened to its first variables, under the mode and level that send just those.

    Args:
        container: with a model; a truncated one becomes a whole, shorter one.
        variables_kept: a prefix of `container.variables`, not empty.
        mode: of the result.
        level: of the result, 1..15 for cg and cr, else 0.
        quality: of the result, 1..100; what it scales must have been coded so.

    Raises:
        InputError: the kept variables are no prefix of what is there.
    """
    count = len(variables_kept)
    if not count or container.variables[:count] != tuple(variables_kept):
        wanted, there = " ".join(variables_kept), " ".join(container.variables)
        raise InputError(f"mode {mode} sends ({wanted}), which is no prefix of this file's ({there})")
    old = container.header
    adapting = old.adapting and mode is Mode.LOSSLESS
    header = replace(old, mode=mode, level=level, quality=quality, adapting=adapting)
    kept = container.variables[:count], container.streams[:count]
    return replace(container, header=header, variables=kept[0], streams=kept[1], truncated=False)


def header_bytes(container: Container) -> int:
    """Return the bytes of the header, the checksum and the section table."""
    return len(_head(container)) + _CRC_BYTES + len(_pack_table(container))


def section_bytes(container: Container) -> dict[str, int]:
    """Return the other bytes by part, in file order: `side`, `metadata`, the variables, `stored`.

    Parts other than variables are left out where absent; with `header_bytes` the sizes add up to the file's.
    """
    sizes = {"side": len(container.side), "metadata": len(container.metadata)}
    for name, section in zip(container.variables, container.streams, strict=True):
        sizes[name] = _WORD_BYTES * sum(len(words) for words in section)
    sizes["stored"] = len(container.stored)
    return {name: size for name, size in sizes.items() if size or name in container.variables}
