"""Whole images: lossless round trips of every kind, lossy ones, and the errors on the way."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import variants
from PIL import Image
from skimage import data as photographs

from selfcodec import encoding
from selfcodec.arrays import UInt8
from selfcodec.decoding import cut_file, decode_file, open_file
from selfcodec.encoding import encode_picture
from selfcodec.errors import FormatError, InputError, ModelError, SelfcodecError
from selfcodec.format import sidedata
from selfcodec.format.container import pack
from selfcodec.format.stored import Quick, pack_stored
from selfcodec.images import from_image
from selfcodec.images import picture as picture_module
from selfcodec.modes import Mode, sent_variables
from selfcodec.networks.integer import Runtime
from selfcodec.settings import Settings, usual_effort
from selfcodec.zoo import MANIFEST, WEIGHTS, Model, find_model, model_by_id, model_for

pytest_plugins = ("model_fixtures",)

MODES = ("L", "LA", "RGB", "RGBA", "P", "1")
SIZES = ((1, 1), (1, 1000), (31, 33), (64, 48))
"""(width, height)."""


@pytest.mark.parametrize("forced", [True, False])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_lossless_comes_back(
    models: dict[str, Model],
    photo: UInt8,
    mode: str,
    size: tuple[int, int],
    forced: bool,
    request: pytest.FixtureRequest,
) -> None:
    if forced:
        request.getfixturevalue("always_the_model")
    image = variants.make_image(photo, mode, *size)
    encoded = variants.encode(image, models["tiny"])
    if forced and mode not in ("P", "1"):
        assert encoded.mode is Mode.LOSSLESS
    decoded = decode_file(encoded.data)
    assert variants.same(decoded, image)
    assert decoded.tobytes() == image.tobytes()


@pytest.mark.usefixtures("always_the_model")
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (31, 33), (64, 48)])
@pytest.mark.parametrize("name", [name for name in variants.NAMES if name != "tiny"])
def test_lossless_comes_back_from_every_model(
    models: dict[str, Model], photo: UInt8, name: str, size: tuple[int, int]
) -> None:
    for mode in ("RGB", "L"):
        image = variants.make_image(photo, mode, *size)
        encoded = variants.encode(image, models[name])
        assert encoded.mode is Mode.LOSSLESS
        assert variants.same(decode_file(encoded.data), image)


@pytest.mark.usefixtures("always_the_model")
@pytest.mark.parametrize("size", [(65, 40), (32, 33), (33, 1)])
def test_images_of_many_tiles_come_back(models: dict[str, Model], photo: UInt8, size: tuple[int, int]) -> None:
    model = models["tiled"]
    image = variants.make_image(photo, "RGB", *size)
    data = variants.encode(image, model).data
    tiles = -(-size[0] // 32) * -(-size[1] // 32)
    assert len(open_file(data).streams[0]) == tiles
    assert variants.same(decode_file(data), image)
    for runtime in (Runtime(batch=1), Runtime(batch=2), Runtime(window=8)):
        again = encode_picture(from_image(image), None, model, runtime, verify=False)
        assert again.data == data
        assert variants.same(decode_file(data, runtime=runtime), image)


@pytest.mark.usefixtures("always_the_model")
@pytest.mark.parametrize("lossy", variants.LOSSY)
@pytest.mark.parametrize("mode", MODES)
def test_lossy_modes_give_an_image_of_the_right_size_and_mode(
    models: dict[str, Model], photo: UInt8, mode: str, lossy: Mode
) -> None:
    for size in ((1, 1), (31, 33)):
        image = variants.make_image(photo, mode, *size)
        encoded = variants.encode(image, models["tiny"], lossy)
        decoded = decode_file(encoded.data)
        if encoded.mode is Mode.STORED and mode in ("P", "1"):
            assert variants.same(decoded, image)
            continue
        assert encoded.mode is lossy
        assert decoded.size == image.size
        assert decoded.mode == {"P": "RGB", "1": "L"}.get(mode, mode)
        if mode in ("LA", "RGBA"):
            assert decoded.getchannel("A").tobytes() == image.getchannel("A").tobytes()


@pytest.mark.usefixtures("always_the_model")
@pytest.mark.parametrize("name", variants.NAMES)
def test_lossy_modes_of_every_model(models: dict[str, Model], photo: UInt8, name: str) -> None:
    model, image = models[name], variants.make_image(photo, "RGB", 41, 38)
    for mode in variants.LOSSY:
        levels = range(1, model.levels + 1) if mode in (Mode.CG, Mode.CR) else (0,)
        for level in levels:
            encoded = variants.encode(image, model, mode, level=level or None)
            assert tuple(encoded.model_bits) == sent_variables(mode, model.levels, level)
            decoded = decode_file(encoded.data)
            assert (decoded.mode, decoded.size) == ("RGB", image.size)


@pytest.mark.usefixtures("always_the_model")
def test_deeper_modes_come_closer(models: dict[str, Model], photo: UInt8) -> None:
    """What y says of x is worth more than what the untrained latents say."""
    image = variants.make_image(photo, "RGB", 96, 64)
    decoded = {mode: decode_file(variants.encode(image, models["tiny"], mode).data) for mode in variants.LOSSY}
    error = {mode: np.abs(variants.samples(decoded[mode]) - variants.samples(image)).mean() for mode in variants.LOSSY}
    assert error[Mode.CG] < 0.5 * error[Mode.RS1]
    assert error[Mode.CR] < 0.5 * error[Mode.RS2]


def test_metadata_and_alpha_travel_with_coded_images(models: dict[str, Model], photo: UInt8) -> None:
    image = variants.make_image(photo, "RGBA", 64, 64)
    image.info["icc_profile"] = b"profile" * 20
    for mode in (Mode.LOSSLESS, Mode.CR):
        decoded = decode_file(variants.encode(image, models["tiny"], mode).data)
        assert decoded.info["icc_profile"] == b"profile" * 20
        assert decoded.getchannel("A").tobytes() == image.getchannel("A").tobytes()


# Errors.


@pytest.mark.usefixtures("always_the_model")
def test_the_file_s_model_is_used_and_no_other(
    models: dict[str, Model], photo: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = variants.make_image(photo, "RGB", 16, 16)
    data = variants.encode(image, models["deep"]).data
    assert variants.same(decode_file(data, model=models["tiny"]), image)
    container = open_file(data)
    stranger = pack(replace(container, header=replace(container.header, model_id=bytes.fromhex("01020304"))))
    for known in (None, models["tiny"], models["deep"]):
        # The file needs the stranger's number of sections; asking for the model comes before the checksum.
        with pytest.raises(ModelError, match="01020304"):
            decode_file(stranger, model=known)
    with pytest.raises(ModelError, match="01020304"):
        cut_file(stranger, Mode.RS1)


@pytest.mark.usefixtures("always_the_model")
def test_a_model_that_is_not_installed_codes_and_decodes_where_it_is_given(
    models: dict[str, Model], photo: UInt8, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SELFCODEC_MODELS", str(tmp_path))
    image = variants.make_image(photo, "RGB", 20, 20)
    encoded = encode_picture(from_image(image), None, models["deep"], verify=True)
    assert variants.same(decode_file(encoded.data, model=models["deep"]), image)
    with pytest.raises(ModelError, match="not installed"):
        decode_file(encoded.data)


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_quality_out_of_range(models: dict[str, Model], photo: UInt8, quality: int) -> None:
    with pytest.raises(InputError, match=str(quality)):
        variants.encode(variants.make_image(photo, "RGB", 8, 8), models["tiny"], Mode.RS2, quality=quality)


@pytest.mark.parametrize(
    ("name", "mode", "level"),
    [
        ("tiny", Mode.CG, 2),
        ("tiny", Mode.CR, 0),
        ("tiny", Mode.RS1, 1),
        ("deep", Mode.CG, 3),
        ("deep", Mode.LOSSLESS, 1),
        ("vae", Mode.CG, 1),
    ],
)
def test_level_out_of_range(models: dict[str, Model], photo: UInt8, name: str, mode: Mode, level: int) -> None:
    with pytest.raises(InputError):
        variants.encode(variants.make_image(photo, "RGB", 8, 8), models[name], mode, level=level)


@pytest.mark.usefixtures("always_the_model")
def test_conditional_modes_need_a_transformation(models: dict[str, Model], photo: UInt8) -> None:
    for mode in (Mode.CG, Mode.CR):
        with pytest.raises(InputError, match="no y"):
            variants.encode(variants.make_image(photo, "RGB", 8, 8), models["vae"], mode)


@pytest.mark.usefixtures("always_the_model")
def test_verification_notices_a_file_that_decodes_to_something_else(
    models: dict[str, Model], photo: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = from_image(variants.make_image(photo, "RGB", 16, 16))
    encode_picture(picture, None, models["tiny"], verify=True)
    decode_planes = encoding.decode_planes

    def wrong(*args: object) -> list[UInt8]:
        (planes,) = decode_planes(*args)  # type: ignore[arg-type]
        planes[3, 3, 1] ^= 1
        return [planes]

    monkeypatch.setattr(encoding, "decode_planes", wrong)
    encode_picture(picture, None, models["tiny"], verify=False)
    with pytest.raises(SelfcodecError, match="does not decode to its image"):
        encode_picture(picture, None, models["tiny"], verify=True)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("lossy", [Mode.RS1, Mode.LOSSLESS])
@pytest.mark.usefixtures("always_the_model")
def test_verification_looks_at_alpha(
    models: dict[str, Model], photo: UInt8, mode: str, lossy: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = from_image(variants.make_image(photo, mode, 16, 16))
    assert picture.alpha is not None
    wrong = sidedata.pack_alpha(picture.alpha ^ 1)
    monkeypatch.setattr(sidedata, "pack_alpha", lambda alpha: wrong)
    with pytest.raises(SelfcodecError, match="does not decode to its image"):
        encode_picture(picture, Settings(lossy), models["tiny"])


@pytest.mark.parametrize("mode", ["P", "1", "RGB"])
def test_verification_looks_at_stored_images(
    models: dict[str, Model], photo: UInt8, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = variants.make_image(photo, mode, 3, 3)
    other = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    other.putpixel((0, 0), (1, 2, 3) if mode == "RGB" else other.getpixel((0, 0)) ^ (255 if mode == "1" else 1))
    wrong = pack_stored(other)
    monkeypatch.setattr(picture_module, "pack_stored", lambda image: wrong)
    with pytest.raises(SelfcodecError, match="does not decode to its image"):
        encode_picture(from_image(image), None, models["tiny"])


@pytest.mark.parametrize(
    ("mode", "effort", "name"),
    [
        (Mode.LOSSLESS, 0, "photo-fast"),
        (Mode.LOSSLESS, 1, "photo-fast"),
        (Mode.LOSSLESS, usual_effort(Mode.LOSSLESS), "photo"),
        (Mode.LOSSLESS, 9, "photo"),
        (Mode.RS2, usual_effort(Mode.RS2), "photo-lossy"),
        (Mode.CG, 9, "photo-lossy"),
    ],
)
def test_the_effort_chooses_a_model_where_none_is_named(mode: Mode, effort: int, name: str) -> None:
    assert model_for(Settings(mode, effort=effort)).spec.name == name
    assert model_for(Settings(mode, effort=effort), "cifar10").spec.name == "cifar10"


def test_a_model_is_found_whatever_stands_beside_it(
    tiny_model: Model, tiny_model_dir: Path, models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another model under its name, in an earlier folder, and damaged neighbours."""
    for name, manifest in (("broken", "{"), ("worse", "[]"), ("bare", None)):
        (tmp_path / name).mkdir()
        (tmp_path / name / WEIGHTS).write_bytes(b"")
        if manifest is not None:
            (tmp_path / name / MANIFEST).write_text(manifest, encoding="utf-8")
    shutil.copytree(Path(models["vae"].where).parent, tmp_path / "tiny")
    monkeypatch.setenv("SELFCODEC_MODELS", os.pathsep.join((str(tmp_path), str(tiny_model_dir))))
    assert find_model("tiny").id == models["vae"].id
    assert model_by_id(tiny_model.id).digest == tiny_model.digest


