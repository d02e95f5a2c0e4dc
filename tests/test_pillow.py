"""Pillow opens and saves .sv files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

import selfcodec
from selfcodec import decoding
from selfcodec.arrays import UInt8
from selfcodec.zoo import Model


@pytest.fixture
def sv(tmp_path: Path, photo: UInt8, tiny_model: Model) -> Path:
    path = tmp_path / "a.sv"
    Image.fromarray(photo).save(path, model="tiny")
    return path


def test_what_is_saved_is_opened(sv: Path, photo: UInt8) -> None:
    assert sv.read_bytes() == selfcodec.encode(photo, model="tiny")
    with Image.open(sv) as image:
        assert (image.format, image.mode, image.size) == ("SV", "RGB", (96, 64))
        assert np.array_equal(np.asarray(image), photo)
        assert image.convert("L").size == (96, 64)


def test_options_reach_the_encoder(sv: Path, photo: UInt8) -> None:
    image = Image.fromarray(photo)
    image.save(sv, mode="cr", level=1, quality=20, seed=3, model="tiny", verify=False)
    assert sv.read_bytes() == selfcodec.encode(photo, "cr", "tiny", 20, level=1, seed=3)
    with pytest.raises(selfcodec.InputError, match="unknown mode"):
        image.save(sv.with_name("b.sv"), mode="best", model="tiny")
    assert not sv.with_name("b.sv").exists()


def test_a_quality_without_a_lossy_mode_is_told(sv: Path, photo: UInt8) -> None:
    with pytest.warns(selfcodec.SelfcodecWarning, match="quality changes nothing in mode lossless of tiny") as caught:
        Image.fromarray(photo).save(sv, model="tiny", quality=10)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_modes_come_back(mode: str, photo: UInt8, tiny_model: Model) -> None:
    source = Image.fromarray(photo).convert(mode)
    if source.mode.endswith("A"):
        source.putalpha(Image.fromarray(photo[:, :, 1]))
    buffer = io.BytesIO()
    source.save(buffer, "SV", model="tiny")
    with Image.open(buffer) as image:
        assert image.mode == mode
        image.load()
        assert image.tobytes() == source.tobytes()
        assert image.convert("RGBA").tobytes() == source.convert("RGBA").tobytes()


def with_metadata(photo: UInt8) -> Image.Image:
    image = Image.fromarray(photo)
    exif = image.getexif()
    exif[0x0131] = "a camera"
    image.info |= {"exif": exif.tobytes(), "icc_profile": bytes(range(200)), "xmp": b"<x/>"}
    return image


def test_metadata_are_there_before_the_pixels(photo: UInt8, tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with_metadata(photo).save(buffer, "SV", model="tiny")
    monkeypatch.setattr(decoding, "decode_file", lambda data: pytest.fail("decodes"))
    with Image.open(buffer) as image:
        assert image.getexif()[0x0131] == "a camera"
        assert (image.info["icc_profile"], image.info["xmp"]) == (bytes(range(200)), b"<x/>")


def test_metadata_given_to_save_replace_the_image_s_own(photo: UInt8, tiny_model: Model) -> None:
    source, buffer, exif = with_metadata(photo), io.BytesIO(), Image.Exif()
    exif[0x0131] = "another"
    source.save(buffer, "SV", model="tiny", exif=exif, xmp="<y/>", icc_profile=None)
    with Image.open(buffer) as image:
        assert image.getexif()[0x0131] == "another"
        assert image.info["xmp"] == b"<y/>"
        assert "icc_profile" not in image.info
    assert source.info["xmp"] == b"<x/>"
    with pytest.warns(selfcodec.SelfcodecWarning, match="colours look different"):
        source.save(buffer := io.BytesIO(), "SV", model="tiny", strip=True)
    with Image.open(buffer) as image:
        assert not image.info
        assert not image.getexif()


def test_modes_that_pillow_lacks_are_named(tmp_path: Path) -> None:
    (tmp_path / "deep.sv").write_bytes(selfcodec.encode(np.zeros((2, 3, 3), np.uint16)))
    with pytest.raises(OSError, match=r"no mode RGB;16: decode the file with selfcodec\.decode"):
        Image.open(tmp_path / "deep.sv")


def test_a_closed_image_is_a_value_error(sv: Path) -> None:
    image = Image.open(sv)
    image.close()
    with pytest.raises(ValueError, match="open it again"):
        image.load()


def test_whole_files_are_verified(sv: Path) -> None:
    data = sv.read_bytes()
    Image.open(sv).verify()
    damaged = io.BytesIO(data[:-1] + bytes((data[-1] ^ 1,)))
    with pytest.raises(OSError, match="checksum"):
        Image.open(damaged).verify()


def test_a_file_may_be_saved_over_itself(sv: Path, photo: UInt8) -> None:
    with Image.open(sv) as image:
        image.save(sv, model="tiny")
    with Image.open(sv) as image:
        assert np.array_equal(np.asarray(image), photo)


def test_damage_is_an_os_error(sv: Path) -> None:
    data = sv.read_bytes()
    with pytest.raises(OSError, match="ends"):
        Image.open(io.BytesIO(data[:4]))
    with Image.open(io.BytesIO(data[:-8])) as image, pytest.raises(OSError, match="cut short"):
        image.load()
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(b"\x93SW" + data[3:]))


def test_registered_twice_is_registered_once() -> None:
    selfcodec.pillow.register()
    assert Image.ID.count("SV") == 1
    assert Image.registered_extensions()[".sv"] == "SV"
    assert Image.MIME["SV"] == "image/x-selfcodec"


@pytest.mark.parametrize("format", ["GIF", "PNG", "TIFF"])
def test_the_first_of_several_pictures_is_saved_on_request(format: str, tmp_path: Path, tiny_model: Model) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a", format, save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "a") as image:
        image.seek(2)
        with pytest.raises(selfcodec.InputError, match="holds 3 images"):
            image.save(tmp_path / "a.sv", model="tiny")
        with pytest.warns(selfcodec.SelfcodecWarning, match="only the first is taken") as caught:
            image.save(tmp_path / "a.sv", model="tiny", first=True)
        assert str(caught[0].message).startswith(str(tmp_path / "a"))
        assert caught[0].filename == __file__
        assert image.tell() == 2
    with Image.open(tmp_path / "a.sv") as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 0, 0)
