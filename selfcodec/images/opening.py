"""Opening image files: with Pillow, after looking at what it misreads or leaves unread."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from selfcodec.errors import FormatError, InputError
from selfcodec.format.header import MAX_PIXELS, MAX_SIDE
from selfcodec.format.jpegxl import StreamHeader, codestream, read_header
from selfcodec.format.png import PNG_MAGIC
from selfcodec.images.formats import kind_by_signature, large_ones_welcome, needs_plugin, register_formats
from selfcodec.images.jpeg import bytes_behind, has_gain_map
from selfcodec.images.png_parts import PngParts

_HEAD_BYTES = 64


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
    image = _open(file, head)
    return opened_jpeg(image, file) if image.format in ("JPEG", "MPO") else Opened(image)


def opened_jpeg(image: Image.Image, file: BinaryIO) -> Opened:
    """Return what Pillow has opened of a JPEG's file, which stays where it is, and tell what follows the pictures.

    Raises:
        InputError: the file cannot be read any more.
    """
    try:
        place = file.tell()
        file.seek(0)
        data = file.read()
        file.seek(place)
    except (OSError, ValueError) as error:  # the latter where it is closed
        raise unreadable(error) from error
    behind = bytes_behind(data, max(getattr(image, "n_frames", 1), 1 + has_gain_map(image)))
    return Opened(image, warnings=(f"{behind} bytes behind the end of the JPEG are left out",) if behind else ())


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
        parts = PngParts(data)
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
