"""Alpha, metadata and stored images: round trips, refusals, and damaged bytes that give FormatError only."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from selfcodec import sidedata
from selfcodec.errors import FormatError, InputError
from selfcodec.sidedata import (
    apply_metadata,
    pack_alpha,
    pack_metadata,
    pack_stored,
    unpack_alpha,
    unpack_metadata,
    unpack_stored,
)

SIZES = [(1, 1), (1, 1000), (31, 33)]
MODES = ["1", "L", "LA", "P", "RGB", "RGBA"]
UInt8 = npt.NDArray[np.uint8]


def noise(mode: str, size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Return an image of random samples; for P with a random palette of 200 colours that all are in range."""
    rng = np.random.default_rng(seed)
    width, height = size
    if mode == "1":
        return Image.fromarray(rng.random((height, width)) < 0.5)
    if mode == "P":
        image = Image.fromarray(rng.integers(0, 200, (height, width), np.uint8))
        image.putpalette(rng.integers(0, 256, 600, np.uint8).tobytes())
        return image
    channels = len(mode)
    samples = rng.integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(samples[..., 0] if channels == 1 else samples)


def png(mode: str, size: tuple[int, int], *chunks: tuple[bytes, bytes], depth: int = 8, tail: bytes = b"") -> bytes:
    """Return a stored PNG with the given chunks between IHDR and IEND, all checksums right."""
    colour = {"L": 0, "RGB": 2, "P": 3, "LA": 4, "RGBA": 6}[mode]
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    data = b"\x01\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data + tail


def fuzz(data: bytes, unpack: Callable[[bytes], object], trials: int = 300) -> None:
    """Damage and cut the bytes; nothing but FormatError may come out."""
    rng = np.random.default_rng(len(data))
    for size in range(min(len(data), 200)):
        with contextlib.suppress(FormatError):
            unpack(data[:size])
    for _ in range(trials):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        with contextlib.suppress(FormatError):
            unpack(bytes(damaged))


@settings(deadline=None)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_alpha_round_trip(alpha: UInt8) -> None:
    height, width = alpha.shape
    back = unpack_alpha(pack_alpha(alpha), width, height)
    assert back.dtype == np.uint8
    assert np.array_equal(back, alpha)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_alpha_of_noise_and_of_masks(width: int, height: int) -> None:
    rng = np.random.default_rng(3)
    ramp = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
    for alpha in (rng.integers(0, 256, (height, width), np.uint8), ramp, np.asarray(ramp % 64 // 32 * 255)):
        packed = pack_alpha(alpha.astype(np.uint8))
        assert len(packed) <= alpha.size + height + 30
        assert np.array_equal(unpack_alpha(packed, width, height), alpha)


def test_constant_alpha_takes_two_bytes() -> None:
    assert pack_alpha(np.full((500, 3), 77, np.uint8)) == b"\x00\x4d"
    assert (unpack_alpha(b"\x00\x4d", 3, 500) == np.full((500, 3), 77)).all()


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 2, 1)])
def test_pack_alpha_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="uint8"):
        pack_alpha(np.zeros(shape, np.uint8))


SCANLINES = b"\x00abc\x02def"

BAD_ALPHA = {
    "empty": b"",
    "unknown kind": b"\x02\x00",
    "constant without a value": b"\x00",
    "constant with two values": b"\x00\x01\x02",
    "no stream": b"\x01",
    "not zlib": b"\x01abcdef",
    "stream cut": b"\x01" + zlib.compress(SCANLINES)[:-1],
    "stream and more": b"\x01" + zlib.compress(SCANLINES) + b"!",
    "a byte too few": b"\x01" + zlib.compress(SCANLINES[:-1]),
    "a byte too many": b"\x01" + zlib.compress(SCANLINES + b"!"),
    "no such filter": b"\x01" + zlib.compress(b"\x05abc\x00def"),
    "bomb": b"\x01" + zlib.compress(bytes(10**7)),
}


def test_alpha_of_hand_made_scanlines() -> None:
    alpha = unpack_alpha(b"\x01" + zlib.compress(SCANLINES), 3, 2)
    assert alpha.tolist() == [[97, 98, 99], [(97 + 100) % 256, (98 + 101) % 256, (99 + 102) % 256]]


@pytest.mark.parametrize("name", BAD_ALPHA)
def test_bad_alpha(name: str) -> None:
    with pytest.raises(FormatError):
        unpack_alpha(BAD_ALPHA[name], 3, 2)


