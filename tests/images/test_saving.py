"""What is written shows the same, in every format and mode, or is refused, or a line says what is lost."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from looks import EVERYTHING, IMAGES, PROFILE, by_opencv, deep, displayed, exif, from_samples, keyed, noise
from PIL import ExifTags, Image, ImageCms, ImageOps
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError
from selfcodec.images import save_image, usual_suffix
from selfcodec.images.colour import profile_is_srgb
from selfcodec.images.deep import DeepImage
from selfcodec.images.fitting import as_palette
from selfcodec.images.formats import register_formats
from selfcodec.images.properties import Properties
from selfcodec.images.targets import NETPBM, TARGETS

register_formats()
STUBS = {"BUFR", "GRIB", "HDF5", "WMF"}
"""Pillow knows their names and cannot write them."""
SLOW = {"ICNS"}
FORMATS = sorted({*Image.SAVE, *NETPBM.values()} - STUBS - SLOW - {"SV"})


ALL_KINDS = {"PNG", "TIFF", "WEBP", "AVIF", "HEIF", "TGA", "QOI", "DDS", "JPEG2000", "JXL"}
"""They never refuse an image of 8 bits a sample."""


def by_tifffile(data: bytes) -> UInt8:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        samples, colours = file.asarray(), file.pages[0].colormap
    if colours is not None:
        return from_samples((colours >> 8).astype(np.uint8).T[samples])
    return from_samples(samples * np.uint8(255) if samples.dtype == bool else samples)


SECOND: dict[str, Callable[[bytes], UInt8]] = {
    "PNG": lambda data: from_samples(imagecodecs.png_decode(data)),
    "WEBP": by_opencv,
    "AVIF": lambda data: from_samples(imagecodecs.avif_decode(data)),
    "BMP": by_opencv,
    **dict.fromkeys(NETPBM.values(), by_opencv),
    "TIFF": by_tifffile,
    "JPEG": by_opencv,
    "JPEG2000": lambda data: from_samples(imagecodecs.jpeg2k_decode(data)),
    "QOI": lambda data: from_samples(imagecodecs.qoi_decode(data)),
    "JXL": lambda data: from_samples(imagecodecs.jpegxl_decode(data)),
    "GIF": lambda data: from_samples(imagecodecs.gif_decode(data)),
}
"""Decoders that share no code with the writer."""


def save(image: Image.Image | DeepImage, format: str) -> tuple[bytes, tuple[str, ...]]:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of formats that Pillow will drop
        lines = save_image(image, buffer, format)
    return buffer.getvalue(), lines


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("format", FORMATS)
def test_what_is_written_shows_the_same(format: str, name: str) -> None:
    """Every format times every kind of image; nothing but a refusal or a line excuses another look."""
    image = IMAGES[name]()
    if format not in ALL_KINDS:
        refusal = None
        try:
            save(image, format)
        except InputError as error:
            refusal = str(error)
        if refusal is not None:
            assert "choose .png" in refusal
            return
    data, lines = save(image, format)
    exact = not any("pixels" in line for line in lines)
    assert exact or format in ("AVIF", "JPEG", "MPO")
    looks = {"Pillow": displayed(Image.open(io.BytesIO(data)))}
    if format in SECOND:
        looks["second"] = SECOND[format](data)
    for decoder, look in looks.items():
        error = np.abs(look.astype(int) - displayed(image))
        assert error.max() <= (0 if exact else 4 if format == "AVIF" else 64), decoder


@pytest.mark.parametrize("size", [(1, 1), (2, 40)])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_all_sizes_are_written(mode: str, size: tuple[int, int]) -> None:
    image = noise(mode, size)
    for format in TARGETS.keys() & set(FORMATS):
        try:
            data, lines = save(image, format)
        except InputError:
            continue
        if not lines:
            assert np.array_equal(displayed(Image.open(io.BytesIO(data))), displayed(image)), format


def test_other_formats_must_bring_the_pixels_back() -> None:
    """SPIDER is not in the table; Pillow writes greys in it, and colours as greys."""
    assert "SPIDER" not in TARGETS
    data, lines = save(noise("L"), "SPIDER")
    assert np.array_equal(displayed(Image.open(io.BytesIO(data))), displayed(noise("L")))
    assert lines == ()
    with pytest.raises(InputError, match=r"as SPIDER: choose \.png \(it does not come back the same\)"):
        save(noise("RGB"), "SPIDER")


@pytest.mark.parametrize("format", ["JPEG", "no such format"])
def test_what_is_refused_leaves_no_file(tmp_path: Path, format: str) -> None:
    with pytest.raises(InputError, match=r"choose \.png"):
        save_image(noise("RGBA"), tmp_path / "out", format)
    assert not list(tmp_path.iterdir())


def test_a_path_and_an_open_file_get_the_same(tmp_path: Path) -> None:
    image = noise("RGB")
    image.info |= EVERYTHING
    save_image(image, tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes() == save(image, "PNG")[0]


def test_black_and_white_with_a_transparent_colour_is_within_its_depth() -> None:
    """A PNG of one bit a pixel has the colours 0 and 1; libpng drops others."""
    assert imagecodecs.png_decode(save(keyed("1", 255), "PNG")[0])[0, 0].tolist() == [255, 0]


def chunks_of(png: bytes) -> list[tuple[bytes, bytes]]:
    """Name and body of each chunk of a PNG whose checksums are right."""
    chunks, position = [], 8
    while position < len(png):
        size, name = struct.unpack_from(">I4s", png, position)
        body = png[position + 8 : position + 8 + size]
        assert png[position + 8 + size :][:4] == struct.pack(">I", zlib.crc32(name + body))
        chunks.append((name, body))
        position += 12 + size
    return chunks


@pytest.mark.parametrize("image", [noise("P"), deep("LA;16")], ids=["P", "deep"])
def test_png_has_the_chunks_of_the_source(image: Image.Image | DeepImage) -> None:
    chunks = (*EVERYTHING["png_chunks"], (b"sRGB", b"\1"), (b"cICP", bytes((9, 16, 0, 1))), (b"tEXt", b"Title\0twice"))
    image.info.update(EVERYTHING | {"png_chunks": chunks})
    data, lines = save(image, "PNG")
    written = chunks_of(data)
    assert lines == ()
    assert tuple(written[1 : 1 + len(chunks)]) == chunks
    names = [name for name, _ in written]
    assert len(set(names)) + 1 == len(names) - names.count(b"IDAT") + 1, "but for the text nothing stands there twice"
    behind = names[names.index(b"PLTE" if b"PLTE" in names else b"IDAT") :]
    assert set(behind) <= {b"PLTE", b"tRNS", b"IDAT", b"IEND"}
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == PROFILE


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["BMP", "TIFF", "AVIF", "JPEG2000", "WEBP"])
def test_pictures_stay_upright(format: str, orientation: int) -> None:
    image = noise("L")
    image.info |= EVERYTHING | {"exif": exif(orientation), "xmp": b'<x tiff:Orientation="%d"/>' % orientation}
    data, _ = save(image, format)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(displayed(shown), displayed(ImageOps.exif_transpose(image)))
    side_ways = orientation > 4 and format != "WEBP"  # of TIFF, Pillow tells the size of the picture that is turned
    assert Image.open(io.BytesIO(data)).size == image.size[:: -1 if side_ways else 1]
    if format == "BMP":
        dpi = tuple(round(value) for value in shown.info["dpi"])
        assert dpi == ((150, 300) if side_ways else (300, 150))


def test_a_picture_that_is_only_turned_loses_no_exif() -> None:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = 8
    image = noise("RGB")
    image.info["exif"] = tags.tobytes()
    assert save(image, "BMP")[1] == ()
    image.info["exif"] = b"Exif\0\0not a directory"
    assert save(image, "BMP")[1] == ("EXIF is left out",)


def test_tags_of_another_files_layout_do_not_reach_a_tiff() -> None:
    """EXIF of `exif` has another width, depth and photometric interpretation."""
    image = noise("L")
    image.info |= EVERYTHING | {"exif": exif(1), "icc_profile": PROFILE + bytes(70_000)}
    data, _ = save(image, "TIFF")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert np.array_equal(file.asarray(), np.asarray(image))
        tags = file.pages[0].tags
        assert tags["Make"].value == "Grünwald"
        assert tags["ExifTag"].value == {"ISOSpeedRatings": 400}
        assert tags["XResolution"].value == (300, 1)
        assert tags["ImageDescription"].value == "Title: a picture of é"


@pytest.mark.parametrize(
    ("chunk", "text"),
    [
        ((b"tEXt", b"Comment\0caf\xe9"), "café"),
        ((b"iTXt", b"Comment\0\0\0\0\0" + "café".encode()), "café"),
        ((b"iTXt", b"Title\0\0\0de\0Titel\0" + "café".encode()), "Title: café"),
        ((b"zTXt", b"Comment\0\0damaged"), ""),
        ((b"iTXt", b"Comment"), ""),
    ],
)
def test_texts_become_comments(chunk: tuple[bytes, bytes], text: str) -> None:
    image = noise("L")
    image.info["png_chunks"] = (chunk,)
    data, lines = save(image, "GIF")
    assert lines == ()
    assert Image.open(io.BytesIO(data)).info.get("comment", b"").decode() == text


SRGB_GAMMA = (b"gAMA", struct.pack(">I", 45455))
SRGB_PRIMARIES = (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
LINEAR = (b"gAMA", struct.pack(">I", 100_000))
BRIGHT = (b"cLLI", bytes(8))


@pytest.mark.parametrize(
    ("info", "line"),
    [
        ({"png_chunks": (SRGB_GAMMA, SRGB_PRIMARIES)}, None),
        ({"png_chunks": (LINEAR,)}, "(gAMA)"),
        ({"png_chunks": (SRGB_GAMMA, (b"cHRM", bytes(32)))}, "(gAMA, cHRM)"),
        ({"png_chunks": (LINEAR, (b"sRGB", b"\0"))}, None),
        ({"png_chunks": ((b"sRGB", b"\0"), (b"cICP", bytes((9, 16, 0, 1))))}, "(sRGB, cICP)"),
        ({"png_chunks": (LINEAR, (b"cICP", bytes((1, 13, 0, 1))))}, None),
        ({"png_chunks": (SRGB_GAMMA, BRIGHT)}, "cLLI"),
        ({"png_chunks": (LINEAR,), "icc_profile": PROFILE}, "ICC profile"),
        ({"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}, None),
        ({"icc_profile": b"damaged"}, "ICC profile"),
    ],
)
def test_colours_that_are_not_as_in_srgb_are_named(info: dict[str, Any], line: str | None) -> None:
    image = noise("RGB")
    image.info |= info
    _, lines = save(image, "BMP")
    assert len(lines) == (line is not None)
    assert line is None or line in lines[0]


def test_profiles_of_greys_are_compared_as_greys() -> None:
    """A grey profile whose curve is linear, of the fewest tags that LittleCMS takes."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0\0\0\0\0"
    tags = struct.pack(">I", 2) + b"wtpt" + struct.pack(">II", 156, 20) + b"kTRC" + struct.pack(">II", 176, 12)
    head = struct.pack(">I4sI4s4s4s12s4s", 188, b"", 0x02100000, b"mntr", b"GRAY", b"XYZ ", b"", b"acsp").ljust(
        128, b"\0"
    )
    profile = head + tags + white + curve
    ImageCms.ImageCmsProfile(io.BytesIO(profile))
    assert not profile_is_srgb(profile)


