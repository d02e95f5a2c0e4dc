"""Bounded reading of untrusted bytes, and the variable-length integers of the file format.

A varint is unsigned LEB128: seven bits a byte, least significant first, the top bit set on all bytes but the
last. It is always in its shortest form and below 2**32, so every number has one encoding, of at most 5 bytes.
"""

from __future__ import annotations

from selfcodec.errors import FormatError, TruncatedError

MAX_VARINT = 2**32 - 1
_MAX_VARINT_BYTES = 5


class ByteReader:
    """A position in a byte string. No read passes the end; every error carries the offset."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    @property
    def remaining(self) -> int:
        """Bytes not yet read."""
        return len(self.data) - self.position

    def take(self, count: int, what: str) -> bytes:
        """Read `count` >= 0 bytes; raise TruncatedError, naming `what`, where fewer remain."""
        if count > self.remaining:
            raise TruncatedError(f"the file ends in its {what}: nothing of it can be decoded", len(self.data))
        self.position += count
        return self.data[self.position - count : self.position]

    def byte(self, what: str) -> int:
        """Read one byte, 0..255; raise TruncatedError at the end."""
        return self.take(1, what)[0]

    def varint(self, what: str, low: int, high: int) -> int:
        """Read a varint in [low, high], both inclusive; raise FormatError for any other."""
        start = self.position
        value = 0
        for index in range(_MAX_VARINT_BYTES):
            byte = self.byte(what)
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                break
        else:
            raise FormatError(f"the {what} is longer than {_MAX_VARINT_BYTES} bytes", start)
        if byte == 0 and index > 0:
            raise FormatError(f"the {what} is not in its shortest form", start)
        if not low <= value <= high:
            raise FormatError(f"the {what} is {value}, not in {low}..{high}", start)
        return value


def encode_varint(value: int) -> bytes:
    """Return the varint of a value in [0, 2**32)."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
