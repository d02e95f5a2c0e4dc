"""Files of many kinds: each is read exactly, or refused with a reason; what is left out is told."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from png_files import grey, png_of

from selfcodec.arrays import UInt8, UInt16
from selfcodec.decoding import decode_file
from selfcodec.encoding import encode_picture
from selfcodec.errors import InputError
from selfcodec.format.metadata import unpack_metadata
from selfcodec.images import DeepImage, from_image, load_picture
from selfcodec.images.deep import samples_of, scaled
from selfcodec.images.formats import kind_of, register_formats
from selfcodec.modes import Mode
from selfcodec.settings import Settings

RNG = np.random.default_rng(3)
TEN, TWELVE, SIXTEEN = (RNG.integers(0, 1 << depth, (9, 8, 4)).astype(np.uint16) for depth in (10, 12, 16))


def file_of(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def pnm(kind: int, samples: UInt16, top: int) -> bytes:
    head = f"P{kind} # comment\n{samples.shape[1]} {samples.shape[0]}\n{top}\n".encode()
    return head + (samples.astype(">u2").tobytes() if kind > 3 else " ".join(map(str, samples.ravel())).encode())


def tiff(samples: UInt16, **options: Any) -> bytes:
    return bytes(imagecodecs.tiff_encode(samples, **options))


GREY, RGB = slice(0, 1), slice(0, 3)
DEEP: dict[str, tuple[bytes, UInt16]] = {
    "PNG": (png_of(SIXTEEN, 16, 6), SIXTEEN),
    "PGM": (pnm(5, TWELVE[..., GREY], 4095), scaled(TWELVE[..., GREY], 4095)),
    "PPM": (pnm(6, SIXTEEN[..., RGB], 65535), SIXTEEN[..., RGB]),
    "PPM in words": (pnm(3, TEN[..., RGB], 1023), scaled(TEN[..., RGB], 1023)),
    "PGM in words": (pnm(2, TEN[..., GREY], 1023), scaled(TEN[..., GREY], 1023)),
    "TIFF grey": (file_of(Image.fromarray(SIXTEEN[..., 0]), "TIFF"), SIXTEEN[..., GREY]),
    "TIFF": (tiff(SIXTEEN[..., RGB], photometric="rgb"), SIXTEEN[..., RGB]),
    "JPEG 2000": (
        imagecodecs.jpeg2k_encode(TWELVE[..., RGB], level=0, bitspersample=12),
        scaled(TWELVE[..., RGB], 4095),
    ),
    "AVIF": (imagecodecs.avif_encode(TEN, level=100, bitspersample=10), scaled(TEN, 1023)),
    "AVIF of 12 bits": (
        imagecodecs.avif_encode(TWELVE[..., RGB], level=100, bitspersample=12),
        scaled(TWELVE[..., RGB], 4095),
    ),
    "JPEG XL": (imagecodecs.jpegxl_encode(SIXTEEN, lossless=True), SIXTEEN),
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_files_are_kept_exactly(name: str) -> None:
    data, expected = DEEP[name]
    if name == "JPEG XL":
        pytest.importorskip("pillow_jxl")
    picture = load_picture(data)
    assert np.array_equal(samples_of(picture.exact), expected)
    assert not picture.warnings
    assert picture.warnings_in(Mode.RS2) == ("its 16 bits a sample are reduced to 8",)
    coded = encode_picture(picture)
    assert coded.mode is Mode.STORED
    assert np.array_equal(samples_of(decode_file(coded.data)), expected)
    joined = picture.planes if picture.alpha is None else np.dstack((picture.planes, picture.alpha))
    assert np.abs(joined.astype(int) * 257 - expected).max() <= 128


def with_long_box(data: bytes) -> bytes:
    """Return a file of boxes with one more of 70 kB, which nobody knows, behind the first two."""
    moved = bytearray(data)
    if (at := data.find(b"iloc")) >= 0:  # AVIF tells where in the file colours and alpha begin
        for place in (at + 18, at + 32):
            struct.pack_into(">I", moved, place, struct.unpack_from(">I", data, place)[0] + 70_000)
    return bytes(moved[:32] + struct.pack(">I4s", 70_000, b"free") + bytes(69_992) + moved[32:])


BOXED = {
    "JPEG 2000": imagecodecs.jpeg2k_encode(SIXTEEN[..., RGB], level=0, bitspersample=16, codecformat="jp2"),
    "AVIF": DEEP["AVIF"][0],
    "JPEG XL": imagecodecs.jpegxl_encode(SIXTEEN, lossless=True, usecontainer=True),
}


@pytest.mark.parametrize("name", BOXED)
def test_long_boxes_hide_no_depth(name: str) -> None:
    if name == "JPEG XL":
        pytest.importorskip("pillow_jxl")
    short, long = load_picture(BOXED[name]), load_picture(with_long_box(BOXED[name]))
    assert short.mode == long.mode
    assert short.stored_reason == long.stored_reason == "16 bits a sample"
    assert np.array_equal(samples_of(short.exact), samples_of(long.exact))


def test_deep_jpeg_2000_of_other_colours_is_refused() -> None:
    for samples in (SIXTEEN, SIXTEEN[..., RGB]):
        data = imagecodecs.jpeg2k_encode(samples, level=0, bitspersample=16, codecformat="jp2")
        number = data.index(b"colr") + 7
        assert samples_of(load_picture(data).exact).shape == samples.shape
        for told in (12, 14, 18):  # CMYK, CIELab, sYCC
            with pytest.raises(InputError, match=r"neither grey nor RGB.*convert it to a PNG of 16 bits"):
                load_picture(data[:number] + struct.pack(">I", told) + data[number + 4 :])


def test_words_of_any_length_are_numbers() -> None:
    words = {b"0065535": 65535, b"000000000000000000001": 1, b"65535": 65535, b"0": 0}
    data = b"P2 4 1 65535\n" + b"\n".join(words)
    assert samples_of(load_picture(data).exact).ravel().tolist() == list(words.values())


@pytest.mark.parametrize("word", [b"1234567", b"65536", b"-5", b"+5", b"1_0", b"1.0", b"x", b"9" * 5000])
def test_other_words_are_damage(word: bytes) -> None:
    with pytest.raises(InputError, match=r"damaged or cut short"):
        load_picture(b"P2 2 1 65535\n1 " + word)


@pytest.mark.parametrize(("depth", "kind"), [(10, np.uint16), (12, np.uint16), (9, np.uint16)])
def test_scaling_can_be_undone(depth: int, kind: type) -> None:
    top = (1 << depth) - 1
    values = np.arange(top + 1, dtype=kind)
    wide = scaled(values, top)
    assert (wide[0], wide[-1]) == (0, 65535)
    assert np.array_equal((wide.astype(np.int64) * top + 32767) // 65535, values)


@pytest.mark.parametrize(
    "data",
    [
        file_of(Image.new("I", (3, 2)), "TIFF"),
        file_of(Image.new("F", (3, 2)), "TIFF"),
        b"Pf\n1 1\n-1.0\n" + bytes(4),
        (struct.pack(">HBBHHHH", 474, 0, 2, 3, 2, 1, 3)).ljust(512, b"\0") + bytes(12),
    ],
)
def test_other_depths_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"bits .*convert it to"):
        load_picture(data)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "LA;16", "RGB;16", "RGBA;16"])
def test_deep_images_are_taken(mode: str) -> None:
    if mode.startswith("I"):
        image = Image.frombytes(mode, (8, 9), SIXTEEN[..., 0].astype(">u2" if mode[-1] == "B" else "<u2").tobytes())
        picture = from_image(image)
        assert np.array_equal(samples_of(picture.exact), SIXTEEN[..., GREY])
    else:
        picture = from_image(DeepImage(mode, SIXTEEN[..., : len(mode) - 3].copy(), {"icc_profile": b"profile"}))
        assert unpack_metadata(picture.metadata) == {"icc_profile": b"profile"}
    assert picture.stored_reason == "16 bits a sample"


def test_a_png_that_pillow_opened_keeps_its_depth() -> None:
    with Image.open(io.BytesIO(DEEP["PNG"][0])) as image:
        assert np.array_equal(samples_of(from_image(image).exact), SIXTEEN)


@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_inks_are_kept_in_lossless_files_alone(format: str) -> None:
    data = file_of(Image.fromarray(SIXTEEN.astype(np.uint8), "CMYK"), format)
    picture = load_picture(data)
    with Image.open(io.BytesIO(data)) as source:
        decoded = decode_file(encode_picture(picture).data)
        assert decoded.mode == "CMYK"
        assert decoded.tobytes() == source.tobytes()
    with pytest.raises(InputError, match=r"CMYK.*convert it to RGB first"):
        encode_picture(picture, Settings(Mode.RS2))


def test_the_first_of_several_pictures_is_taken_on_request() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    for format in ("GIF", "PNG", "WEBP", "TIFF", "MPO"):
        data = file_of(frames[0], format, save_all=True, append_images=frames[1:])
        with pytest.raises(
            InputError, match=r"holds 3 images .*encode takes the first of them \(--first, first=True\)"
        ):
            load_picture(data)
        picture = load_picture(data, first=True)
        assert picture.warnings == ("it holds 3 images, of which only the first is taken",)
        assert np.abs(np.asarray(picture.image.convert("RGB")).astype(int) - (255, 0, 0)).max() < 3


def test_what_formats_tell_besides_pixels_is_kept() -> None:
    image = Image.new("RGB", (8, 8))
    for format, options in (("JPEG", {"dpi": (300, 150), "comment": "né"}), ("BMP", {"dpi": (300, 150)})):
        chunks = dict(unpack_metadata(load_picture(file_of(image, format, **options)).metadata)["png_chunks"])
        assert chunks[b"pHYs"] == struct.pack(">IIB", 11811, 5906, 1)
        assert chunks.get(b"tEXt") == ("Comment\0né".encode("latin-1") if format == "JPEG" else None)
    assert load_picture(file_of(image, "GIF", comment=b"hello")).exact.info["comment"] == b"hello"
    assert load_picture(file_of(image, "JPEG")).metadata == b""


@pytest.mark.parametrize("tags", [{}, {282: 300.0}, {282: 1.0, 283: 1.0}, {282: 1.0, 283: 2.0}])
def test_a_tiff_has_the_resolution_that_it_states(tags: dict[int, float]) -> None:
    """Pillow takes 1 pixel per inch for what a file does not state, and so do copies of what it opens."""
    data = file_of(Image.new("RGB", (8, 8)), "TIFF", tiffinfo=tags)
    fields = unpack_metadata(load_picture(data).metadata)
    assert [name for name, _ in fields.get("png_chunks", ())] == ([b"pHYs"] if len(tags) == 2 else [])
    if not tags:
        with Image.open(io.BytesIO(data)) as image:
            assert from_image(image.convert("L")).metadata == b""


def test_sizes_that_are_left_out_are_told() -> None:
    data = file_of(Image.new("RGB", (64, 64)), "ICO", sizes=[(16, 16), (32, 32)])
    assert load_picture(data).warnings == ("it holds 2 sizes, of which the largest is taken",)


def test_stripping_turns_the_picture() -> None:
    exif = Image.Exif()
    exif[274] = 6
    samples: UInt8 = RNG.integers(0, 256, (4, 6, 3), np.uint8)
    data = file_of(Image.fromarray(samples), "PNG", exif=exif)
    assert np.array_equal(load_picture(data).planes, samples)
    picture = load_picture(data, strip=True)
    assert picture.metadata == b""
    assert np.array_equal(picture.planes, samples[::-1].swapaxes(0, 1))
    deep = from_image(DeepImage("RGB;16", SIXTEEN[..., RGB], {"exif": exif.tobytes()}), strip=True)
    assert np.array_equal(samples_of(deep.exact), SIXTEEN[::-1, :, RGB].swapaxes(0, 1))


def test_exif_that_cannot_be_written_is_named_and_the_rest_kept() -> None:
    tags = ImageFileDirectory_v2()
    tags.tagtype[315] = 5  # a fraction as the artist's name
    tags[315], tags[271] = 1.5, "a maker"
    data = file_of(Image.fromarray(SIXTEEN[..., 0]), "TIFF", tiffinfo=tags)
    kept = load_picture(data)
    assert kept.warnings == ("its EXIF tags 315 are left out, which cannot be written",)
    assert b"a maker" in unpack_metadata(kept.metadata)["exif"]
    picture = load_picture(data, strip=True)
    assert picture.metadata == b""
    assert np.array_equal(samples_of(picture.exact), SIXTEEN[..., GREY])


def with_profile(space: str) -> bytes:
    """Return a PNG with an ICC profile that LittleCMS makes."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()  # type: ignore[arg-type]
    return file_of(Image.new("RGB", (2, 2)), "PNG", icc_profile=profile)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (grey((b"gAMA", struct.pack(">I", 100000))), "gamma"),
        (grey((b"gAMA", struct.pack(">I", 45455))), None),
        (grey((b"sRGB", b"\0")), None),
        (with_profile("LAB"), "ICC profile"),
        (with_profile("sRGB"), None),
    ],
)
def test_stripping_tells_of_other_colours(data: bytes, words: str | None) -> None:
    picture = load_picture(data, strip=True)
    assert picture.metadata == b""
    assert [words in line for line in picture.warnings] == ([] if words is None else [True])


