"""What there is of an image besides its pixels, by properties that a file's format holds or not."""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from PIL import ExifTags, Image

from selfcodec.format.metadata import METRES_PER_INCH
from selfcodec.images.colour import chunks_are_srgb, profile_is_srgb
from selfcodec.images.exif import entries, packed, unwritable

_ON_ITS_SIDE = range(5, 9)
"""Orientations that exchange width and height."""
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>))[2-8]")
_COLOUR_CHUNKS = frozenset((b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"))


@dataclass(frozen=True)
class Properties:
    """An image's metadata, as they stand in its `info` under the same names, and what follows from them."""

    icc_profile: bytes = b""
    exif: bytes = b""
    """Beginning with `Exif`, two zero bytes, and the TIFF header."""
    xmp: bytes = b""
    png_chunks: tuple[tuple[bytes, bytes], ...] = ()
    """Name and body of a PNG's chunks of colour (gAMA, cHRM, sRGB, cICP, mDCV, cLLI), pHYs, tIME, tEXt and iTXt."""

    @classmethod
    def of(cls, info: Mapping[Any, Any]) -> Properties:
        """Take an image's `info`, where empty values count as none."""
        found: dict[str, Any] = {field.name: info.get(field.name) or field.default for field in fields(cls)}
        for name, value in found.items():
            found[name] = value.encode() if isinstance(value, str) else value
        return cls(**found)

    @cached_property
    def exif_tags(self) -> Image.Exif:
        """The EXIF data by tag; empty where they cannot be read."""
        tags = Image.Exif()
        with contextlib.suppress(Exception):  # Pillow raises nearly every type on damaged data
            tags.load(self.exif)
        return tags

    @property
    def unwritable(self) -> str:
        """What is lost where EXIF data are written anew, as one line; empty where nothing is."""
        names = [ExifTags.TAGS.get(tag, str(tag)) for tag in unwritable(entries(self.exif_tags))]
        return f"EXIF's {', '.join(sorted(names))} is left out, which cannot be written" if names else ""

    @property
    def orientation(self) -> int:
        """How the picture is to be turned, 1..8 as in EXIF; 1 is upright."""
        value: Any = self.exif_tags.get(ExifTags.Base.Orientation)
        return value if value in range(1, 9) else 1

    @cached_property
    def chunks(self) -> dict[bytes, bytes]:
        """Bodies of those chunks that a PNG has once, by name."""
        return dict(self.png_chunks)

    @property
    def dpi(self) -> tuple[float, float] | None:
        """Resolution across and down in pixels per inch, to two decimals, which bring a PNG's back exactly."""
        x, y, unit = self._density
        return (round(x * METRES_PER_INCH, 2), round(y * METRES_PER_INCH, 2)) if unit == 1 else None

    @property
    def aspect(self) -> tuple[int, int] | None:
        """How many pixels across are as long as how many down, where that is all that is known and not the same."""
        x, y, unit = self._density
        return (x, y) if unit == 0 and x != y else None

    @property
    def _density(self) -> tuple[int, int, int]:
        body = self.chunks.get(b"pHYs", b"")
        return struct.unpack(">IIB", body) if len(body) == 9 else (0, 0, 0)

    @cached_property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """Keyword and text of each comment."""
        return tuple(_read_text(name, body) for name, body in self.png_chunks if name in (b"tEXt", b"iTXt"))

    @property
    def comment(self) -> str:
        """All texts in one, for formats that have no keywords, a line or more for each."""
        return "\n".join(text if keyword == "Comment" else f"{keyword}: {text}" for keyword, text in self.texts)

    def left_out(self, held: Set[str]) -> Iterator[str]:
        """Yield one line for each property that is there, matters, and is not among the names in `held`."""
        for name, describe in PROPERTIES.items():
            if name not in held and (line := describe(self)):
                yield line


def turned_metadata(properties: Properties) -> dict[str, Any]:
    """Return what changes in an image's `info` when its pixels are turned upright."""
    chunks = properties.png_chunks
    if properties.orientation in _ON_ITS_SIDE:
        chunks = tuple((name, _swapped(body) if name == b"pHYs" else body) for name, body in chunks)
    return {
        "exif": packed(entries(properties.exif_tags, {ExifTags.Base.Orientation})),
        "xmp": _XMP_ORIENTATION.sub(rb"\g<1>1", properties.xmp),
        "png_chunks": chunks,
    }


def _swapped(body: bytes) -> bytes:
    """Return a pHYs chunk of a picture that is turned by 90°."""
    return body[4:8] + body[:4] + body[8:]


def _read_text(name: bytes, body: bytes) -> tuple[str, str]:
    """Return keyword and text of a tEXt or iTXt chunk, which is not compressed; what is damaged in it is replaced."""
    keyword, _, text = body.partition(b"\0")
    if name == b"iTXt":  # behind flag and method, then language and translated keyword
        return keyword.decode("latin-1"), text[2:].split(b"\0", 2)[-1].decode("utf-8", "replace")
    return keyword.decode("latin-1"), text.decode("latin-1")


def _without_profile(properties: Properties) -> str | None:
    profile = properties.icc_profile
    lost = profile and not profile_is_srgb(profile)
    return "the ICC profile is left out; colours look different without it" if lost else None


def _without_exif(properties: Properties) -> str | None:
    return "EXIF is left out" if properties.exif else None


def _without_xmp(properties: Properties) -> str | None:
    return "XMP is left out" if properties.xmp else None


def _without_dpi(properties: Properties) -> str | None:
    if not properties.dpi:
        return None
    x, y = (f"{value:.4g}" for value in properties.dpi)
    return f"the resolution of {x if x == y else f'{x} × {y}'} dpi is left out"


def _without_aspect(properties: Properties) -> str | None:
    return properties.aspect and "that pixels are {}:{} and not square is left out".format(*properties.aspect)


def _without_text(properties: Properties) -> str | None:
    keywords = dict.fromkeys(keyword for keyword, _ in properties.texts)
    return f"text is left out ({', '.join(keywords)})" if keywords else None


def _without_time(properties: Properties) -> str | None:
    return "the time of the last change (tIME) is left out" if b"tIME" in properties.chunks else None


def _without_gamma(properties: Properties) -> str | None:
    chunks = {name: body for name, body in properties.png_chunks if name in _COLOUR_CHUNKS}
    if properties.icc_profile and b"cICP" not in chunks:  # the profile takes precedence over gamma and primaries
        chunks = {name: chunks[name] for name in (b"mDCV", b"cLLI") if name in chunks}
    if chunks_are_srgb(chunks):
        return None
    names = ", ".join(name.decode("latin-1") for name in chunks)
    return f"gamma and primaries are left out ({names}); colours look different without them"


PROPERTIES: dict[str, Callable[[Properties], str | None]] = {
    "icc_profile": _without_profile,
    "exif": _without_exif,
    "xmp": _without_xmp,
    "dpi": _without_dpi,
    "aspect": _without_aspect,
    "text": _without_text,
    "time": _without_time,
    "gamma": _without_gamma,
}
"""By name, the line that tells that it is left out, or None where there is nothing of it that matters."""
