"""Stored samples of 16 bits and of inks: round trips, refusals, and damaged bytes that give FormatError only."""

from __future__ import annotations

import contextlib

import imagecodecs
import numpy as np
import pytest
from damage import fuzz
from hypothesis import given, settings
from hypothesis import strategies as st

from selfcodec.errors import FormatError
from selfcodec.format.jpegxl import Samples, codestream, pack_jpegxl, read_header
from selfcodec.format.samples import SAMPLE_MODES, pack_samples, unpack_samples

SIZES = [(1, 1), (1, 1000), (31, 33)]


def smooth(mode: str, width: int, height: int) -> Samples:
    """Return a gradient, with a corner that is transparent or without black."""
    layout = SAMPLE_MODES[mode]
    top = np.iinfo(np.dtype(layout.type)).max
    ramp = np.add.outer(np.arange(height), np.arange(width)) * 37 % (top + 1)
    samples = (ramp[..., None] + np.arange(layout.channels)).astype(np.dtype(layout.type).newbyteorder("="))
    samples[: height // 2, : width // 2, -1] = 0
    return samples


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", SAMPLE_MODES)
@pytest.mark.parametrize("noisy", [False, True])
def test_round_trip(mode: str, size: tuple[int, int], noisy: bool) -> None:
    samples = smooth(mode, *size)
    if noisy:
        samples ^= np.random.default_rng(1).integers(0, 256, samples.shape).astype(samples.dtype)
    data = pack_samples(samples)
    back = unpack_samples(data, mode, *size)
    assert back.dtype == samples.dtype
    assert np.array_equal(back, samples)
    assert len(data) <= 1 + samples.nbytes


def test_the_smaller_form_is_stored() -> None:
    assert pack_samples(np.full((1, 1, 3), 0x0102, np.uint16)) == b"\x00\x02\x01\x02\x01\x02\x01"
    assert pack_samples(np.zeros((100, 100, 3), np.uint16))[:3] == b"\x03\xff\x0a"


@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 16), (300, 400), (7, 9000), (33, 31)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_headers_are_read(height: int, width: int, channels: int, kind: type) -> None:
    header = read_header(pack_jpegxl(np.zeros((height, width, channels), kind)))
    assert (header.width, header.height, header.plain) == (width, height, True)
    assert (header.depth, header.extra) == (8 * np.dtype(kind).itemsize, 1 - channels % 2)


STREAM = pack_jpegxl(np.full((2, 2, 3), 300, np.uint16))
BAD = {
    "empty": b"",
    "unknown kind": b"\x04abcd",
    "PNG": b"\x01\x89PNG\r\n\x1a\n",
    "raw too short": bytes(1 + 23),
    "raw too long": bytes(1 + 25),
    "not a JPEG XL": b"\x03GIF89a",
    "header cut": b"\x03" + STREAM[:3],
    "cut": b"\x03" + STREAM[: len(STREAM) // 2],
    "other size": b"\x03" + pack_jpegxl(np.zeros((2, 3, 3), np.uint16)),
    "huge size": b"\x03\xff\x0a" + b"\xfe" * 20,
    "other channels": b"\x03" + pack_jpegxl(np.zeros((2, 2, 4), np.uint16)),
    "other depth": b"\x03" + pack_jpegxl(np.zeros((2, 2, 3), np.uint8)),
    "grey": b"\x03" + pack_jpegxl(np.zeros((2, 2, 1), np.uint16)),
    "an animation": b"\x03" + codestream(bytes(imagecodecs.jpegxl_encode(np.zeros((2, 2, 2, 3), np.uint16)))),
    "floating point": b"\x03" + codestream(bytes(imagecodecs.jpegxl_encode(np.zeros((2, 2, 3), np.float32)))),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_samples(name: str) -> None:
    with pytest.raises(FormatError):
        unpack_samples(BAD[name], "RGB;16", 2, 2)


@pytest.mark.parametrize("mode", SAMPLE_MODES)
def test_damaged_samples(mode: str) -> None:
    fuzz(pack_samples(smooth(mode, 31, 33)), lambda data: unpack_samples(data, mode, 31, 33))


@settings(deadline=None)
@given(st.binary(), st.sampled_from(list(SAMPLE_MODES)))
def test_any_bytes_give_format_errors(data: bytes, mode: str) -> None:
    for start in (b"", b"\x00", b"\x03", b"\x03" + STREAM[:6]):
        with contextlib.suppress(FormatError):
            unpack_samples(start + data, mode, 2, 2)


@given(st.binary())
def test_boxes_of_any_kind_are_walked(data: bytes) -> None:
    assert isinstance(codestream(b"\0\0\0\x0cJXL \r\n\x87\n" + data), bytes)
