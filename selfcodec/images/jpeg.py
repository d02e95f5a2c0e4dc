"""What JPEG files hold behind their first picture, which Pillow leaves unread."""

from __future__ import annotations

import re

from PIL import Image

_START = b"\xff\xd8\xff"
_END = b"\xd9"
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")
"""Begins a segment, or is the end; within the pixels' data, the same byte is followed by a zero or by a restart."""


def bytes_behind(data: bytes, pictures: int) -> int:
    """Return how many bytes of a file follow its JPEGs, of which there are `pictures`, one behind another.

    None count where all are zeros, which only pad files, or where a JPEG is cut short.
    """
    end = 0
    for _ in range(pictures):
        start = data.find(_START, end)
        if start >= 0:
            end = _end(data, start)
    return len(data) - end if data[end:].strip(b"\0") else 0


def _end(data: bytes, start: int) -> int:
    """Return where the JPEG that begins at `start` ends: the data's length where it is cut short."""
    position = start + 2
    while (marker := _MARKER.search(data, position)) is not None:
        position = marker.end()
        if marker[1] == _END:
            return position
        position += int.from_bytes(data[position : position + 2], "big")  # over thumbnails, which have ends as well
    return len(data)


def has_gain_map(image: Image.Image) -> bool:
    """Return whether the second picture in an image's file only tells how to brighten the first on some displays."""
    xmp = image.info.get("xmp") if image.format in ("JPEG", "MPO") else None
    data = xmp.encode() if isinstance(xmp, str) else xmp if isinstance(xmp, bytes) else b""
    return b"hdrgm:Version" in data or b"HDRGainMap" in data
