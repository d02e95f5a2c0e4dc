"""JPEG XL files whose headers have more than usual: read by what they say, or refused before anything is decoded."""

from __future__ import annotations

import io
from collections.abc import Sequence

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from selfcodec.errors import InputError
from selfcodec.format.jpegxl import StreamHeader, codestream, pack_jpegxl, read_header
from selfcodec.format.metadata import unpack_metadata
from selfcodec.images import from_image, load_picture
from selfcodec.images.deep import samples_of

Fields = Sequence[tuple[int, int]]
"""Values, and the bits of each."""

SIZE = ((1, 1), (1, 5), (0, 3), (0, 5))
"""8×16 pixels, in eighths."""
EIGHT, SIXTEEN = (np.arange(16 * 8 * 3).reshape(16, 8, 3).astype(kind) * step for kind, step in (("u1", 1), ("u2", 99)))
DEPTHS = {
    8: ((0, 1), (0, 2)),
    10: ((0, 1), (1, 2)),
    12: ((0, 1), (2, 2)),
    16: ((0, 1), (3, 2), (15, 6)),
    4: ((0, 1), (3, 2), (3, 6)),
}
SHOWN_SIZE = ((1, 1), *SIZE)
PREVIEW = ((1, 1), (1, 1), (2, 2), (3, 5), (0, 3), (3, 2), (7, 9))
ANIMATION = ((1, 1), (2, 2), (9, 10), (1, 2), (3, 2), (77, 32), (1, 1))
NONE = ((0, 1),)
SRGB = ((1, 1),)
LINEAR = ((0, 1), (0, 1), (0, 2), (1, 2), (1, 2), (0, 1), (2, 2), (6, 4), (1, 2))
"""RGB with the white point and the primaries of sRGB, without gamma; what encoders say of 16 bits."""


def packed(fields: Fields) -> bytes:
    value, count = 0, 0
    for number, bits in fields:
        value, count = value | number << count, count + bits
    return value.to_bytes((count + 7) // 8, "little")


def head(depth: int, *extra: Fields) -> bytes:
    """Return the header of RGB that is kept exactly; `extra` are all of the extra fields, or none."""
    usual = ((0, 1), (1, 1), *(field for fields in extra for field in fields)) if extra else ((0, 1), (0, 1))
    tones = ((1, 1),) if extra else ()  # as usual
    deep = depth == 16
    rest = ((not deep, 1), (0, 2), (0, 1), *(LINEAR if deep else SRGB), *tones, (0, 2), (1, 1))
    return b"\xff\x0a" + packed((*SIZE, *usual, *DEPTHS[depth], *rest))


def with_fields(samples: np.ndarray, *extra: Fields) -> bytes:
    """Return a codestream with these extra fields."""
    stream, depth = pack_jpegxl(samples), 8 * samples.itemsize
    assert stream.startswith(head(depth))
    return head(depth, *extra) + stream[len(head(depth)) :]


@given(st.sampled_from(sorted(DEPTHS)), st.integers(0, 7), *[st.booleans()] * 3)
def test_extra_fields_are_read(depth: int, turn: int, size: bool, preview: bool, animation: bool) -> None:
    fields = [(have, NONE)[not use] for have, use in ((SHOWN_SIZE, size), (PREVIEW, preview), (ANIMATION, animation))]
    assert read_header(head(depth, ((turn, 3),), *fields)) == StreamHeader(8, 16, False, depth, 0, animation, 1 + turn)


@pytest.mark.parametrize("samples", [EIGHT, SIXTEEN], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("size", [NONE, SHOWN_SIZE], ids=["", "size to be shown in"])
def test_turned_pictures_are_read(samples: np.ndarray, size: Fields) -> None:
    pytest.importorskip("pillow_jxl")
    picture = load_picture(with_fields(samples, ((5, 3),), size, NONE, NONE))  # by a quarter to the right
    assert np.array_equal(samples_of(picture.exact), samples[::-1].swapaxes(0, 1))


def boxed(stream: bytes, exif: Image.Exif) -> bytes:
    """Return a file with EXIF beside a codestream."""
    boxes = {
        b"JXL ": b"\r\n\x87\n",
        b"ftyp": b"jxl \0\0\0\0jxl ",
        b"Exif": bytes(4) + exif.tobytes()[6:],
        b"jxlc": stream,
    }
    return b"".join((8 + len(body)).to_bytes(4, "big") + name + body for name, body in boxes.items())


@pytest.mark.parametrize("samples", [EIGHT, SIXTEEN], ids=["8 bits", "16 bits"])
def test_exif_turns_no_picture_that_is_turned_already(samples: np.ndarray) -> None:
    pytest.importorskip("pillow_jxl")
    exif = Image.Exif()
    exif.update({ExifTags.Base.Orientation: 6, ExifTags.Base.Make: "maker"})
    data = boxed(with_fields(samples, ((5, 3),), NONE, NONE, NONE), exif)
    stripped, picture = load_picture(data, strip=True), load_picture(data)
    with Image.open(io.BytesIO(data)) as image:
        again = from_image(image)
    assert again.metadata == picture.metadata
    for one in (picture, stripped, again):
        assert np.array_equal(samples_of(one.exact), samples[::-1].swapaxes(0, 1))
    kept = Image.Exif()
    kept.load(unpack_metadata(picture.metadata)["exif"])
    assert dict(kept) == {ExifTags.Base.Make: "maker"}


def test_fewer_than_8_bits_are_scaled() -> None:
    pytest.importorskip("pillow_jxl")
    samples = np.arange(16, dtype=np.uint8).reshape(4, 4)
    picture = load_picture(imagecodecs.jpegxl_encode(samples, lossless=True, bitspersample=4))
    assert np.array_equal(picture.planes[..., 0], samples * 17)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_animations_are_called_so(kind: type) -> None:
    pytest.importorskip("pillow_jxl")
    data = imagecodecs.jpegxl_encode(np.arange(3 * 4 * 6 * 3).reshape(3, 4, 6, 3).astype(kind), lossless=True)
    assert read_header(codestream(data)).depth == 8 * np.dtype(kind).itemsize
    with pytest.raises(InputError, match=r"is an animation.*extract one"):
        load_picture(data, first=True)
    with Image.open(io.BytesIO(data)) as image, pytest.raises(InputError, match="is an animation"):
        from_image(image)


def test_pictures_that_are_too_large_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = pytest.importorskip("pillow_jxl.JpegXLImagePlugin")
    monkeypatch.setattr(plugin, "Decoder", lambda **_: pytest.fail("it was decoded"))
    monkeypatch.setattr("selfcodec.images.opening.MAX_PIXELS", 127)
    with pytest.raises(InputError, match="8×16 pixels are too many"):
        load_picture(pack_jpegxl(EIGHT))


def test_a_picture_that_pillow_has_read_is_taken() -> None:
    pytest.importorskip("pillow_jxl")
    with Image.open(io.BytesIO(pack_jpegxl(EIGHT))) as image:
        assert np.array_equal(from_image(image).planes, EIGHT)
        image.load()
        assert np.array_equal(from_image(image).planes, EIGHT)
