"""Metadata: round trips, refusals, and damaged bytes that give FormatError only."""

from __future__ import annotations

import contextlib
import struct
import zlib
from typing import Any

import pytest
from damage import fuzz
from hypothesis import given, settings
from hypothesis import strategies as st
from random_images import noise

from selfcodec.errors import FormatError, InputError
from selfcodec.format import metadata
from selfcodec.format.metadata import CHUNK_SIZES, apply_metadata, pack_metadata, unpack_metadata

CHUNKS = tuple((name, bytes(size) if size else b"key\0\0\0\0\0text") for name, size in CHUNK_SIZES.items())


def test_metadata_round_trip() -> None:
    fields = {"icc_profile": b"icc" * 100, "exif": b"II*\x00", "xmp": b"<x:xmpmeta/>", "png_chunks": CHUNKS}
    data = pack_metadata(fields | {"comment": b"no"})
    assert unpack_metadata(data) == fields
    copy = noise("L", (1, 1))
    apply_metadata(copy, data)
    assert {key: copy.info[key] for key in fields} == fields | {"exif": b"Exif\x00\x00II*\x00"}


def test_no_metadata_takes_no_bytes() -> None:
    assert pack_metadata({"icc_profile": None, "exif": b"", "png_chunks": ()}) == b""
    assert unpack_metadata(b"") == {}


def test_resolution_and_gamma_stand_under_pillows_keys_too() -> None:
    chunks = ((b"gAMA", struct.pack(">I", 45455)), (b"pHYs", struct.pack(">IIB", 11811, 5906, 1)))
    image = noise("L", (1, 1))
    apply_metadata(image, pack_metadata({"png_chunks": chunks}))
    assert image.info["gamma"] == pytest.approx(0.45455)
    assert image.info["dpi"] == pytest.approx((300, 150), abs=0.02)


def test_chunks_are_put_in_order_and_texts_may_be_several() -> None:
    texts = ((b"tEXt", b"b\0x"), (b"tEXt", b"a\0y"), (b"iTXt", b"c\0\0\0en\0see\0z"))
    given_chunks = (*texts[::-1], (b"gAMA", b"\0\0\0\1"))
    kept = unpack_metadata(pack_metadata({"png_chunks": given_chunks}))["png_chunks"]
    assert kept == ((b"gAMA", b"\0\0\0\1"), texts[1], texts[0], texts[2])


def record(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a record of chunks, whatever they are."""
    return b"".join(struct.pack("<4sI", name, len(body)) + body for name, body in chunks)


BAD_CHUNKS = {
    "unknown": record((b"bKGD", b"abcdef")),
    "pixels": record((b"IDAT", b"abcdef")),
    "compressed text": record((b"zTXt", b"k\0\0abc")),
    "twice": record((b"gAMA", bytes(4)), (b"gAMA", bytes(4))),
    "out of order": record((b"pHYs", bytes(9)), (b"gAMA", bytes(4))),
    "a byte too many": record((b"gAMA", bytes(5))),
    "a byte too few": record((b"cHRM", bytes(31))),
    "text without a keyword": record((b"tEXt", b"\0text")),
    "text without an end of its keyword": record((b"tEXt", b"text")),
    "text with a long keyword": record((b"tEXt", b"k" * 80 + b"\0text")),
    "compressed international text": record((b"iTXt", b"k\0\1\0\0\0text")),
    "international text cut short": record((b"iTXt", b"k\0\0\0\0text")),
    "cut": record((b"gAMA", bytes(4)))[:-1],
    "cut in its name": record((b"gAMA", bytes(4))) + b"abc",
    "a size beyond the end": struct.pack("<4sI", b"tEXt", 2**32 - 1) + b"a\0b",
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_bad_chunks(name: str) -> None:
    body = BAD_CHUNKS[name]
    with pytest.raises(FormatError):
        unpack_metadata(zlib.compress(struct.pack("<BI", 4, len(body)) + body))


@pytest.mark.parametrize("chunk", [(b"bKGD", b"abcdef"), (b"gAMA", b"abc"), (b"tEXt", b"none")])
def test_what_readers_reject_is_not_written(chunk: tuple[bytes, bytes]) -> None:
    with pytest.raises(InputError, match="metadata"):
        pack_metadata({"png_chunks": [chunk]})


def test_large_metadata_are_refused_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack_metadata({"xmp": b"x" * 2000})
    monkeypatch.setattr(metadata, "MAX_METADATA", 1000)
    with pytest.raises(InputError, match="--strip"):
        pack_metadata({"xmp": b"x" * 2000})
    with pytest.raises(FormatError, match="more than 1000 bytes"):
        unpack_metadata(data)


BAD_METADATA = {
    "not zlib": b"abc",
    "nothing": zlib.compress(b""),
    "stream cut": zlib.compress(b"\x02\x01\x00\x00\x00a")[:-1],
    "stream and more": zlib.compress(b"\x02\x01\x00\x00\x00a") + b"!",
    "tag 0": zlib.compress(b"\x00\x01\x00\x00\x00a"),
    "tag 5": zlib.compress(b"\x05\x01\x00\x00\x00a"),
    "empty record": zlib.compress(b"\x01\x00\x00\x00\x00"),
    "record cut": zlib.compress(b"\x01\x02\x00\x00\x00a"),
    "record header cut": zlib.compress(b"\x01\x01\x00\x00\x00a\x02"),
    "tag twice": zlib.compress(b"\x01\x01\x00\x00\x00a" * 2),
    "tags descending": zlib.compress(b"\x02\x01\x00\x00\x00a\x01\x01\x00\x00\x00a"),
    "bomb": zlib.compress(b"\x01\x00\x00\x00\x02" + bytes(2**25)),
}


@pytest.mark.parametrize("name", BAD_METADATA)
def test_bad_metadata(name: str) -> None:
    with pytest.raises(FormatError):
        unpack_metadata(BAD_METADATA[name])


def test_damaged_metadata() -> None:
    fields: dict[str, Any] = {"icc_profile": b"icc" * 9, "xmp": b"xmp", "png_chunks": CHUNKS}
    fuzz(pack_metadata(fields), unpack_metadata)


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_give_format_errors(data: bytes) -> None:
    for start in (b"", struct.pack("<BI", 4, len(data))):
        for packed in (start + data, zlib.compress(start + data)):
            with contextlib.suppress(FormatError):
                unpack_metadata(packed)
