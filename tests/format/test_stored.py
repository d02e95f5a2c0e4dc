"""Stored images: round trips, refusals, and damaged bytes that give FormatError only."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from damage import fuzz
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from random_images import noise
from skimage import data as photographs

from selfcodec.errors import FormatError
from selfcodec.format.stored import pack_stored, quick_size, stored_size, unpack_stored

SIZES = [(1, 1), (1, 1000), (31, 33)]
MODES = ["1", "L", "LA", "P", "RGB", "RGBA"]


def png(mode: str, size: tuple[int, int], *chunks: tuple[bytes, bytes], depth: int = 8, tail: bytes = b"") -> bytes:
    """Return a stored PNG with the given chunks between IHDR and IEND, all checksums right."""
    colour = {"L": 0, "RGB": 2, "P": 3, "LA": 4, "RGBA": 6}[mode]
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    data = b"\x01\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data + tail


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
    assert len(data) <= stored_size(image)


def test_the_smaller_form_is_stored() -> None:
    assert pack_stored(noise("RGB", (1, 1))) == b"\x00" + noise("RGB", (1, 1)).tobytes()
    assert pack_stored(Image.new("1", (9, 2), 1)) == b"\x00\xff\x80\xff\x80"
    assert pack_stored(Image.new("1", (100, 100)))[:5] == b"\x01\x89PNG"
    assert pack_stored(Image.new("L", (100, 100)))[:5] == b"\x02RIFF"


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
    "unknown kind": b"\x03abcd",
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


def webp(image: Image.Image, **options: object) -> bytes:
    """Return a stored WebP."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **{"lossless": True, "exact": True, **options})
    return b"\x02" + buffer.getvalue()


GREY = Image.new("RGB", (2, 2), (9, 9, 9))
WEBP = webp(GREY)
BAD_WEBP = {
    "nothing": WEBP[:1],
    "cut in its header": WEBP[:20],
    "cut": WEBP[:-2],
    "bytes after it": WEBP + b"!!",
    "a size that is wrong": WEBP[:5] + b"\xff" + WEBP[6:],
    "other size": webp(Image.new("RGB", (3, 2))),
    "huge size": WEBP[:22] + b"\xff\xff\xff\x0f" + WEBP[26:],
    "lossy": webp(GREY, lossless=False),
    "a profile": webp(GREY, icc_profile=b"profile"),
    "two images": webp(GREY, save_all=True, append_images=[Image.new("RGB", (2, 2))]),
    "alpha": webp(Image.new("RGBA", (2, 2), (9, 9, 9, 5))),
    "colours": webp(Image.new("RGB", (2, 2), (9, 9, 8))),
    "damaged pixels": WEBP[:26] + b"\xff" * (len(WEBP) - 26),
}


def test_a_webp_is_read() -> None:
    assert unpack_stored(WEBP, "L", 2, 2).tobytes() == b"\x09" * 4
    assert unpack_stored(WEBP, "RGBA", 2, 2).tobytes() == b"\x09\x09\x09\xff" * 4
    assert unpack_stored(BAD_WEBP["alpha"], "LA", 2, 2).tobytes() == b"\x09\x05" * 4


@pytest.mark.parametrize("name", BAD_WEBP)
def test_bad_webp(name: str) -> None:
    with pytest.raises(FormatError):
        unpack_stored(BAD_WEBP[name], "L", 2, 2)


@pytest.mark.parametrize("mode", ["1", "P"])
def test_a_webp_has_no_palette(mode: str) -> None:
    with pytest.raises(FormatError, match=f"of mode {mode}"):
        unpack_stored(WEBP, mode, 2, 2)


@pytest.mark.parametrize("mode", MODES)
def test_damaged_stored_images(mode: str) -> None:
    size = (31, 33)
    image = noise(mode, size) if mode == "P" else Image.new(mode, size)
    fuzz(pack_stored(image), lambda data: unpack_stored(data, mode, *size))


@pytest.mark.parametrize(("side", "pixels"), [(15, 2**24), (2**14, 100)])
def test_a_large_image_is_no_webp(side: int, pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its encoder would take too much memory, and the format has no larger sides."""
    monkeypatch.setattr("selfcodec.format.stored._WEBP_SIDE", side)
    monkeypatch.setattr("selfcodec.format.stored._WEBP_PIXELS", pixels)
    image = Image.new("RGB", (16, 16))
    data = pack_stored(image)
    assert data[:5] == b"\x01\x89PNG"
    assert len(data) == stored_size(image)


def test_transparent_pixels_keep_their_colours() -> None:
    image = noise("RGBA", (40, 40))
    image.putalpha(0)
    smooth = Image.merge("RGBA", [image.getchannel(0)] * 3 + [image.getchannel(3)])
    data = pack_stored(smooth)
    assert data[:1] == b"\x02"
    assert unpack_stored(data, "RGBA", 40, 40).tobytes() == smooth.tobytes()


@settings(deadline=None)
@given(st.binary(), st.sampled_from(MODES))
def test_any_bytes_give_format_errors(data: bytes, mode: str) -> None:
    for start in (b"", b"\x00", b"\x01", b"\x01\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", b"\x02", WEBP[:22]):
        with contextlib.suppress(FormatError):
            unpack_stored(start + data, mode, 3, 2)


def photograph(factor: float) -> Image.Image:
    """A crop of an astronaut's portrait, its contrast multiplied."""
    samples = photographs.astronaut()[:300, :300].astype(np.float64)
    return Image.fromarray((128 + factor * (samples - 128)).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("side", [32, 64, 100, 300])
def test_what_shorter_files_than_a_photograph_need_not_be_compared_to(side: int) -> None:
    image = photograph(1).crop((0, 0, side, side))
    known = quick_size(image)
    assert known is not None
    assert 0.8 * stored_size(image) < known.sure < known.size < 1.2 * stored_size(image)


def test_noise_is_stored_raw_whatever_a_quick_webp_takes() -> None:
    of_noise = quick_size(noise("RGB", (300, 300)))
    assert of_noise is not None
    assert of_noise.sure < 3 * 300 * 300


@pytest.mark.parametrize(
    "image",
    [
        photograph(0.02),
        photograph(1).crop((0, 0, 31, 31)),
        photograph(1).crop((0, 0, 1, 300)).resize((1, 5000)),
        photograph(1).convert("L"),
        photograph(1).convert("L").convert("RGB"),
        photograph(1).quantize(16),
    ],
    ids=["flat", "tiny", "line", "L", "grey", "P"],
)
def test_images_that_are_always_compared(image: Image.Image) -> None:
    assert quick_size(image) is None