def test_damaged_alpha() -> None:
    alpha = np.asarray(noise("L", (31, 33)))
    fuzz(pack_alpha(alpha), lambda data: unpack_alpha(data, 31, 33))


def with_info(**info: object) -> Image.Image:
    image = noise("RGB", (3, 2))
    image.info.update(info)
    return image


def test_metadata_round_trip() -> None:
    image = with_info(icc_profile=b"icc" * 100, exif=b"Exif\x00\x00II*\x00", xmp="<x:xmpmeta/>", comment=b"no")
    data = pack_metadata(image)
    assert unpack_metadata(data) == {"icc_profile": b"icc" * 100, "exif": b"II*\x00", "xmp": b"<x:xmpmeta/>"}
    copy = noise("L", (1, 1))
    apply_metadata(copy, data)
    assert copy.info == {"icc_profile": b"icc" * 100, "exif": b"Exif\x00\x00II*\x00", "xmp": b"<x:xmpmeta/>"}
    assert pack_metadata(copy) == data


def test_no_metadata_takes_no_bytes() -> None:
    assert pack_metadata(with_info(icc_profile=None, exif=b"", xmp=7)) == b""
    assert unpack_metadata(b"") == {}


def test_exif_set_through_pillow_is_kept() -> None:
    image = noise("L", (2, 2))
    image.getexif()[274] = 6
    copy = noise("L", (2, 2))
    apply_metadata(copy, pack_metadata(image))
    assert dict(copy.getexif()) == {274: 6}


def test_exif_of_a_tiff_is_kept_without_its_layout() -> None:
    exif = Image.Exif()
    exif[271] = "Maker"
    exif[0x8769] = {36867: "2020:02:02 02:02:02"}
    buffer = io.BytesIO()
    noise("RGB", (3, 2)).save(buffer, "TIFF", exif=exif.tobytes())
    image = Image.open(buffer)
    copy = noise("L", (2, 2))
    apply_metadata(copy, pack_metadata(image))
    kept = copy.getexif()
    assert kept[271] == "Maker"
    assert kept.get_ifd(0x8769)[36867] == "2020:02:02 02:02:02"
    assert not {256, 257, 273, 279} & set(kept)


def test_large_metadata_are_refused_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack_metadata(with_info(xmp=b"x" * 2000))
    monkeypatch.setattr(sidedata, "MAX_METADATA", 1000)
    with pytest.raises(InputError, match="--strip"):
        pack_metadata(with_info(xmp=b"x" * 2000))
    with pytest.raises(FormatError, match="more than 1000 bytes"):
        unpack_metadata(data)


