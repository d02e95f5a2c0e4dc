"""Alpha and metadata: round trips, refusals, and damaged bytes that give FormatError only."""

from __future__ import annotations

import contextlib
import io
import zlib

import numpy as np
import pytest
from damage import fuzz, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.errors import FormatError, InputError
from selfcodec.format import sidedata
from selfcodec.format.sidedata import (
    apply_metadata,
    pack_alpha,
    pack_metadata,
    unpack_alpha,
    unpack_metadata,
)

SIZES = [(1, 1), (1, 1000), (31, 33)]
MODES = ["1", "L", "LA", "P", "RGB", "RGBA"]


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


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_give_format_errors(data: bytes) -> None:
    for unpack in (lambda data: unpack_alpha(data, 3, 2), unpack_metadata):
        for start in (b"", b"\x00", b"\x01"):
            with contextlib.suppress(FormatError):
                unpack(start + data)
