"""Loading, refusing and saving images."""

from __future__ import annotations

import gc
import io
import os
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from random_images import noise

from selfcodec.errors import FormatError, InputError
from selfcodec.files import write_atomically
from selfcodec.format.metadata import unpack_metadata
from selfcodec.images import apart, from_image, load_picture, opening, save_image, to_image

SIZES = [(1, 1), (1, 1000), (31, 33)]
MODES = ["1", "L", "LA", "P", "RGB", "RGBA"]


def file_of(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_taken_apart_and_put_together(mode: str, size: tuple[int, int]) -> None:
    source = noise(mode, size)
    picture = load_picture(file_of(source))
    assert picture.mode == picture.image.mode == mode
    assert picture.planes.dtype == np.uint8
    assert picture.planes.shape[:2] == (size[1], size[0])
    assert picture.image.tobytes() == source.tobytes()
    assert (picture.stored_reason is not None) == (mode in ("1", "P"))
    assert picture.metadata == b""
    assert len(picture.rendering) == picture.planes.shape[2] + (picture.alpha is not None)
    back = to_image(picture.rendering, picture.planes, picture.alpha)
    assert back.mode == picture.rendering == (back.mode if picture.stored_reason else mode)
    assert back.tobytes() == source.convert(picture.rendering).tobytes()
    assert back.convert("RGBA").tobytes() == source.convert("RGBA").tobytes()


def test_large_images_are_split_strip_by_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_STRIP_PIXELS", 100)
    picture = from_image(noise("RGBA"))
    assert picture.alpha is not None
    assert np.array_equal(np.dstack((picture.planes, picture.alpha)), np.asarray(noise("RGBA")))


@pytest.mark.parametrize(
    ("grey", "transparency", "rendering"),
    [
        (False, None, "RGB"),
        (True, None, "L"),
        (False, 3, "RGBA"),
        (True, 3, "LA"),
        (False, bytes(range(100)), "RGBA"),
        (True, bytes(range(100)), "LA"),
        (True, b"\xff" * 9, "L"),
        (True, 250, "L"),
    ],
)
def test_palettes_are_rendered(grey: bool, transparency: int | bytes | None, rendering: str) -> None:
    image = noise("P", grey=grey)
    if transparency is not None:
        image.info["transparency"] = transparency
    picture = from_image(image)
    assert picture.rendering == rendering
    assert picture.stored_reason
    back = to_image(rendering, picture.planes, picture.alpha)
    assert back.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


def test_palettes_with_alpha_are_rendered() -> None:
    image = noise("RGBA").quantize(9)
    picture = from_image(image)
    assert picture.rendering == "RGBA"
    assert to_image("RGBA", picture.planes, picture.alpha).tobytes() == image.convert("RGBA").tobytes()


def test_a_damaged_palette_is_refused() -> None:
    image = noise("P")
    image.info["transparency"] = bytes(300)
    with pytest.raises(InputError, match="palette is damaged"):
        from_image(image)


@pytest.mark.parametrize(
    ("mode", "transparency", "rendering"),
    [("1", 0, "LA"), ("1", 255, "LA"), ("1", 1, "LA"), ("L", 7, "LA"), ("RGB", (1, 2, 3), "RGBA")],
)
def test_a_transparent_colour_becomes_alpha(mode: str, transparency: object, rendering: str) -> None:
    image = noise(mode)
    if mode == "RGB":
        image.putpixel((3, 4), (1, 2, 3))
    image.info["transparency"] = transparency
    picture = load_picture(file_of(image))
    assert picture.stored_reason
    assert picture.rendering == rendering
    assert picture.alpha is not None
    key = 255 * bool(transparency) if mode == "1" else transparency
    expected = (np.asarray(image.convert("L") if mode == "1" else image) == key).reshape(33, 31, -1).all(axis=2)
    assert expected.any()
    assert np.array_equal(picture.alpha, np.where(expected, 0, 255))


@pytest.mark.parametrize("transparency", [b"ab", (1, 2), "red", None])
def test_a_damaged_transparent_colour_is_refused(transparency: object) -> None:
    image = noise("RGB")
    image.info["transparency"] = transparency
    with pytest.raises(InputError, match="transparent colour is damaged"):
        from_image(image)


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "file"])
def test_sources(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "in.png"
    path.write_bytes(file_of(noise("RGB")))
    if kind == "file":
        with open(path, "rb") as file:
            picture = load_picture(file)
            assert not file.closed
    else:
        sources: dict[str, Path | str | bytes] = {"path": path, "text": str(path), "bytes": path.read_bytes()}
        picture = load_picture(sources[kind])
    assert np.array_equal(picture.planes, np.asarray(noise("RGB")))


@pytest.mark.parametrize("format", ["PNG", "GIF", "TIFF", "BMP", "JPEG", "WEBP", "PPM", "TGA"])
def test_no_file_stays_open(tmp_path: Path, format: str) -> None:
    path = tmp_path / "in"
    path.write_bytes(file_of(noise("L"), format))
    load_picture(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="in: "):
        load_picture(path)
    gc.collect()


@pytest.mark.parametrize("mode", ["I", "F", "YCbCr", "LAB", "HSV", "PA", "La", "RGBa", "RGBX"])
def test_other_modes_are_refused(mode: str) -> None:
    with pytest.raises(InputError) as caught:
        from_image(Image.new(mode, (3, 2)), "in.tif")
    text = str(caught.value)
    assert text.startswith("in.tif: ")
    assert "\n" not in text
    assert ("16 bits" if mode[0] in "IF" else f"colour mode {mode} ") in text
    assert "convert it to " in text


SHALLOW = {
    "JPEG 2000": imagecodecs.jpeg2k_encode(np.full((8, 8, 3), 40, np.uint8), level=0),
    "AVIF": imagecodecs.avif_encode(np.full((8, 8, 3), 40, np.uint8), level=100),
}


@pytest.mark.parametrize("name", SHALLOW)
def test_formats_that_may_be_deep_are_taken_where_they_are_not(name: str) -> None:
    assert load_picture(SHALLOW[name]).planes.shape == (8, 8, 3)


def test_fewer_than_8_bits_are_taken() -> None:
    assert load_picture(b"P5 1 1 15\n\x0f").planes.tolist() == [[[255]]]
    assert load_picture(file_of(noise("L"), bits=4)).planes.shape == (33, 31, 1)
    bmp16 = b"BM" + struct.pack("<IIIIiiHHIIiiII", 58, 0, 54, 40, 1, 1, 1, 16, 0, 4, 0, 0, 0, 0) + b"\xff\x7f\0\0"
    assert load_picture(bmp16).planes.tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_and_pages_are_refused(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    data = file_of(frames[0], format, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"holds 3 images .*--first"):
        load_picture(data)
    assert load_picture(file_of(frames[0], format)).planes.shape == (8, 8, 3)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("not an image")
    for source in (b"not an image", tmp_path / "a.txt"):
        with pytest.raises(InputError, match="not an image"):
            load_picture(source)
    with pytest.raises(InputError, match="the file is empty"):
        load_picture(b"")
    with pytest.raises(InputError, match=r"none\.png: cannot be read: No such file"):
        load_picture(tmp_path / "none.png")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_picture(tmp_path)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_empty_images_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="is empty"):
        from_image(Image.new("RGB", size))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000"])
def test_cut_and_damaged_files_give_input_errors(format: str) -> None:
    data = file_of(noise("RGB", (90, 90)), format)
    rng = np.random.default_rng(6)
    for size in rng.integers(1, int(len(data) * 0.9), 10):
        with pytest.raises(InputError):
            load_picture(data[:size])
    for _ in range(40):
        damaged = bytearray(data)
        for place in rng.integers(0, min(len(data), 700), 4):
            damaged[place] = rng.integers(0, 256)
        try:
            load_picture(bytes(damaged))
        except InputError as error:
            assert str(error).startswith("image data: ")  # noqa: PT017


def test_large_images_are_taken_up_to_pillows_error_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    assert load_picture(file_of(Image.new("L", (31, 33)))).planes.shape == (33, 31, 1)
    with pytest.raises(InputError, match="too many pixels"):
        load_picture(file_of(Image.new("L", (31, 50))))


def test_our_own_pixel_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_PIXELS", 1000)
    with pytest.raises(InputError, match="31×33 pixels are too many"):
        from_image(noise("L"))


EXIF = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"
METADATA = {"icc_profile": b"a profile" * 50, "exif": EXIF, "xmp": b"<x:xmpmeta>\xff</x:xmpmeta>"}


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_metadata_pass_from_file_to_file(tmp_path: Path, format: str) -> None:
    image = noise("RGB")
    image.info.update(METADATA)
    save_image(image, tmp_path / "in", format)
    picture = load_picture(tmp_path / "in")
    assert unpack_metadata(picture.metadata) == METADATA | {"exif": EXIF[6:]}
    save_image(to_image("RGB", picture.planes, None, picture.metadata), tmp_path / "out")
    again = load_picture(tmp_path / "out")
    assert again.metadata == picture.metadata
    assert again.image.getexif()[274] == 6
    with Image.open(tmp_path / "out") as written:
        assert written.format == "PNG"
    assert load_picture(tmp_path / "in", strip=True).metadata == b""


def test_metadata_that_cannot_be_kept_name_the_way_out() -> None:
    image = noise("L")
    image.info["xmp"] = bytes(2**24)
    with pytest.raises(InputError, match=r"^in\.png: .*\(--strip, strip=True\)"):
        from_image(image, "in.png")
    assert from_image(image, strip=True).metadata == b""


@pytest.mark.parametrize(
    ("mode", "channels", "alpha"),
    [
        ("L", 3, None),
        ("L", 1, (4, 3)),
        ("LA", 1, None),
        ("RGB", 1, None),
        ("RGB", 3, (4, 3)),
        ("RGBA", 3, None),
        ("RGBA", 3, (3, 4)),
        ("RGBA", 4, None),
        ("RGBA", 1, (4, 3)),
        ("P", 1, None),
        ("1", 1, None),
    ],
)
def test_parts_that_do_not_fit_are_refused(mode: str, channels: int, alpha: tuple[int, int] | None) -> None:
    plane = None if alpha is None else np.zeros(alpha, np.uint8)
    with pytest.raises(FormatError, match=f"do not make a {mode} image"):
        to_image(mode, np.zeros((4, 3, channels), np.uint8), plane)


def test_to_image_refuses_bad_metadata() -> None:
    with pytest.raises(FormatError, match="metadata"):
        to_image("L", np.zeros((4, 3, 1), np.uint8), None, b"x")


def test_files_are_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    for data in (b"first", b""):
        write_atomically(path, data)
        assert path.read_bytes() == data
    write_atomically(str(path), b"second")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    (tmp_path / "ordinary").write_bytes(b"")
    assert path.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_writing_through_a_link_and_into_a_device(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_atomically(tmp_path / "link", b"data")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"data"
    write_atomically("/dev/null", b"data")
    assert not Path("/dev/null").is_file()


def test_failed_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "none" / "out"):
        with pytest.raises(InputError, match=f"{path.name}: cannot be written: "):
            write_atomically(path, b"data")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(InputError, match="No space left"):
        write_atomically(tmp_path / "out", b"data")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "out"]
    assert (tmp_path / "out").read_bytes() == b"old"
