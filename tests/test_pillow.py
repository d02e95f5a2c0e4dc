"""Pillow opens and saves .sv files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

import selfcodec
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
    image.save(sv, mode="cg", level=1, quality=20, seed=3, model="tiny", verify=False)
    assert sv.read_bytes() == selfcodec.encode(photo, "cg", "tiny", 20, level=1, seed=3)
    with pytest.raises(selfcodec.InputError, match="unknown mode"):
        image.save(sv.with_name("b.sv"), mode="best", model="tiny")
    assert not sv.with_name("b.sv").exists()


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


def test_metadata_come_with_the_pixels(photo: UInt8, tiny_model: Model) -> None:
    source, buffer = Image.fromarray(photo), io.BytesIO()
    exif = source.getexif()
    exif[0x0131] = "a camera"
    source.info["exif"] = exif.tobytes()
    source.save(buffer, "SV", model="tiny")
    with Image.open(buffer) as image:
        image.load()
        assert image.getexif()[0x0131] == "a camera"


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
