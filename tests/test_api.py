"""The library's functions: what they take, and what they say of what they do not take."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import selfcodec
from selfcodec.arrays import UInt8
from selfcodec.images.deep import samples_of
from selfcodec.zoo import Model


@pytest.mark.usefixtures("tiny_model")
@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_arrays_of_every_kind(photo: UInt8, channels: int) -> None:
    samples = np.dstack((photo, photo[:, :, :1]))[:33, :20]
    image = samples[:, :, 0] if channels == 0 else samples[:, :, :channels]
    back = selfcodec.decode(selfcodec.encode(image, model="tiny"))
    assert back.mode == ("L", "L", "LA", "RGB", "RGBA")[channels]
    assert np.array_equal(np.asarray(back), image[:, :, 0] if channels == 1 else image)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_deep_arrays_of_every_kind(channels: int, order: str) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (5, 7, max(1, channels)), np.uint16)
    given = deep.astype(f"{order}u2")[:, :, 0] if channels == 0 else deep.astype(f"{order}u2")
    back = selfcodec.decode(selfcodec.encode(given))
    assert back.mode == ("I;16", "I;16", "LA;16", "RGB;16", "RGBA;16")[channels]
    assert np.array_equal(samples_of(back), deep)


@pytest.mark.usefixtures("tiny_model")
def test_files_are_given_by_path_by_bytes_and_open(photo: UInt8, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(photo).save(path)
    data = selfcodec.encode(photo, model="tiny")
    png = path.read_bytes()
    for source in (path, str(path), png, bytearray(png), memoryview(png), io.BytesIO(png)):
        assert selfcodec.encode(source, model="tiny") == data
    path = tmp_path / "a.sv"
    path.write_bytes(data)
    for source in (path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data)):
        assert np.array_equal(np.asarray(selfcodec.decode(source)), photo)


@pytest.mark.usefixtures("tiny_model")
@pytest.mark.parametrize("wrong", ["int64", "float32", "bool", "(4, 4, 5)", "(4,)"])
def test_arrays_that_are_no_images(photo: UInt8, wrong: str) -> None:
    array: Any = {"(4, 4, 5)": np.zeros((4, 4, 5), np.uint8), "(4,)": np.zeros(4, np.uint8)}.get(wrong)
    with pytest.raises(selfcodec.InputError, match=r"an array .* give"):
        selfcodec.encode(photo.astype(wrong) if array is None else array, "rs1", "tiny")


@pytest.mark.parametrize("wrong", [None, 3, [1, 2]])
def test_what_is_no_image_and_no_file(wrong: Any) -> None:
    with pytest.raises(selfcodec.InputError, match="a Pillow image, an array, a path"):
        selfcodec.encode(wrong)
    with pytest.raises(selfcodec.InputError, match="its bytes, a path"):
        selfcodec.decode(wrong)


@pytest.mark.parametrize("function", [selfcodec.encode, selfcodec.decode])
def test_a_missing_file_is_named(function: Any, tmp_path: Path) -> None:
    with pytest.raises(selfcodec.InputError, match=r"none\.sv: cannot be read"):
        function(tmp_path / "none.sv")


@pytest.mark.usefixtures("tiny_model")
@pytest.mark.parametrize(
    "setting",
    [
        {"quality": 50.5},
        {"quality": "50"},
        {"quality": True},
        {"level": "1"},
        {"seed": 1.5},
        {"effort": "2"},
        {"bytes": 10.5},
        {"bpp": "1"},
        {"psnr": float("nan")},
        {"mode": 3},
        {"model": 3},
    ],
)
def test_settings_of_a_wrong_type_are_named(photo: UInt8, setting: dict[str, Any]) -> None:
    (name,) = setting
    with pytest.raises(selfcodec.InputError, match=name):
        selfcodec.encode(photo, **{"mode": "cr", "model": "tiny"} | setting)


def test_a_model_is_named_by_its_folder(photo: UInt8, tiny_model: Model) -> None:
    folder = Path(tiny_model.where).parent
    assert selfcodec.encode(photo, model=folder) == selfcodec.encode(photo, model="tiny")


@pytest.mark.usefixtures("tiny_model")
def test_metadata_are_left_out_on_request(photo: UInt8) -> None:
    image = Image.fromarray(photo)
    image.info["icc_profile"] = b"a profile"
    assert "icc_profile" in selfcodec.decode(selfcodec.encode(image, model="tiny")).info
    assert "icc_profile" not in selfcodec.decode(selfcodec.encode(image, model="tiny", strip=True)).info