@pytest.mark.usefixtures("always_the_model")
def test_streams_must_be_as_many_as_tiles(models: dict[str, Model], photo: UInt8) -> None:
    container = open_file(variants.encode(variants.make_image(photo, "RGB", 40, 20), models["tiled"]).data)
    assert len(container.streams[0]) == 2
    for streams in (
        tuple(section[:1] for section in container.streams),
        tuple((*section, section[0]) for section in container.streams),
    ):
        with pytest.raises(FormatError, match="2"):
            decode_file(pack(replace(container, streams=streams)))


@pytest.mark.usefixtures("always_the_model")
def test_words_beyond_the_image_are_refused(models: dict[str, Model], photo: UInt8) -> None:
    container = open_file(variants.encode(variants.make_image(photo, "RGB", 20, 20), models["tiny"]).data)
    *sections, (last,) = container.streams
    longer = pack(replace(container, streams=(*sections, (np.concatenate([last, last[:1]]),))))
    with pytest.raises(FormatError, match="does not end"):
        decode_file(longer)


def test_storing_a_photograph_is_measured_where_it_is_likely_alone() -> None:
    picture = from_image(Image.fromarray(photographs.astronaut()[:320, :320]))
    quick = picture.quick_size
    assert quick is not None
    assert not picture.stores_within(quick.sure - 1)
    assert not picture.stores_within(quick.size - 1, quickly=True)
    assert "stored_size" not in vars(picture)
    assert picture.stores_within(1 << 30)
    assert picture.stored_size < 1 << 30


def test_models_without_efforts_store_at_effort_0_as_well(models: dict[str, Model], photo: UInt8) -> None:
    """A quick WebP alone, which is larger than the best, saves time at effort 0 of models that have others."""
    picture = from_image(variants.make_image(photo, "RGB", 20, 20))
    vars(picture)["quick_size"] = Quick(1 << 30, 0)  # as if the quick one were larger than the file, the best not
    assert encode_picture(picture, Settings(effort=0), models["tiny"]).mode is Mode.STORED
