"""How many of a file's bytes are image data, and not header: what an archive of equal images would not repeat.

Each function takes a whole file as its format's encoder writes it, and returns its size where it finds no image data.
"""

from __future__ import annotations

_START_OF_SCAN, _START_OF_DATA = b"\xff\xda", b"\xff\x93"
_QOI_HEADER, _QOI_END = 14, 8


def png(data: bytes) -> int:
    """Return the size of the IDAT chunks' bodies: length, tag, body, checksum.

    https://www.w3.org/TR/png-3/#5Chunk-layout
    """
    at, total = 8, 0
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        total += size if data[at + 4 : at + 8] == b"IDAT" else 0
        at += 12 + size
    return total or len(data)


def webp(data: bytes) -> int:
    """Return the size of the bodies of VP8 and VP8L chunks: tag, length, body.

    https://developers.google.com/speed/webp/docs/riff_container
    """
    at, total = 12, 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        total += size if data[at : at + 4] in (b"VP8 ", b"VP8L") else 0
        at += 8 + size + size % 2
    return total or len(data)


def avif(data: bytes) -> int:
    """Return the size of the mdat box's body (ISO/IEC 14496-12), box sizes counting their own 8 bytes."""
    at, total = 0, 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:  # to the end of the file, or 64 bits long
            size = len(data) - at
        if data[at + 4 : at + 8] == b"mdat":
            total += size - 8
        at += size
    return total or len(data)


def jpeg(data: bytes) -> int:
    """Return the size of what follows the first scan's header (ITU-T T.81, B.2.3; of JPEG-LS, ITU-T T.87, likewise)."""
    at = 2
    while at + 4 <= len(data) and data[at : at + 2] != _START_OF_SCAN:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    body = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return len(data) - body if body < len(data) else len(data)


def jpeg2k(data: bytes) -> int:
    """Return the size of what follows the first tile's header (ITU-T T.800, A.4.3)."""
    at = data.find(_START_OF_DATA)
    return len(data) - at - 2 if at >= 0 else len(data)


def qoi(data: bytes) -> int:
    """Return the size of all but 14 bytes before and 8 after (https://qoiformat.org/qoi-specification.pdf)."""
    return len(data) - _QOI_HEADER - _QOI_END