def test_eps_tells_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", False)
    with pytest.raises(InputError, match="needs Ghostscript"):
        load_picture(file_of(Image.new("L", (8, 8)), "EPS"))


def test_a_kind_that_needs_a_plugin_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Image.OPEN, "JXL", (lambda *_: None, lambda prefix: False))
    monkeypatch.setitem(Image.OPEN, "HEIF", (lambda *_: None, lambda prefix: False))
    for data, name in ((b"\xff\x0a" + bytes(60), "jxl"), (b"\0\0\0\x18ftypheic" + bytes(60), "heic")):
        with pytest.raises(InputError, match=rf"selfcodec\[{name}\]"):
            load_picture(data)


def test_everything_that_pillow_writes(tmp_path: Path) -> None:
    """Each is displayed the same, or refused with a reason; folders are searched for the same files."""
    register_formats()
    source = Image.fromarray(RNG.integers(0, 256, (32, 32, 3), np.uint8))
    read, refused = [], {}
    for format in sorted(Image.SAVE):
        if format in ("SV", "PDF", "PALM", "SPIDER"):  # not for reading, or without any sign
            continue
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"):
            path = tmp_path / f"{format}-{mode.replace(';', '')}{suffix_of(format)}"
            try:
                image = Image.fromarray(SIXTEEN[..., 0]) if mode == "I;16" else source.convert(mode)
                image.save(path, format)
            except Exception:  # most formats hold few modes
                path.unlink(missing_ok=True)
                continue
            assert kind_of(path) is not None, path
            try:
                picture = load_picture(path)
            except InputError as error:
                refused[path.name] = str(error)
                continue
            read.append(path.name)
            if picture.mode.endswith(";16"):
                continue
            with Image.open(path) as again:
                assert picture.image.convert("RGBA").tobytes() == again.convert("RGBA").tobytes(), path
    assert len(read) > 50
    assert all("convert it" in reason or "Ghostscript" in reason or "extract" in reason for reason in refused.values())


