"""PNG files of every sort look the same when they come back, and bring what they say of their look."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from png_files import CHANNELS, DEPTHS, grey, png_of

from selfcodec.arrays import UInt16
from selfcodec.errors import InputError
from selfcodec.format.metadata import MAX_CHUNKS, MAX_METADATA, apply_metadata, unpack_metadata
from selfcodec.format.png import make_png, walk_chunks
from selfcodec.images import AnyImage, DeepImage, Picture, from_image, load_picture, save_image
from selfcodec.images.deep import samples_of
from selfcodec.images.storing import unpack_stored

SORTS = [
    (colour, depth, interlaced, key)
    for colour, depths in DEPTHS.items()
    for depth in depths
    for interlaced in (False, True)
    for key in (("none", "some", "short") if colour == 3 else ("none", "there", "beyond") if colour < 3 else ("none",))
]


def come_back(picture: Picture) -> AnyImage:
    """Return what decoding a stored image of the picture gives."""
    image = unpack_stored(picture.stored, picture.mode, *picture.size)
    apply_metadata(image, picture.metadata)
    return image


def shown(samples: np.ndarray) -> UInt16:
    """Return samples as another decoder gives them, as RGBA of 16 bits."""
    if samples.dtype == np.uint8:
        samples = samples.astype(np.uint16) * 257
    samples = samples.reshape(*samples.shape[:2], -1)
    grey_or_colour, alpha = samples[..., : samples.shape[2] - 1 + samples.shape[2] % 2], samples[..., -1:]
    colours = np.broadcast_to(grey_or_colour, (*samples.shape[:2], 3))
    return np.dstack((colours, alpha if samples.shape[2] % 2 == 0 else np.full_like(alpha, 65535)))


def samples_shown(image: AnyImage) -> UInt16:
    """Return what another decoder shows of an image that is written as a PNG."""
    if isinstance(image, DeepImage) or image.mode == "I;16":
        return shown(samples_of(image))
    buffer = io.BytesIO()
    save_image(image, buffer)
    return shown(imagecodecs.png_decode(buffer.getvalue()))


@pytest.mark.parametrize(("colour", "depth", "interlaced", "key"), SORTS)
def test_every_sort_looks_the_same(colour: int, depth: int, interlaced: bool, key: str) -> None:
    rng = np.random.default_rng(depth)
    samples = rng.integers(0, 1 << depth, (9, 11, CHANNELS[colour])).astype(np.uint16)
    chunks: list[tuple[bytes, bytes]] = []
    if colour == 3:
        chunks.append((b"PLTE", rng.integers(0, 256, 3 << depth, np.uint8).tobytes()))
        transparent = bytes(range(0, 1 << depth)) if key == "some" else b"\x40"
    else:
        beyond = 0x5A00 if key == "beyond" and depth < 16 else 0
        transparent = b"".join(struct.pack(">H", int(value) | beyond) for value in samples[4, 5])
    if key != "none":
        chunks.append((b"tRNS", transparent))
    data = png_of(samples, depth, colour, *chunks, interlaced=interlaced)
    expected = shown(imagecodecs.png_decode(data))
    picture = load_picture(data)
    assert not picture.warnings
    assert np.array_equal(samples_shown(come_back(picture)), expected)
    assert np.array_equal(samples_shown(picture.exact), expected)
    rendering = shown(picture.planes if picture.alpha is None else np.dstack((picture.planes, picture.alpha)))
    assert np.abs(rendering.astype(int) - expected).max() <= 128
    assert key in ("none", "some", "short") or (expected[..., 3] == 0).any()
    if depth == 16:
        assert picture.stored_reason == "16 bits a sample"
        assert picture.mode.endswith(";16")


def test_a_transparent_grey_of_two_bits_is_scaled() -> None:
    data = png_of(np.arange(4, dtype=np.uint16).reshape(1, 4, 1), 2, 0, (b"tRNS", b"\0\2"))
    picture = load_picture(data)
    assert picture.exact.info["transparency"] == 170
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[255, 255, 0, 255]]


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("index", [1, 3])
def test_a_transparent_grey_stays_when_pillow_has_read_the_pixels(depth: int, index: int) -> None:
    """Or it is told that it does not."""
    samples = np.array([[[0], [1], [2], [3]]], np.uint16) * ((1 << depth) - 1) // 3
    data = png_of(samples, depth, 0, (b"tRNS", struct.pack(">H", int(samples[0, index, 0]))))
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        picture = from_image(image)
    told = any("transparent grey" in line for line in picture.warnings)
    assert told == (depth in (2, 4))
    if not told:
        assert np.array_equal(samples_shown(come_back(picture)), shown(imagecodecs.png_decode(data)))
        assert picture.alpha is not None
        assert picture.alpha.tolist() == [np.where(samples[0, :, 0] == samples[0, index, 0], 0, 255).tolist()]


def test_a_deep_image_may_have_a_transparent_colour() -> None:
    samples = np.arange(12, dtype=np.uint16).reshape(2, 2, 3)
    picture = from_image(DeepImage("RGB;16", samples, {"transparency": (3, 4, 5)}))
    assert picture.mode == "RGBA;16"
    assert samples_of(picture.exact)[..., 3].tolist() == [[65535, 0], [65535, 65535]]
    with pytest.raises(InputError, match="its transparent colour is damaged"):
        from_image(DeepImage("RGB;16", samples, {"transparency": 3}))


KEPT = (
    (b"cICP", b"\x09\x10\0\1"),
    (b"mDCV", bytes(24)),
    (b"cLLI", bytes(8)),
    (b"gAMA", struct.pack(">I", 100000)),
    (b"cHRM", bytes(range(32))),
    (b"sRGB", b"\1"),
    (b"pHYs", struct.pack(">IIB", 11811, 11811, 1)),
    (b"tIME", b"\x07\xe0\1\1\1\1\1"),
    (b"tEXt", b"Author\0J. S. Bach"),
    (b"iTXt", "Title\0\0\0de\0Titel\0Fuge für alle".encode()),
)


def test_chunks_are_kept() -> None:
    picture = load_picture(grey(*KEPT))
    assert not picture.warnings
    assert unpack_metadata(picture.metadata) == {"png_chunks": KEPT}
    info = come_back(picture).info
    assert info["png_chunks"] == KEPT
    assert info["dpi"] == pytest.approx((300, 300), abs=0.01)
    assert info["gamma"] == 1


def test_texts_are_kept_without_compression() -> None:
    long = b"text " * 600_000  # beyond what Pillow reads
    chunks = (
        (b"zTXt", b"Long\0\0" + zlib.compress(long)),
        (b"iTXt", b"Also\0\1\0en\0also\0" + zlib.compress(b"compressed")),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x:xmpmeta/>")),
        (b"iCCP", b"name\0\0" + zlib.compress(bytes(3_000_000))),
    )
    fields = unpack_metadata(load_picture(grey(*chunks)).metadata)
    assert fields["png_chunks"] == ((b"tEXt", b"Long\0" + long), (b"iTXt", b"Also\0\0\0en\0also\0compressed"))
    assert fields["xmp"] == b"<x:xmpmeta/>"
    assert len(fields["icc_profile"]) == 3_000_000


def bombs() -> Iterator[tuple[bytes, bytes]]:
    for name in (b"a", b"b", b"c"):
        yield b"zTXt", name + b"\0\0" + zlib.compress(bytes(MAX_METADATA // 2))


def test_too_much_metadata_is_no_damage() -> None:
    data = grey(*bombs())
    with pytest.raises(InputError, match="more than 16777216 bytes of metadata: encode without metadata"):
        load_picture(data)
    assert load_picture(data, strip=True).metadata == b""


def test_too_many_texts_name_the_way_out() -> None:
    data = grey(*((b"tEXt", b"Comment\0%d" % number) for number in range(MAX_CHUNKS + 1)))
    with pytest.raises(InputError, match=r"more than 4096 chunks: encode without metadata \(--strip, strip=True\)"):
        load_picture(data)
    assert load_picture(data, strip=True).metadata == b""


@pytest.mark.parametrize(
    ("chunks", "tail", "line"),
    [
        ([(b"bKGD", b"\0\0"), (b"caBX", b"abc")], b"", "its PNG chunks bKGD, caBX are left out"),
        (
            [(b"sBIT", b"\5"), (b"sPLT", b"a\0\x08"), (b"hIST", bytes(2)), (b"iDOT", bytes(28))],
            b"",
            "its PNG chunks sBIT, sPLT, hIST are left out",
        ),
        ([(b"gAMA", b"abc")], b"", "its PNG chunks gAMA are left out"),
        ([(b"zTXt", b"key\0\0damaged")], b"", "its PNG chunks zTXt are left out"),
        ([(b"tEXt", b"no keyword")], b"", "its PNG chunks tEXt are left out"),
        ([], b"hidden", "6 bytes behind the end of the PNG are left out"),
    ],
)
def test_what_is_left_out_is_told(chunks: list[tuple[bytes, bytes]], tail: bytes, line: str) -> None:
    assert load_picture(grey(*chunks, tail=tail)).warnings == (line,)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:40], "cut short"),
        (lambda data: data[:-12], "cut short"),
        (lambda data: data[:30] + b"!" + data[31:], "checksum of the PNG's chunk 'IHDR' is wrong"),
        (lambda data: data[:60] + b"!" + data[61:], "checksum of the PNG's chunk 'IDAT' is wrong"),
        (lambda data: data[:12] + b"JUNK" + data[16:], "does not begin with its header"),
    ],
)
def test_damage_is_called_so(damage: object, reason: str) -> None:
    with pytest.raises(InputError, match=f"a damaged PNG: get another copy of it .*{reason}"):
        load_picture(damage(grey()))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("colour", "depth"), [(colour, depth) for colour, depths in DEPTHS.items() for depth in depths]
)
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("height", "width"), [(9, 11), (1, 1), (2, 5), (5, 1)])
def test_rows_that_are_missing_are_damage(colour: int, depth: int, interlaced: bool, height: int, width: int) -> None:
    samples = np.ones((height, width, CHANNELS[colour]), np.uint16)
    palette = (b"PLTE", bytes(3 << depth)) if colour == 3 else (b"pHYs", bytes(9))
    for lack in (0, -1, -99):  # bytes behind the last row hide nothing
        assert load_picture(png_of(samples, depth, colour, palette, interlaced=interlaced, lack=lack)).size == (
            width,
            height,
        )
    for lack in (1, 1 + width):
        with pytest.raises(InputError, match=r"damaged or cut short: .*the rows of its pixels end early"):
            load_picture(png_of(samples, depth, colour, palette, interlaced=interlaced, lack=lack))


def test_rows_may_come_in_parts() -> None:
    samples = np.arange(80, dtype=np.uint16).reshape(8, 10, 1)
    whole = dict(walk_chunks(png_of(samples, 8, 0)))
    header, stream = (b"IHDR", whole[b"IHDR"]), whole[b"IDAT"]
    parts = [(b"IDAT", stream[i : i + 7]) for i in range(0, len(stream), 7)]
    assert np.array_equal(load_picture(make_png(header, *parts)).planes, samples)
    with pytest.raises(InputError, match="damaged or cut short"):
        load_picture(make_png(header, *parts[:2]))
