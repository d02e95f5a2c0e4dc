"""What a file says about itself before any model is needed. `docs/format.md` is normative.

93 53 56 | version, flags | mode, image mode | width | height | model id | settings? | side size? | metadata size?
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from selfcodec.errors import FormatError, InputError, TruncatedError
from selfcodec.format.bytereader import MAX_VARINT, ByteReader, encode_varint
from selfcodec.modes import DEFAULT_QUALITY, MAX_QUALITY, MAX_TRANSFORMS, MIN_QUALITY, Mode, has_level

MAGIC = b"\x93SV"
VERSION = 1
IMAGE_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "LA;16", "RGB;16", "RGBA;16", "CMYK")
MAX_SIDE = 2**24
MAX_PIXELS = 2**28
MODEL_ID_BYTES = 4
MODE_OFFSET = len(MAGIC) + 1

_SETTINGS, _SIDE, _METADATA, _RESERVED = 1, 2, 4, 8
_ADAPTING = 0x80
"""In the byte of the modes."""


@dataclass(frozen=True)
class Header:
    """What a file says about itself before any model is needed."""

    mode: Mode
    image_mode: str
    """One of IMAGE_MODES."""
    width: int
    """Pixels, 1..2**24."""
    height: int
    """Pixels, 1..2**24; width * height is at most MAX_PIXELS unless the caller allows more."""
    model_id: bytes = b""
    """First 4 bytes of the model's content hash; empty for STORED."""
    level: int = 0
    """1..15 for cg and cr, 0 for every other mode."""
    quality: int = DEFAULT_QUALITY
    """1..100."""
    seed: int | None = None
    """In [0, 2**32): the decoder draws what was not sent; None: it takes the mean."""
    adapting: bool = False
    """Of LOSSLESS: what was learned of x on the way corrects its distributions."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


def _default_level(mode: Mode) -> int:
    # The container does not know K, so unlike modes.default_level this one depends on the mode alone.
    return 1 if has_level(mode) else 0


def read_header(reader: ByteReader, max_pixels: int) -> tuple[Header, int, int]:
    """Read up to the section table; return the header and the sizes of side data and metadata in bytes."""
    if not reader.data:
        raise TruncatedError("the file is empty: nothing can be decoded")
    magic = reader.data[: len(MAGIC)]
    if magic != MAGIC[: len(magic)]:
        raise FormatError("not an .sv file", 0)
    reader.take(len(MAGIC), "magic")

    start = reader.position
    byte = reader.byte("version")
    version, flags = byte >> 4, byte & 0x0F
    if version != VERSION:
        raise FormatError(f"version {version} of the format; this program reads version {VERSION}", start)
    if flags & _RESERVED:
        raise FormatError("a reserved flag is set", start)

    start = reader.position
    byte = reader.byte("mode")
    number, index = byte & 0x07, byte >> 3 & 0x0F
    adapting = bool(byte & _ADAPTING)
    if number > Mode.STORED or index >= len(IMAGE_MODES) or (adapting and number != Mode.LOSSLESS):
        raise FormatError(f"0x{byte:02x} names no mode and image mode", start)
    mode = Mode(number)
    if mode is Mode.STORED and flags & _SETTINGS:
        raise FormatError("a stored image has no settings", start)

    width = reader.varint("width", 1, MAX_SIDE)
    start = reader.position
    height = reader.varint("height", 1, MAX_SIDE)
    if width * height > max_pixels:
        raise FormatError(f"{width}×{height} pixels exceed the limit of {max_pixels}", start)
    model_id = b"" if mode is Mode.STORED else reader.take(MODEL_ID_BYTES, "model id")

    header = Header(mode, IMAGE_MODES[index], width, height, model_id, _default_level(mode), adapting=adapting)
    if flags & _SETTINGS:
        header = _read_settings(reader, header)
    side_size = reader.varint("side data size", 1, MAX_VARINT) if flags & _SIDE else 0
    metadata_size = reader.varint("metadata size", 1, MAX_VARINT) if flags & _METADATA else 0
    return header, side_size, metadata_size


def _read_settings(reader: ByteReader, defaults: Header) -> Header:
    start = reader.position
    level = reader.byte("level")
    if (not 1 <= level <= MAX_TRANSFORMS) if has_level(defaults.mode) else level != 0:
        raise FormatError(f"level {level} does not go with mode {defaults.mode}", start)
    quality = reader.byte("quality")
    if not MIN_QUALITY <= quality <= MAX_QUALITY:
        raise FormatError(f"the quality is {quality}, not in {MIN_QUALITY}..{MAX_QUALITY}", reader.position - 1)
    seeded = reader.byte("seed flag")
    if seeded > 1:
        raise FormatError(f"the seed flag is {seeded}, not 0 or 1", reader.position - 1)
    seed = reader.varint("seed", 0, MAX_VARINT) if seeded else None
    header = replace(defaults, level=level, quality=quality, seed=seed)
    if header == defaults:
        raise FormatError("settings are spelt out though all are the defaults", start)
    return header


def peek(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Header:
    """Return the header's fields from a file or its first 64 bytes, unverified; raise FormatError."""
    return read_header(ByteReader(data), max_pixels)[0]


def check_header(header: Header, max_pixels: int) -> None:
    """Raise InputError unless a reader will accept the header."""
    stored = header.mode is Mode.STORED
    seed = header.seed
    for valid, what in (
        (header.image_mode in IMAGE_MODES, f"image mode {header.image_mode!r}"),
        (
            1 <= header.width <= MAX_SIDE and 1 <= header.height <= MAX_SIDE,
            f"size {header.width}×{header.height}",
        ),
        (header.pixels <= max_pixels, f"more than {max_pixels} pixels"),
        (len(header.model_id) == (0 if stored else MODEL_ID_BYTES), f"model id {header.model_id.hex()!r}"),
        (
            1 <= header.level <= MAX_TRANSFORMS if has_level(header.mode) else header.level == 0,
            f"level {header.level} in mode {header.mode}",
        ),
        (MIN_QUALITY <= header.quality <= MAX_QUALITY, f"quality {header.quality}"),
        (seed is None or 0 <= seed <= MAX_VARINT, f"seed {seed}"),
        (not stored or (header.quality == DEFAULT_QUALITY and seed is None), "settings of a stored image"),
        (not header.adapting or header.mode is Mode.LOSSLESS, f"what adapts in mode {header.mode}"),
    ):
        if not valid:
            raise InputError(f"an .sv file cannot hold {what}")


def pack_header(header: Header, side_size: int, metadata_size: int) -> bytes:
    """Return every byte before the checksum; sizes are of side data and metadata in bytes, 0 for none."""
    plain = replace(header, level=_default_level(header.mode), quality=DEFAULT_QUALITY, seed=None)
    flags = _SETTINGS * (header != plain) | _SIDE * bool(side_size) | _METADATA * bool(metadata_size)
    out = bytearray(MAGIC)
    out.append(VERSION << 4 | flags)
    out.append(header.mode | IMAGE_MODES.index(header.image_mode) << 3 | _ADAPTING * header.adapting)
    out += encode_varint(header.width) + encode_varint(header.height) + header.model_id
    if flags & _SETTINGS:
        out += bytes((header.level, header.quality, header.seed is not None))
        out += b"" if header.seed is None else encode_varint(header.seed)
    out += b"".join(encode_varint(size) for size in (side_size, metadata_size) if size)
    return bytes(out)
