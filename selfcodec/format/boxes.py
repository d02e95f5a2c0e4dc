"""Boxes, as of ISO base media files: JPEG 2000, JPEG XL and AVIF files are made of them."""

from __future__ import annotations

from collections.abc import Iterator

_FIELDS = {b"meta": 4, b"stsd": 8, b"av01": 78}
"""Bytes before the boxes inside a box of such a name."""


def contents(data: bytes, name: bytes, *inner: bytes) -> Iterator[bytes]:
    """Yield the contents of all boxes of a name, or of those of the last name in boxes of the names before.

    A box whose size cannot be ends the search; one that is cut short has what is left of it.
    """
    position = 0
    while len(data) - position >= 8:
        size, start = int.from_bytes(data[position : position + 4], "big"), position + 8
        if size == 1:
            size, start = int.from_bytes(data[position + 8 : position + 16], "big"), position + 16
        end = position + size if size else len(data)
        if end < start:
            return
        if data[position + 4 : position + 8] == name:
            body = data[start:end]
            if inner:
                yield from contents(body[_FIELDS.get(name, 0) :], *inner)
            else:
                yield body
        position = end
