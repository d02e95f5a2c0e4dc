"""The library's functions: what they take, and what they say of what they do not take."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
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


def test_what_is_loaded_when_it_is_asked_for_is_listed() -> None:
    program = "import selfcodec, sys; assert not set(selfcodec.__all__) - set(dir(selfcodec)); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "selfcodec.api" not in done.stdout.split()


OPENINGS: dict[str, Callable[[Path], Any]] = {
    "text": Path.open,
    "text of a string": lambda path: io.StringIO("text"),
    "for writing": lambda path: path.with_name("out").open("wb"),
    "closed": lambda path: path.open("rb"),
}


@pytest.fixture(params=OPENINGS)
def unusable(request: pytest.FixtureRequest, photo: UInt8, tmp_path: Path) -> Iterator[Any]:
    """An open file that gives no bytes."""
    path = tmp_path / "a.png"
    Image.fromarray(photo).save(path)
    with OPENINGS[request.param](path) as file:
        if request.param == "closed":
            file.close()
        yield file


FUNCTIONS = [
    selfcodec.encode,
    selfcodec.decode,
    lambda source: selfcodec.encode_many([source]),
    lambda source: selfcodec.decode_many([source]),
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=("encode", "decode", "encode_many", "decode_many"))
def test_files_that_give_no_bytes_are_told_how_to_open_them(function: Callable[[Any], Any], unusable: Any) -> None:
    with pytest.raises(selfcodec.InputError, match=r"open it with 'rb'$") as caught:
        function(unusable)
    assert "\n" not in str(caught.value)
    assert getattr(unusable, "name", "") in str(caught.value)


@pytest.mark.parametrize("function", FUNCTIONS, ids=("encode", "decode", "encode_many", "decode_many"))
def test_paths_that_no_file_has(function: Callable[[Any], Any]) -> None:
    with pytest.raises(selfcodec.InputError, match=r"'a\\x00b': cannot be read"):
        function("a\0b")


def test_files_that_are_damaged_are_named(photo: UInt8, tmp_path: Path) -> None:
    path = tmp_path / "a.sv"
    path.write_bytes(b"no picture")
    with open(path, "rb") as file:
        for source in (path, str(path), file):
            with pytest.raises(selfcodec.FormatError, match=r"a\.sv: not an \.sv file") as caught:
                selfcodec.decode(source)
            assert caught.value.offset == 0
    with pytest.raises(selfcodec.FormatError, match=r"^file 0: .*a\.sv: not an \.sv file"):
        selfcodec.decode_many([path])
    with pytest.raises(selfcodec.FormatError, match=r"^not an \.sv file"):
        selfcodec.decode(b"no picture")


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
    with pytest.warns(selfcodec.SelfcodecWarning, match="colours look different"):
        data = selfcodec.encode(image, model="tiny", strip=True)
    assert "icc_profile" not in selfcodec.decode(data).info


def with_iptc(photo: UInt8) -> bytes:
    """A JPEG with data that nothing here keeps."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG")
    data, body = buffer.getvalue(), b"Photoshop 3.0\0" + bytes(9)
    return data[:2] + b"\xff\xed" + (2 + len(body)).to_bytes(2, "big") + body + data[2:]


@pytest.mark.usefixtures("tiny_model")
def test_what_is_lost_is_named(photo: UInt8, tmp_path: Path) -> None:
    path, deep = tmp_path / "a.jpg", photo.astype(np.uint16) * 257
    path.write_bytes(with_iptc(photo))
    with pytest.warns(selfcodec.SelfcodecWarning, match=r"a\.jpg: its JPEG segments APP13 are left out") as caught:
        selfcodec.encode(path, "rs2", "tiny")
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(selfcodec.SelfcodecWarning, match="^image: its 16 bits a sample are reduced to 8$"):
        selfcodec.encode(deep, "rs2", "tiny")
    selfcodec.encode(deep)  # loses nothing, and gives no warning
    with pytest.warns(selfcodec.SelfcodecWarning) as caught:
        selfcodec.encode_many([photo, deep, str(path)], "rs2", "tiny")
    lines = [str(warning.message) for warning in caught]
    assert lines[0] == "image 1: its 16 bits a sample are reduced to 8"
    assert lines[1].startswith(f"image 2: {path}: its JPEG segments")
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.usefixtures("tiny_model")
@pytest.mark.parametrize(
    ("mode", "setting", "line"),
    [
        ("lossless", {"quality": 30}, "the quality changes nothing in mode lossless of tiny"),
        ("cg", {"effort": 3}, "the effort changes nothing in mode cg of tiny"),
        ("cg", {"psnr": 1.0}, "the quality changes nothing in mode cg of tiny: files may keep to the target, but none"),
    ],
)
def test_settings_that_change_nothing_are_told_once(
    photo: UInt8, mode: str, setting: dict[str, Any], line: str
) -> None:
    for encode, images in ((selfcodec.encode, photo), (selfcodec.encode_many, [photo, photo])):
        with pytest.warns(selfcodec.SelfcodecWarning) as caught:
            encode(images, mode, "tiny", **setting)
        (warning,) = caught
        assert str(warning.message).startswith(line)
        assert warning.filename == __file__


def test_a_model_that_decoding_will_not_find_is_told(
    photo: UInt8, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SELFCODEC_MODELS")
    with pytest.warns(selfcodec.SelfcodecWarning, match="decoding will need this model's folder"):
        selfcodec.encode(photo, "rs1", Path(tiny_model.where).parent)


@pytest.mark.usefixtures("tiny_model")
def test_what_is_left_of_a_damaged_file_is_told(photo: UInt8, tmp_path: Path) -> None:
    path = tmp_path / "a.sv"
    data = selfcodec.encode(photo, "cr", "tiny")
    assert selfcodec.decode(data, allow_truncated=True).size == (96, 64)  # it is whole, and gives no warning
    path.write_bytes(data[:-9])
    for source, name in ((path, f"{path}: "), (data[:-9], "")):
        with pytest.warns(selfcodec.SelfcodecWarning) as caught:
            selfcodec.decode(source, allow_truncated=True, upto="rs1")
        (warning,) = caught
        assert str(warning.message).startswith(
            f"{name}cut short or damaged: only (u y1) is there, decoded up to rs1; no"
        )
        assert warning.filename == __file__
    with pytest.warns(selfcodec.SelfcodecWarning, match=r"^file 1: cut short .* no checksum vouches for it$"):
        selfcodec.decode_many([data, data[:-9]], allow_truncated=True)


@pytest.mark.usefixtures("tiny_model")
@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_an_image_stays_at_its_frame(format: str, loaded: bool) -> None:
    buffer, frames = io.BytesIO(), [Image.new("P", (8, 8), i) for i in range(4)]
    for frame in frames:
        frame.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200, 90, 90, 90])
    frames = frames if format in ("GIF", "TIFF") else [frame.convert("RGB") for frame in frames]
    frames[0].save(buffer, format, save_all=True, append_images=frames[1:])
    with Image.open(buffer) as image:
        image.seek(1)
        if loaded:
            image.load()
        with pytest.raises(selfcodec.InputError, match="holds 4 images"):
            selfcodec.encode(image)
        with pytest.warns(selfcodec.SelfcodecWarning, match="only the first is taken"):
            data = selfcodec.encode(image, first=True)
        assert image.tell() == 1
        shown = [selfcodec.decode(data), image.copy()]
        image.seek(2)
        shown.append(image)
        assert [np.argmax(np.asarray(own.convert("RGB"))[0, 0]) for own in shown] == [0, 1, 2]
