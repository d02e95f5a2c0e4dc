"""Pictures that are coded together have the files that each has alone."""

from __future__ import annotations

import numpy as np
import pytest
import variants
from PIL import Image

from selfcodec import decoding
from selfcodec.arrays import UInt8
from selfcodec.decoding import decode_file, decode_files
from selfcodec.encoding import encode_picture, encode_pictures
from selfcodec.errors import FormatError, InputError
from selfcodec.images import from_image
from selfcodec.modes import Mode
from selfcodec.networks.integer import Runtime
from selfcodec.settings import Settings
from selfcodec.zoo import Model

pytest_plugins = ("model_fixtures",)

SIZES = ((16, 16), (16, 16), (40, 33), (1, 1), (7, 70), (16, 16))
KINDS = ("RGB", "L", "RGBA", "RGB", "LA", "1")


def images(photo: UInt8) -> list[Image.Image]:
    made = [variants.make_image(photo, kind, *size) for kind, size in zip(KINDS, SIZES, strict=True)]
    made[0].info["dpi"] = (72, 72)
    return made


@pytest.mark.parametrize("mode", [Mode.LOSSLESS, Mode.RS2, Mode.CR])
@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.parametrize("seed", [None, 7])
def test_files_are_the_same_alone_and_together(
    models: dict[str, Model], photo: UInt8, mode: Mode, fallback: bool, seed: int | None
) -> None:
    model, settings = models["tiny"], Settings(mode, seed=None if mode is Mode.LOSSLESS else seed)
    pictures = [from_image(image) for image in images(photo)]
    alone = [encode_picture(picture, settings, model, fallback=fallback) for picture in pictures]
    for batch in (1, 3, 64):
        together = encode_pictures(pictures, settings, model, Runtime(batch=batch), fallback=fallback)
        assert [made.data for made in together] == [made.data for made in alone]
        assert [made.model_bits for made in together] == [pytest.approx(made.model_bits) for made in alone]
    files = [made.data for made in alone]
    decoded = decode_files(files, model=model)
    for image, data in zip(decoded, files, strict=True):
        single = decode_file(data, model=model)
        assert (image.mode, image.size, image.info) == (single.mode, single.size, single.info)
        assert np.array_equal(np.asarray(image), np.asarray(single))


def test_a_model_is_looked_for_once(models: dict[str, Model], photo: UInt8, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = from_image(variants.make_image(photo, "RGB", 16, 16))
    files = 5 * [encode_picture(picture, None, models["tiny"], fallback=False).data]
    looked: list[bytes] = []

    def counted(model_id: bytes) -> Model:
        looked.append(model_id)
        return models["tiny"]

    monkeypatch.setattr(decoding, "model_by_id", counted)
    decode_files(files)
    assert len(looked) <= 2  # to open the first one and to decode it


def test_files_of_several_models_modes_and_lengths_are_decoded_together(models: dict[str, Model], photo: UInt8) -> None:
    picture = from_image(variants.make_image(photo, "RGB", 24, 40))
    whole = encode_picture(picture, None, models["tiny"], fallback=False).data
    files = [
        whole,
        encode_picture(picture, Settings(Mode.RS1, quality=20), models["tiny"], fallback=False).data,
        encode_picture(picture, None, models["deep"], fallback=False).data,
        whole[: len(whole) - 40],
    ]
    decoded = decode_files(files, allow_truncated=True)
    for image, data in zip(decoded, files, strict=True):
        assert variants.same(image, decode_file(data, allow_truncated=True))
    upto = decode_files(files[:1], upto=Mode.RS1)
    assert variants.same(upto[0], decode_file(whole, upto=Mode.RS1))


def test_one_that_is_wrong_ends_all_of_them(models: dict[str, Model], photo: UInt8) -> None:
    picture = from_image(variants.make_image(photo, "RGB", 16, 16))
    data = encode_picture(picture, None, models["tiny"], fallback=False).data
    with pytest.raises(FormatError):
        decode_files([data, data[:-4]])
    with pytest.raises(InputError, match="no y"):
        encode_pictures([picture, picture], Settings(Mode.CR), models["vae"])


def test_none_are_none() -> None:
    assert decode_files([]) == []
    assert encode_pictures([]) == []