@pytest.mark.parametrize("aspect", [(1, 1), (2, 1)])
def test_pixels_that_are_not_square_are_named(aspect: tuple[int, int]) -> None:
    image = noise("RGB")
    image.info["png_chunks"] = ((b"pHYs", struct.pack(">IIB", *aspect, 0)),)
    lines = save(image, "TIFF")[1]
    assert lines == (() if aspect == (1, 1) else ("that pixels are 2:1 and not square is left out",))


@given(st.integers(1, 2**31 - 1))
def test_resolutions_come_back_exactly(pixels_per_metre: int) -> None:
    dpi = Properties(png_chunks=((b"pHYs", struct.pack(">IIB", pixels_per_metre, pixels_per_metre, 1)),)).dpi
    assert dpi is not None
    assert round(dpi[0] / 0.0254) == pixels_per_metre


@given(arrays(np.uint8, (5, 4, 4), elements=st.sampled_from((0, 1, 200, 255))))
def test_palettes_show_the_same_or_are_none(samples: UInt8) -> None:
    image = Image.fromarray(samples)
    palette = as_palette(image)
    if set(samples[..., 3].ravel()) <= {0, 255}:
        assert palette is not None
        assert np.array_equal(displayed(palette), displayed(image))
    else:
        assert palette is None


