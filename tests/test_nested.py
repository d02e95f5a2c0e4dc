"""A file holds shallower files: cutting, truncation; and what qualities and seeds do to it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import variants
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.cli.info import describe_file
from selfcodec.coding.encoder import Encoder
from selfcodec.decoding import cut_file, decode_file, decode_planes, open_file
from selfcodec.errors import FormatError, InputError
from selfcodec.generation import sample_images
from selfcodec.images import from_image
from selfcodec.modes import Mode, default_level
from selfcodec.networks.integer import Runtime
from selfcodec.walk import Batch, Means, Sent, walk
from selfcodec.zoo import Model

pytest_plugins = ("model_fixtures",)


@pytest.mark.usefixtures("always_the_model")
@pytest.mark.parametrize("name", variants.NAMES)
def test_a_cut_file_decodes_to_what_its_mode_gives(models: dict[str, Model], photo: UInt8, name: str) -> None:
    model = models[name]
    for image in (variants.make_image(photo, "RGB", 33, 18), variants.make_image(photo, "LA", 17, 9)):
        whole = variants.encode(image, model).data
        kept = [(Mode.RS1, 0)] + [(Mode.CG, level) for level in range(1, model.levels + 1)]
        kept += [(Mode.CR, 1)] if model.levels else []
        for mode, level in kept:
            direct = variants.encode(image, model, mode, level=level or None).data
            short = cut_file(whole, mode, level)
            header = open_file(short).header
            assert (header.mode, header.level) == (mode, level)
            assert variants.same(decode_file(short), decode_file(direct))
            # The last section of the longer file may hold a few words more, since streams are not ended twice.
            assert len(direct) - 1 <= len(short) <= len(direct) + 12 * len(open_file(short).streams[0])
            if level == default_level(mode, model.levels):
                assert variants.same(decode_file(whole, upto=mode), decode_file(direct))
                assert cut_file(short, mode) == short
        assert variants.same(decode_file(whole, upto=Mode.LOSSLESS), image)
        assert cut_file(whole, Mode.LOSSLESS) == whole


@pytest.mark.usefixtures("always_the_model")
def test_cutting_twice_is_cutting_once(models: dict[str, Model], photo: UInt8) -> None:
    whole = variants.encode(variants.make_image(photo, "RGB", 64, 48), models["deep"]).data
    steps = [(Mode.CR, 1), (Mode.CG, 1), (Mode.CG, 2), (Mode.RS1, 0)]
    previous = whole
    for mode, level in steps:
        previous = cut_file(previous, mode, level)
        assert previous == cut_file(whole, mode, level)


@pytest.mark.usefixtures("always_the_model")
@pytest.mark.parametrize("quality", [20, 50, 80])
@pytest.mark.parametrize("name", variants.NAMES)
def test_cut_files_have_the_quality_that_their_latents_have(
    models: dict[str, Model], photo: UInt8, name: str, quality: int
) -> None:
    """That of the longer file, unless u is finer there, since several z follow."""
    image, model = variants.make_image(photo, "RGB", 33, 18), models[name]
    whole = variants.encode(image, model, Mode.RS2, quality=quality).data
    own = model.qualities(open_file(whole).variables, quality)["u"]
    direct = variants.encode(image, model, Mode.RS1, quality=own).data
    short = cut_file(whole, Mode.RS1)
    assert open_file(short).header == open_file(direct).header
    assert describe_file(whole, "whole")["prefixes"][0]["bytes"] == len(short)
    assert variants.same(decode_file(short), decode_file(direct))
    assert variants.same(decode_file(whole, upto=Mode.RS1), decode_file(direct))


@pytest.mark.usefixtures("always_the_model")
def test_what_is_no_prefix_cannot_be_cut_out(models: dict[str, Model], photo: UInt8) -> None:
    image = variants.make_image(photo, "RGB", 16, 16)
    whole, preview = variants.encode(image, models["deep"]).data, variants.encode(image, models["deep"], Mode.RS1).data
    impossible = ((whole, Mode.RS2, 0), (whole, Mode.CR, 2), (preview, Mode.CG, 2), (preview, Mode.LOSSLESS, 0))
    for data, mode, level in impossible:
        with pytest.raises(InputError, match="prefix"):
            cut_file(data, mode, level)
    with pytest.raises(InputError, match="prefix"):
        decode_file(preview, upto=Mode.LOSSLESS)


def test_stored_images_cannot_be_cut(models: dict[str, Model]) -> None:
    data = variants.encode(Image.new("P", (3, 3)), models["tiny"]).data
    assert open_file(data).header.mode is Mode.STORED
    with pytest.raises(InputError, match="stored whole"):
        cut_file(data, Mode.RS1)


@pytest.mark.usefixtures("always_the_model")
@pytest.mark.parametrize("mode", [Mode.LOSSLESS, Mode.RS2])
def test_every_truncation_gives_a_prefix_or_an_error(models: dict[str, Model], photo: UInt8, mode: Mode) -> None:
    image = variants.make_image(photo, "RGB", *((7, 9) if mode is Mode.LOSSLESS else (24, 17)))
    data = variants.encode(image, models["tiny"], mode).data
    container = open_file(data)
    prefixes = [
        decode_planes(
            [replace(container, variables=container.variables[:n], streams=container.streams[:n], truncated=True)],
            models["tiny"],
        )[0].tobytes()
        for n in range(1, len(container.variables))
    ]
    assert len(set(prefixes)) == len(prefixes)
    seen = []
    for count in range(len(data)):
        with pytest.raises(FormatError):
            decode_file(data[:count])
        try:
            decoded = decode_file(data[:count], allow_truncated=True)
        except FormatError:
            assert not seen, "a longer file gave less"
            continue
        assert (decoded.mode, decoded.size) == (image.mode, image.size)
        seen.append(prefixes.index(decoded.tobytes()))
    assert seen == sorted(seen)
    assert set(seen) == set(range(len(prefixes)))


@pytest.mark.usefixtures("always_the_model")
def test_truncated_files_of_many_tiles_keep_whole_sections(models: dict[str, Model], photo: UInt8) -> None:
    image = variants.make_image(photo, "RGB", 64, 33)
    data = variants.encode(image, models["tiled"]).data
    images = {decode_file(cut_file(data, mode)).tobytes() for mode in (Mode.RS1, Mode.CG, Mode.CR)}
    found = {decode_file(data[:count], allow_truncated=True).tobytes() for count in range(len(data) - 1, 400, -211)}
    assert found <= images
    assert decode_file(data[:-1], allow_truncated=True).tobytes() == decode_file(cut_file(data, Mode.CR)).tobytes()


# Quality and seeds.


@pytest.mark.parametrize("mode", [Mode.RS1, Mode.RS2])
@pytest.mark.parametrize("name", ["deep", "sketch", "bicubic"])
def test_quality_buys_bytes(models: dict[str, Model], photo: UInt8, name: str, mode: Mode) -> None:
    image = variants.make_image(photo, "RGB", 96, 64)
    sizes = [len(variants.encode(image, models[name], mode, quality=q).data) for q in (1, 20, 38, 50, 63, 75, 88, 100)]
    assert all(finer >= coarser - 4 for coarser, finer in pairwise(sizes))  # words of 4 bytes
    assert sizes[-1] > 1.5 * sizes[0]


def test_quality_makes_latents_finer(models: dict[str, Model], photo: UInt8) -> None:
    """A grid 12.5 steps of quality finer has half the distance between its points."""
    picture = from_image(variants.make_image(photo, "RGB", 64, 64))
    latents = {}
    for quality in (25, 50, 75):
        batch = Batch(models["tiny"], (64, 64), 1, False, Runtime())
        truth = batch.infer(picture.planes[None], ["u", "z1"])
        sent = Sent(Encoder(1), truth, {"u": quality, "z1": quality})
        walk([batch], {"u": sent, "y1": Means(), "z1": sent})
        latents[quality] = np.abs(batch.values["z1"] - truth["z1"]).mean()
    assert latents[75] < 0.4 * latents[50] < 0.4 * 0.4 * latents[25] * 1.5


@pytest.mark.usefixtures("always_the_model")
@pytest.mark.parametrize("mode", variants.LOSSY)
def test_seeds(models: dict[str, Model], photo: UInt8, mode: Mode) -> None:
    image = variants.make_image(photo, "RGB", 34, 20)
    for name in ("tiled", "deep"):
        plain = variants.encode(image, models[name], mode).data
        first, again, other = (variants.encode(image, models[name], mode, seed=seed).data for seed in (1, 1, 2**32 - 1))
        assert first == again
        assert open_file(first).header.seed == 1
        assert open_file(plain).header.seed is None
        one, two, three = (decode_file(data) for data in (first, other, plain))
        assert variants.same(one, decode_file(first, runtime=Runtime(batch=1)))
        assert not variants.same(one, two)
        assert not variants.same(one, three)


@pytest.mark.usefixtures("always_the_model")
def test_seeds_mean_nothing_to_lossless_files_and_must_fit(models: dict[str, Model], photo: UInt8) -> None:
    image = variants.make_image(photo, "RGB", 16, 16)
    assert variants.encode(image, models["tiny"], seed=3).data == variants.encode(image, models["tiny"]).data
    for seed in (-1, 2**32):
        with pytest.raises(InputError, match="seed"):
            variants.encode(image, models["tiny"], Mode.RS1, seed=seed)


@pytest.mark.usefixtures("always_the_model")
def test_every_tile_is_drawn_on_its_own(models: dict[str, Model]) -> None:
    """Also where all tiles hold the same."""
    flat = Image.new("RGB", (64, 32), (90, 120, 150))
    drawn = variants.samples(decode_file(variants.encode(flat, models["tiled"], Mode.CG, seed=1).data))
    plain = variants.samples(decode_file(variants.encode(flat, models["tiled"], Mode.CG).data))
    assert (plain[:, :32] == plain[:, 32:]).all()
    assert (drawn[:, :32] != drawn[:, 32:]).mean() > 0.5


def test_quality_does_not_touch_latents_that_are_drawn(models: dict[str, Model]) -> None:
    image = Image.new("RGB", (16, 16), (90, 120, 150))
    files = [variants.encode(image, models["tiny"], Mode.CG, quality=q, seed=3).data for q in (1, 50, 100)]
    assert files[0] == files[1] == files[2]  # y is sent, so that nothing is left to scale


def test_drawn_images_depend_on_their_seed_alone(models: dict[str, Model]) -> None:
    for name in ("tiny", "deep", "sketch"):
        images = sample_images(models[name], 4, (24, 17), seed=5)
        assert images.shape == (4, 24, 17, 3)
        assert images.dtype == np.uint8
        assert (sample_images(models[name], 1, (24, 17), seed=6)[0] == images[1]).all()
        assert (sample_images(models[name], 4, (24, 17), 5, Runtime(batch=3)) == images).all()
        assert len({image.tobytes() for image in images}) == 4