def suffix_of(format: str) -> str:
    return next((suffix for suffix, name in Image.registered_extensions().items() if name == format), "")


@pytest.mark.parametrize("suffix", [".txt", ".tga", ".h", ""])
@pytest.mark.parametrize(
    "content", [b"", b"BMW is a car", b"P5 is a process", b"#define FOO 1\n", b"text", bytes(99), b"\x93SV\x10"]
)
def test_other_files_are_no_images(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    assert kind_of(path) is None
    assert kind_of(tmp_path / "none") is None


def test_only_the_second_picture_of_a_jpeg_is_a_gain_map() -> None:
    """XMP that tells of one makes no page of a TIFF disappear."""
    pages = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = file_of(
        pages[0], "TIFF", save_all=True, append_images=pages[1:], tiffinfo={700: b'<x hdrgm:Version="1.0"/>'}
    )
    with pytest.raises(InputError, match="holds 2 images"):
        load_picture(data)


def test_xmp_of_a_png_that_was_read_before_is_no_text() -> None:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<x/>")
    info.add_text("Title", "a picture")
    image = Image.open(io.BytesIO(file_of(Image.new("L", (2, 2)), "PNG", pnginfo=info)))
    image.load()
    metadata = unpack_metadata(from_image(image).metadata)
    assert metadata["xmp"] == b"<x/>"
    assert metadata["png_chunks"] == ((b"tEXt", b"Title\0a picture"),)


def test_streams_are_read_from_their_beginning_or_from_where_they_are() -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise io.UnsupportedOperation

    data = file_of(Image.new("RGB", (3, 2), "red"), "PNG")
    spent = io.BytesIO(data)
    spent.read()
    for stream in (spent, Stream(data)):
        assert load_picture(stream).size == (3, 2)


@pytest.mark.parametrize("wrong", [("RGB;16", np.uint16, 4), ("RGB;16", np.int32, 3), ("RGB", np.uint16, 3)])
def test_deep_images_are_checked(wrong: tuple[str, type, int]) -> None:
    mode, kind, channels = wrong
    with pytest.raises(InputError, match="do not make an image of mode"):
        DeepImage(mode, np.zeros((2, 2, channels), kind))


def test_deep_images_are_made_of_arrays() -> None:
    with pytest.raises(InputError, match=r"samples are an array .* not list"):
        DeepImage("I;16", [[1]])  # type: ignore[arg-type]