@pytest.mark.parametrize("mode", ["I;16", "LA;16", "RGB;16", "RGBA;16"])
def test_16_bits_are_written_exactly(mode: str) -> None:
    image = deep(mode)
    image.info.update(EVERYTHING)
    samples = image.samples[..., 0] if mode == "I;16" else image.samples
    assert usual_suffix(image.mode) == ".png"
    png, lines = save(image, "PNG")
    assert lines == ()
    assert np.array_equal(imagecodecs.png_decode(png), samples)
    tiff, lines = save(image, "TIFF")
    assert lines == ()
    assert np.array_equal(tifffile.imread(io.BytesIO(tiff)), samples)
    with tifffile.TiffFile(io.BytesIO(tiff)) as file:
        tags = file.pages[0].tags
        assert tags["InterColorProfile"].value == PROFILE
        assert (tags["Make"].value, tags["Orientation"].value) == ("Grünwald", 6)
        assert tags["XMP"].value == EVERYTHING["xmp"]


def test_16_bits_without_orientation_are_turned() -> None:
    image = deep("RGB;16")
    image.info["exif"] = exif(6)
    data, lines = save(image, "PPM")
    assert lines == ("EXIF is left out",)
    assert np.array_equal(ppm16(data), np.rot90(image.samples, -1))


