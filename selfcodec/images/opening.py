"""Opening image files: with Pillow, but what it misreads or leaves unread of a PNG is read here."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from selfcodec.errors import FormatError, InputError
from selfcodec.format.container import MAX_PIXELS, MAX_SIDE
from selfcodec.format.jpegxl import StreamHeader, codestream, read_header
from selfcodec.format.metadata import CHUNK_SIZES, EXIF_PREFIX, MAX_METADATA, XMP_KEYWORD, Chunk, check_chunks
from selfcodec.format.png import PNG_MAGIC, TooLongError, check_enough, inflate, make_png, scanlines_size, walk_chunks
from selfcodec.images.formats import kind_by_signature, large_ones_welcome, needs_plugin, register_formats

_HEAD_BYTES = 64
_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT"))
_ANIMATION = frozenset((b"acTL", b"fcTL", b"fdAT"))
_INTERNAL = frozenset((b"sBIT", b"hIST", b"sPLT", b"iDOT"))
"""What such chunks say helps decoders, or follows from the pixels; nobody misses it."""


@dataclass(frozen=True)
class Opened:
    """An image whose pixels are not read yet."""

    image: Image.Image
    """Metadata are in its `info`, PNG chunks as `png_chunks`."""
    pictures: int | None = None
    """How many there are in the file; None to ask Pillow."""
    excess: bool = False
    """There are more than MAX_METADATA bytes of metadata, and not all are in `info`."""
    warnings: tuple[str, ...] = ()
    """What of the file is not in the image, one line each."""
    upright: bool = False
    """Pixels come turned already, as EXIF may say once more."""


def open_image(file: BinaryIO) -> Opened:
    """Open an image file at its beginning.

    Raises:
        InputError: it is none, or damaged; without its name.
    """
    register_formats()
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if not head:
        raise InputError("the file is empty")
    if head.startswith(PNG_MAGIC):
        return _open_png(file.read())
    if needs_plugin(head) == "JXL":
        header = _jpegxl_header(file.read())
        file.seek(0)
        return _opened_jpegxl(_open(file, head), header)
    return Opened(_open(file, head))


def reopen_jpegxl(image: Image.Image, data: bytes) -> Opened:
    """Return what Pillow has opened, or loaded, of a file; InputError as for `open_image`."""
    return _opened_jpegxl(image, _jpegxl_header(data))


def _opened_jpegxl(image: Image.Image, header: StreamHeader) -> Opened:
    # The plugin decodes what was made from a JPEG as that JPEG, which EXIF alone turns.
    return Opened(image, upright=header.orientation != 1 and not getattr(image, "jpeg", False))


def _jpegxl_header(data: bytes) -> StreamHeader:
    """Raise InputError for a file that the plugin, which decodes where it opens, would not bring to a good end."""
    try:
        header = read_header(codestream(data))
    except FormatError as error:
        raise unreadable(error) from error
    refuse_size(header.width, header.height)
    if header.animated:  # the plugin would show its last picture
        raise InputError("is an animation, of which JPEG XL's plugin reads no single picture: extract one of them")
    return header


def refuse_size(width: int, height: int) -> None:
    """Raise InputError for an image that is empty, or larger than a file can hold."""
    if not width or not height:
        raise InputError(f"is empty ({width}×{height} pixels)")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(f"{width}×{height} pixels are too many: cut it into smaller images")


def _open(file: BinaryIO, head: bytes) -> Image.Image:
    try:
        with large_ones_welcome():
            return Image.open(file)
    except UnidentifiedImageError as error:
        raise _unidentified(head) from error
    except Exception as error:  # Pillow's readers raise nearly every type on damaged files
        raise unreadable(error) from error


def _unidentified(head: bytes) -> InputError:
    if (kind := needs_plugin(head)) is not None:
        return InputError(f"{kind} needs a package more: pip install 'selfcodec[{kind.lower()}]', or convert it to PNG")
    if (kind := kind_by_signature(head)) is not None:
        return InputError(
            f"a {kind} file that is damaged, or of a sort that Pillow cannot read: get another copy of it, or convert "
            "it to PNG"
        )
    return InputError("not an image, or of a kind that Pillow cannot read: convert it to PNG")


def unreadable(error: Exception) -> InputError:
    """Return what to tell of an error of Pillow's in reading an image."""
    text = " ".join(str(error).split())
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning | MemoryError):
        return InputError(f"too many pixels: cut it into smaller images ({text})")
    if "Ghostscript" in text:
        return InputError("EPS needs Ghostscript to be read: install it, or convert the file to PNG")
    if "not available" in text or "cannot find loader" in text:
        return InputError(f"Pillow cannot read its pixels: convert it to PNG ({text})")
    return InputError(f"damaged or cut short: get another copy of it ({text})")


def _open_png(data: bytes) -> Opened:
    try:
        parts = _PngParts(data)
    except FormatError as error:
        raise InputError(f"a damaged PNG: get another copy of it ({error})") from error
    image = _open(io.BytesIO(parts.pixels), data[:_HEAD_BYTES])
    try:  # only now, since Pillow refuses sizes that would take long to inflate
        parts.check_rows()
    except FormatError as error:
        raise unreadable(error) from error
    image.info.update(parts.info)
    if parts.key is not None:
        image.info["transparency"] = parts.key
    return Opened(image, parts.pictures, parts.excess, parts.warnings)


class _PngParts:
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
        kept = (*((name, chunks[name]) for name in CHUNK_SIZES if name in chunks), *self._sorted_texts())
        if kept:
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

    def _sorted_texts(self) -> Sequence[Chunk]:
        return sorted(self._texts, key=lambda chunk: list(CHUNK_SIZES).index(chunk[0]))


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