BAD_METADATA = {
    "not zlib": b"abc",
    "nothing": zlib.compress(b""),
    "stream cut": zlib.compress(b"\x02\x01\x00\x00\x00a")[:-1],
    "stream and more": zlib.compress(b"\x02\x01\x00\x00\x00a") + b"!",
    "tag 0": zlib.compress(b"\x00\x01\x00\x00\x00a"),
    "tag 4": zlib.compress(b"\x04\x01\x00\x00\x00a"),
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
    fuzz(pack_metadata(with_info(icc_profile=b"icc" * 9, xmp=b"xmp")), unpack_metadata)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flat", [False, True])
def test_stored_round_trip(mode: str, size: tuple[int, int], flat: bool) -> None:
    image = noise(mode, size)
    if flat and mode != "P":
        image = Image.new(mode, size, 255 if mode in "1L" else tuple(range(len(mode))))
    image.info["icc_profile"] = b"is stored elsewhere" * 99
    data = pack_stored(image)
    back = unpack_stored(data, mode, *size)
    assert (back.mode, back.size, back.tobytes()) == (mode, size, image.tobytes())
    assert back.getpalette() == image.getpalette()
    assert "icc_profile" not in back.info
    raw = (size[0] + 7) // 8 * size[1] if mode == "1" else len(image.tobytes())
    assert len(data) <= raw + 1 or mode == "P"


def test_the_smaller_form_is_stored() -> None:
    assert pack_stored(noise("RGB", (1, 1))) == b"\x00" + noise("RGB", (1, 1)).tobytes()
    assert pack_stored(Image.new("1", (9, 2), 1)) == b"\x00\xff\x80\xff\x80"
    assert pack_stored(Image.new("L", (100, 100)))[:5] == b"\x01\x89PNG"


@pytest.mark.parametrize(
    ("mode", "transparency"),
    [("1", 0), ("1", 255), ("L", 7), ("RGB", (1, 2, 3)), ("P", 5), ("P", bytes(range(100)))],
)
def test_transparency_is_stored(mode: str, transparency: object) -> None:
    image = noise(mode, (5, 4))
    image.info["transparency"] = transparency
    back = unpack_stored(pack_stored(image), mode, 5, 4)
    assert back.info["transparency"] == transparency
    assert back.tobytes() == image.tobytes()
    assert back.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


def test_palettes_with_alpha_are_stored() -> None:
    image = noise("RGBA", (9, 9)).quantize(7)
    assert image.palette is not None
    assert image.palette.mode == "RGBA"
    back = unpack_stored(pack_stored(image), "P", 9, 9)
    assert back.tobytes() == image.tobytes()
    assert back.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


@pytest.mark.parametrize("colours", [0, 1, 2, 3, 16, 17])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_indices_beyond_a_short_palette_are_stored(mode: str, colours: int) -> None:
    image = noise("L", (16, 16))
    image.putpalette(bytes(range(100, 100 + colours * len(mode))), mode)
    back = unpack_stored(pack_stored(image), "P", 16, 16)
    assert back.tobytes() == image.tobytes()
    assert back.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


IDAT = (b"IDAT", zlib.compress(b"\x00ab\x00cd"))

BAD_STORED = {
    "empty": b"",
    "unknown kind": b"\x02abcd",
    "raw too short": b"\x00abc",
    "raw too long": b"\x00abcde",
    "not a PNG": b"\x01GIF89a",
    "PNG of nothing": b"\x01\x89PNG\r\n\x1a\n",
    "PNG of other size": png("L", (2, 3), IDAT),
    "PNG of huge size": png("L", (2**31 - 1, 2**31 - 1), IDAT),
    "PNG of other mode": png("LA", (2, 2), IDAT),
    "PNG of 16 bits": png("RGB", (2, 2), IDAT, depth=16),
    "PNG with a row too many": png("L", (2, 2), (b"IDAT", zlib.compress(b"\x00ab\x00cd\x00ef"))),
    "PNG with a comment": png("L", (2, 2), (b"zTXt", b"k\x00\x00" + zlib.compress(bytes(9999))), IDAT),
    "PNG with an animation": png("L", (2, 2), (b"acTL", bytes(8)), IDAT),
    "PNG with a second header": png("L", (2, 2), IDAT, (b"IHDR", bytes(13))),
    "PNG without pixels": png("L", (2, 2)),
    "PNG with half its pixels": png("L", (2, 2), (b"IDAT", zlib.compress(b"\x00ab"))),
    "PNG with a bad filter": png("L", (2, 2), (b"IDAT", zlib.compress(b"\x09ab\x00cd"))),
    "PNG with bytes after it": png("L", (2, 2), IDAT, tail=b"!"),
    "PNG with a bad checksum": png("L", (2, 2), IDAT)[:-1] + b"!",
    "PNG cut": png("L", (2, 2), IDAT)[:-12],
}


def test_a_hand_made_png_is_read() -> None:
    assert unpack_stored(png("L", (2, 2), IDAT), "L", 2, 2).tobytes() == b"abcd"


@pytest.mark.parametrize("name", BAD_STORED)
def test_bad_stored_image(name: str) -> None:
    mode = "RGB" if "16 bits" in name else "L"
    with pytest.raises(FormatError):
        unpack_stored(BAD_STORED[name], mode, 2, 2)


def test_palettes_are_not_stored_raw() -> None:
    with pytest.raises(FormatError, match="raw samples of P"):
        unpack_stored(b"\x00abcd", "P", 2, 2)


@pytest.mark.parametrize("mode", MODES)
def test_damaged_stored_images(mode: str) -> None:
    size = (31, 33)
    image = noise(mode, size) if mode == "P" else Image.new(mode, size)
    fuzz(pack_stored(image), lambda data: unpack_stored(data, mode, *size))


@settings(deadline=None)
@given(st.binary(), st.sampled_from(MODES))
def test_any_bytes_give_format_errors(data: bytes, mode: str) -> None:
    for unpack in (
        lambda data: unpack_stored(data, mode, 3, 2),
        lambda data: unpack_alpha(data, 3, 2),
        unpack_metadata,
    ):
        for start in (b"", b"\x00", b"\x01", b"\x01\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"):
            with contextlib.suppress(FormatError):
                unpack(start + data)