def ppm16(data: bytes) -> Any:
    head, size, depth, samples = data.split(b"\n", 3)
    assert (head, depth) == (b"P6", b"65535")
    width, height = map(int, size.split())
    return np.frombuffer(samples, ">u2").reshape(height, width, 3)


@pytest.mark.parametrize("format", ["PGM", "PNM", "JPEG2000"])
def test_16_bits_of_grey_are_pillows_own(format: str) -> None:
    for image in (deep("I;16"), Image.fromarray(deep("I;16").samples[..., 0])):
        data, _ = save(image, format)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), deep("I;16").samples[..., 0])


@pytest.mark.parametrize("mode", ["LA;16", "RGBA;16"])
def test_opaque_16_bits_need_no_alpha(mode: str) -> None:
    image = deep(mode)
    with pytest.raises(InputError, match=r"PNM cannot hold transparency: choose \.png"):
        save(image, "PNM")
    image.samples[..., -1] = 65535
    data, lines = save(image, "PNM")
    assert lines == ()
    back = ppm16(data) if mode == "RGBA;16" else np.atleast_3d(np.asarray(Image.open(io.BytesIO(data))))
    assert np.array_equal(back, image.samples[..., :-1])


@pytest.mark.parametrize("format", sorted({*FORMATS} - {"PNG", "TIFF", "PGM", "PPM", "PNM"}))
def test_16_bits_are_not_reduced(format: str) -> None:
    with pytest.raises(InputError, match=r"cannot hold 16 bits a sample.*: choose \.png"):
        save(deep("RGB;16"), format)


def test_printing_inks() -> None:
    image = Image.merge("CMYK", noise("RGBA").split())
    image.info |= EVERYTHING | {"exif": exif(1)}
    assert usual_suffix(image.mode) == ".tif"
    data, lines = save(image, "TIFF")
    assert Image.open(io.BytesIO(data)).tobytes() == image.tobytes()
    assert len(lines) == 0
    data, lines = save(image, "JPEG")
    error = np.asarray(Image.open(io.BytesIO(data)), int) - np.asarray(image, int)
    assert np.abs(error).max() < 64
    assert lines[0] == "JPEG does not keep pixels exactly"
    with pytest.raises(InputError, match=r"PNG cannot hold printing inks \(CMYK\): choose \.tif"):
        save(image, "PNG")


def test_exif_that_cannot_be_written_anew_is_named() -> None:
    """Where pixels are turned, and in TIFF; a maker that is a fraction cannot be written, and stops nothing."""
    tags = ImageFileDirectory_v2()
    tags.tagtype[271] = 5
    tags[271], tags[274], tags[305] = 1.5, 6, "a program"
    buffer = io.BytesIO()
    tags.save(buffer)
    image = noise("RGB")
    image.info["exif"] = b"Exif\0\0" + buffer.getvalue()
    for format in ("TIFF", "HEIF", "BMP", "PNG"):
        if format in Image.SAVE:
            lines = save_image(image, io.BytesIO(), format)
            assert any("EXIF's Make is left out" in line for line in lines) == (format in ("TIFF", "HEIF")), format


def test_the_time_of_the_last_change_is_named() -> None:
    image = noise("RGB")
    image.info["png_chunks"] = ((b"tIME", bytes(7)),)
    assert save_image(image, io.BytesIO(), "PNG") == ()
    assert any("tIME" in line for line in save_image(image, io.BytesIO(), "TIFF"))
