"""What is known of an image besides its pixels: what of it is kept, and what is left out."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import ExifTags, Image

from selfcodec.errors import InputError
from selfcodec.format.metadata import (
    EXIF_PREFIX,
    GAMMA_UNIT,
    MAX_KEYWORD,
    METRES_PER_INCH,
    WITHOUT_METADATA,
    XMP_KEYWORD,
    Chunk,
)
from selfcodec.images.deep import AnyImage
from selfcodec.images.exif import TIFF_LAYOUT, entries, packed, unwritable
from selfcodec.images.jpeg import has_gain_map
from selfcodec.images.properties import PROPERTIES, Properties

_KEPT_SEGMENTS = re.compile(rb"APP0|APP1Exif\0|APP1http://ns\.adobe\.com/xap/1\.0/|APP2ICC_PROFILE|APP2MPF|APP14|COM")
"""Segments of a JPEG that are kept, or that only serve decoders."""
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/"


def gather(image: AnyImage) -> dict[str, Any]:
    """Return an image's metadata as `pack_metadata` takes them.

    Raises:
        InputError: EXIF that cannot be read.
    """
    found: dict[str, Any] = {"icc_profile": image.info.get("icc_profile"), "xmp": image.info.get("xmp")}
    found["exif"] = _exif(image)
    fields = {name: value.encode() if isinstance(value, str) else value for name, value in found.items()}
    fields = {name: value for name, value in fields.items() if isinstance(value, bytes)}
    chunks = image.info.get("png_chunks")
    return fields | {"png_chunks": tuple(_chunks(image) if chunks is None else chunks)}


def _exif(image: AnyImage) -> bytes:
    raw = image.info.get("exif")
    if isinstance(raw, bytes):
        return raw.removeprefix(EXIF_PREFIX)
    if not isinstance(image, Image.Image):
        return b""
    return exif_of(image)


def exif_of(image: Image.Image) -> bytes:
    """Return EXIF that is not a byte string already (TIFF's), rebuilt without tags of the file's layout; InputError."""
    with _readable():
        return packed(entries(image.getexif(), TIFF_LAYOUT)).removeprefix(EXIF_PREFIX)


def without_turn(exif: bytes) -> bytes:
    """Return EXIF without orientation; InputError where it cannot be read."""
    with _readable():
        tags = Image.Exif()
        tags.load(exif)
        return packed(entries(tags, {ExifTags.Base.Orientation})).removeprefix(EXIF_PREFIX)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Pillow raises nearly every type on damaged data
        raise InputError(f"the EXIF data cannot be read: {WITHOUT_METADATA} ({error})") from error


def _chunks(image: AnyImage) -> Iterator[Chunk]:
    """Yield as PNG chunks what Pillow tells of resolution, colours and text of an image that was no PNG file."""
    info = image.info
    if image_format(image) == "PNG":
        yield from _colours(info)
    if (density := _density(image)) is not None:
        yield b"pHYs", density
    comments = [body for name, body in getattr(image, "applist", ()) if name == "COM"] or [info.get("comment")]
    texts = [("Comment", comment) for comment in comments]
    texts += [
        (keyword, text) for keyword, text in getattr(image, "text", {}).items() if keyword != XMP_KEYWORD.decode()
    ]
    for keyword, text in texts:
        if isinstance(text, bytes | str) and text and (chunk := _text(keyword, text)) is not None:
            yield chunk


def _unwritable(image: Image.Image) -> str:
    """Numbers of the tags of a TIFF's EXIF whose values cannot be written."""
    try:
        tags = entries(image.getexif(), TIFF_LAYOUT)
    except Exception:  # Pillow raises nearly every type on damaged data, of which `exif_of` tells
        return ""
    return ", ".join(map(str, unwritable(tags)))


def image_format(image: AnyImage) -> str:
    """Return Pillow's name of the format of an image's file, or ""."""
    return getattr(image, "format", None) or ""


def _colours(info: dict[Any, Any]) -> Iterator[Chunk]:
    gamma, primaries, intent = info.get("gamma"), info.get("chromaticity"), info.get("srgb")
    if isinstance(gamma, float):
        yield b"gAMA", struct.pack(">I", round(gamma * GAMMA_UNIT))
    if isinstance(primaries, tuple) and len(primaries) == 8:
        yield b"cHRM", struct.pack(">8I", *(round(value * GAMMA_UNIT) for value in primaries))
    if isinstance(intent, int):
        yield b"sRGB", bytes((intent & 3,))


def _density(image: AnyImage) -> bytes | None:
    """Return the body of a pHYs chunk; None where nothing is known, or only that pixels are square."""
    info = image.info
    unit, density = info.get("jfif_unit"), info.get("jfif_density")
    try:
        if density is None:
            if image_format(image) in ("JPEG", "MPO"):  # EXIF has it, or nothing has
                return None
            if 1 in info["dpi"] and not _states_resolution(image):
                return None
            across, down = (float(value) / METRES_PER_INCH for value in info["dpi"])
        elif unit in (1, 2):
            across, down = (value / (METRES_PER_INCH if unit == 1 else 0.01) for value in density)
        else:
            return None if density[0] == density[1] else struct.pack(">IIB", *density, 0)
        return struct.pack(">IIB", round(across), round(down), 1) if across >= 1 and down >= 1 else None
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError, struct.error):
        return None


