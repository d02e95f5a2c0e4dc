"""PNGs taken apart: the pixels for Pillow, and what Pillow misreads or leaves unread."""

from __future__ import annotations

import struct
from typing import Any

from selfcodec.errors import FormatError
from selfcodec.format.metadata import CHUNK_SIZES, EXIF_PREFIX, MAX_METADATA, XMP_KEYWORD, Chunk, check_chunks, ordered
from selfcodec.format.png import PNG_MAGIC, TooLongError, check_enough, inflate, make_png, scanlines_size, walk_chunks

_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT"))
_ANIMATION = frozenset((b"acTL", b"fcTL", b"fdAT"))
_INTERNAL = frozenset((b"iDOT",))
"""What such chunks say only helps decoders to find the pixels; nobody misses it."""


class PngParts:
    """A PNG taken apart.

    Attributes:
        pixels: a PNG of nothing but them.
        key: the transparent colour as Pillow has it, but scaled to 8 bits as the samples are, and with bits beyond the
            file's depth ignored. None where there is none, or a palette.
        info: metadata, as for `image.info`.
        pictures: how many frames there are.
        excess: there are more than MAX_METADATA bytes of metadata, of which some are not in `info`.
        warnings: what is left out.
    """

    def __init__(self, data: bytes) -> None:
        """Raises FormatError."""
        self._texts: list[Chunk] = []
        self._pixels: list[Chunk] = []
        self._budget = MAX_METADATA
        self.excess = False
        self.info: dict[str, Any] = {}
        chunks: dict[bytes, bytes] = {}
        animation: list[Chunk] = []
        left_out: list[bytes] = []
        size = len(PNG_MAGIC)
        for name, body in walk_chunks(data):
            size += len(body) + 12
            if name in _PIXELS:
                self._pixels.append((name, body))
            elif name in _ANIMATION:
                animation.append((name if self._pixels[-1][0] != b"IDAT" else b"late", body))
            elif name != b"IEND" and name not in _INTERNAL and not self._understands(name, body, chunks):
                left_out.append(name)
        header = self._pixels[0][1]
        depth, colour = header[8], header[9]
        self.key = _key(depth, colour, dict(self._pixels).get(b"tRNS", b""))
        self.pixels = make_png(*self._pixels)
        if kept := ordered((*chunks.items(), *self._texts)):
            self.info["png_chunks"] = kept
        frames = int.from_bytes(dict(animation).get(b"acTL", b"\0\0\0\1")[:4], "big")
        hidden = bool(animation) and b"fcTL" not in dict(animation)
        self.pictures = max(1, frames + hidden)
        self.warnings = tuple(_left_out(left_out, len(data) - size))

    def check_rows(self) -> None:
        """Raise FormatError where rows are missing, which Pillow would fill up with zeros."""
        width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", self._pixels[0][1])
        size = scanlines_size(width, height, depth, colour, interlaced=bool(interlaced))
        check_enough(b"".join(body for name, body in self._pixels if name == b"IDAT"), size, "rows of its pixels")

    def _understands(self, name: bytes, body: bytes, chunks: dict[bytes, bytes]) -> bool:
        """Keep what one chunk says, and return whether that was possible."""
        if not name[0] & 0x20:
            raise FormatError(f"its chunk {name.decode('latin-1')} is of no PNG that others can read")
        try:
            return self._takes(name, body, chunks)
        except TooLongError:
            self.excess = True
            return True
        except FormatError:
            return False

    def _takes(self, name: bytes, body: bytes, chunks: dict[bytes, bytes]) -> bool:
        """Keep what one chunk says, and return whether that is done."""
        if name == b"eXIf" and body:
            self.info.setdefault("exif", EXIF_PREFIX + body)
        elif name == b"iCCP":
            _, _, rest = body.partition(b"\0")
            self.info.setdefault("icc_profile", self._inflated(rest[1:]))
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            return self._takes_text(name, body)
        elif CHUNK_SIZES.get(name) == len(body):
            chunks.setdefault(name, body)
        else:
            return False
        return True

    def _takes_text(self, name: bytes, body: bytes) -> bool:
        keyword, _, rest = body.partition(b"\0")
        if name == b"zTXt":
            name, body = b"tEXt", keyword + b"\0" + self._inflated(rest[1:])
        elif name == b"iTXt":
            flags, names = rest[:2], rest[2:].split(b"\0", 2)
            if len(names) < 3:
                return False
            text = self._inflated(names[2]) if flags[:1] == b"\1" else names[2]
            if keyword == XMP_KEYWORD:
                self.info.setdefault("xmp", text)
                return True
            body = keyword + b"\0\0\0" + names[0] + b"\0" + names[1] + b"\0" + text
        try:
            check_chunks([(name, body)])
        except FormatError:
            return False
        self._texts.append((name, body))
        return True

    def _inflated(self, data: bytes) -> bytes:
        """Return decompressed metadata; TooLongError where all together are too many."""
        text = b"".join(inflate(data, self._budget, "metadata in it"))
        self._budget -= len(text)
        return text


def _key(depth: int, colour: int, body: bytes) -> Any:
    """Return the transparent colour of grey or RGB samples in Pillow's form."""
    count = {0: 1, 2: 3}.get(colour)
    if count is None or not body:
        return None
    if len(body) != 2 * count:
        raise FormatError("its transparent colour is damaged")
    top = (1 << depth) - 1
    values = [int.from_bytes(body[2 * i : 2 * i + 2], "big") & top for i in range(count)]
    if depth < 8:
        values = [value * 255 // top for value in values]
    return values[0] if count == 1 else tuple(values)


def _left_out(names: list[bytes], trailing: int) -> list[str]:
    lines = []
    if names:
        shown = ", ".join(dict.fromkeys(name.decode("latin-1") for name in names))
        lines.append(f"its PNG chunks {shown} are left out")
    if trailing > 0:
        lines.append(f"{trailing} bytes behind the end of the PNG are left out")
    return lines
