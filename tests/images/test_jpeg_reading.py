"""What of a JPEG's file is left out is told: segments, further pictures, and what follows its end."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from selfcodec.errors import InputError
from selfcodec.images import from_image, load_picture

NOISE = Image.fromarray(np.random.default_rng(4).integers(0, 256, (40, 30, 3), np.uint8))
GAIN_MAP = b"http://ns.adobe.com/xap/1.0/\0<x hdrgm:Version='1.0'/>"
VIDEO = b"\0\0\0\x18ftypmp42" + bytes(12)
"""How one begins."""


def jpeg(image: Image.Image = NOISE, format: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


SMALL = jpeg(Image.new("L", (8, 8)))


def with_segment(name: int, body: bytes) -> bytes:
    """Return a JPEG with one more segment."""
    return SMALL[:2] + struct.pack(">BBH", 0xFF, name, 2 + len(body)) + body + SMALL[2:]


SORTS = {
    "usual": jpeg(quality=100),
    "of several scans": jpeg(progressive=True),
    "with restarts": jpeg(restart_marker_blocks=1),
    "with a thumbnail": with_segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + SMALL),
    "with a comment": with_segment(0xFE, b"\xff\xd9 is an end, and \xff\xd8\xff a beginning"),
    "with filling bytes": SMALL[:-2] + b"\xff\xff" + SMALL[-2:],
    "with a gain map": with_segment(0xE1, GAIN_MAP) + SMALL,
    "with two pictures": jpeg(format="MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))]),
}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (with_segment(0xED, b"Photoshop 3.0\0" + bytes(9)), "JPEG segments APP13"),
        (with_segment(0xE1, GAIN_MAP), "gain map"),
        (with_segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0abc"), "XMP"),
    ],
)
def test_segments_that_are_left_out_are_told(data: bytes, words: str) -> None:
    (line,) = load_picture(data).warnings
    assert words in line


def told(data: bytes) -> list[str]:
    """Lines of what follows the end, of a file and of one that Pillow has opened."""
    lines = load_picture(data, first=True).warnings
    with Image.open(io.BytesIO(data)) as image:
        assert from_image(image, first=True).warnings == lines
    return [line for line in lines if "behind the end" in line]


@pytest.mark.parametrize("name", SORTS)
def test_what_follows_the_end_is_told(name: str) -> None:
    data = SORTS[name]
    assert told(data) == told(data + bytes(99)) == []
    for tail in (VIDEO, b"!", SMALL):
        assert told(data + tail) == [f"{len(tail)} bytes behind the end of the JPEG are left out"]


def test_a_file_that_was_closed_is_refused() -> None:
    file = io.BytesIO(SMALL)
    image = Image.open(file)
    file.close()
    with pytest.raises(InputError, match="closed file"):
        from_image(image)