def _states_resolution(image: AnyImage) -> bool:
    """Whether a resolution is the file's: where a TIFF has none, Pillow gives it, and its copies, 1 pixel per inch."""
    tags = getattr(image, "tag_v2", {})
    return image_format(image) not in ("", "TIFF") or {ExifTags.Base.XResolution, ExifTags.Base.YResolution} <= {*tags}


def _text(keyword: str, text: bytes | str) -> Chunk | None:
    if isinstance(text, bytes):
        try:
            words = text.decode()
        except UnicodeDecodeError:
            words = text.decode("latin-1")
    else:
        words = text
    words = words.rstrip("\0")
    try:
        name = keyword.encode("latin-1")
        if not 0 < len(name) <= MAX_KEYWORD or b"\0" in name:
            return None
        return b"tEXt", name + b"\0" + words.encode("latin-1")
    except UnicodeEncodeError:
        return (b"iTXt", name + b"\0\0\0\0\0" + words.encode("utf-8", "replace")) if keyword.isascii() else None


def lost_colours(fields: dict[str, Any]) -> tuple[str, ...]:
    """Return what changes in an image's look without these metadata, a line each."""
    return tuple(Properties.of(fields).left_out(PROPERTIES.keys() - {"icc_profile", "gamma"}))


def left_out(image: Image.Image) -> Iterator[str]:
    """Yield what a file has, by its format, that nothing here keeps, a line each."""
    if image.format == "JXL" and b"xml <" in getattr(image, "fc", b"") and "xmp" not in image.info:
        yield "its XMP is left out, which the plugin for JPEG XL does not read"
    if image.format in ("JPEG", "MPO"):
        segments = getattr(image, "applist", [])
        lost = [name for name, body in segments if not _KEPT_SEGMENTS.match(name.encode() + body[:40])]
        if any(body.startswith(_EXTENDED_XMP) for _, body in segments):
            yield "the part of its XMP that does not fit into one segment is left out"
            lost = [name for name in lost if name != "APP1"]
        if lost:
            yield f"its JPEG segments {', '.join(dict.fromkeys(lost))} are left out (such as IPTC or Photoshop's data)"
        if has_gain_map(image):
            yield "its gain map (HDR) is left out"
    if image.format == "TIFF" and (tags := _unwritable(image)):
        yield f"its EXIF tags {tags} are left out, which cannot be written"
    sizes = image.info.get("sizes")
    if image.format in ("ICO", "ICNS") and sizes is not None and len(sizes) > 1:
        yield f"it holds {len(sizes)} sizes, of which the largest is taken"
    if image.format == "PSD" and getattr(image, "n_frames", 1) > 1:
        yield f"its {getattr(image, 'n_frames', 1)} layers are left out; the whole picture is kept"
