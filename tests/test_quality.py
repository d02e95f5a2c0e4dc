"""Quality rises: more of it never costs fidelity or saves bytes; and no latent is clipped, however far away it lies."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import variants
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data as photographs

from selfcodec.arrays import UInt8
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.decoding import decode_file
from selfcodec.encoding import encode_picture
from selfcodec.images import from_image
from selfcodec.likelihoods.latent import latent_mixture
from selfcodec.modes import Mode, grid_qualities, has_level, sent_variables, tuned_latents
from selfcodec.rate_control import psnr
from selfcodec.settings import Settings
from selfcodec.zoo import Model, available_models, find_model

pytest_plugins = ("model_fixtures",)

QUALITIES = (10, 25, 50, 70, 85, 100)
PROMISED_FROM = 10
"""Below this quality latents are all but gone, and what little is left may lead a decoder astray."""
SLACK_DB = 0.05
"""A decoder that has all it can use gains nothing from finer latents, and which way it wavers is a matter of chance; so
much for each y, since each is made by a decoder of its own."""
SLACK_COLOURS_DB = 0.3
"""A sketch's `rs1` sends no colours, which most of its error is in: what takes their place wavers by chance as well."""
SLACK_BYTES = 8
"""A word of four bytes that is not full, and the three of the header that are left out at quality 50."""
RISE_DB, RISE_BELOW_DB = 3, 0.9
"""PSNR rises at least so much over all qualities; the latter where y are sent of which there are several."""


def scaled() -> Iterator[tuple[str, Mode, int]]:
    """Every model, mode and level in which the quality scales anything."""
    for model in map(find_model, available_models()):
        for mode in model.modes:
            for level in range(1, model.levels + 1) if has_level(mode) else (0,):
                if model.tuned(sent_variables(mode, model.levels, level)):
                    yield model.spec.name, mode, level


def crops() -> dict[str, UInt8]:
    """Pieces of photographs, each (96, 128, 3): skin and cloth, fur, and a cup."""
    sources = {"astronaut": (100, 100), "chelsea": (60, 100), "coffee": (150, 200)}
    return {name: getattr(photographs, name)()[t : t + 96, left : left + 128] for name, (t, left) in sources.items()}


@pytest.mark.parametrize("image", crops())
@pytest.mark.parametrize(("name", "mode", "level"), list(scaled()))
def test_bytes_and_psnr_never_fall_as_quality_rises(name: str, mode: Mode, level: int, image: str) -> None:
    model, pixels = find_model(name), crops()[image]
    several, qualities = model.levels > 1, QUALITIES
    alive = several or name in ("cifar10-downscale", "photo-lossy")  # others' latents are idle: nothing changes
    if several:
        pixels, qualities = pixels[:64], (1, *QUALITIES)
    elif not alive:
        pixels, qualities = pixels[:48, :64], QUALITIES[::2]
    picture = from_image(Image.fromarray(pixels))
    made = [
        encode_picture(picture, Settings(mode, level or None, q), model, verify=False, expect=True, fallback=False)
        for q in qualities
    ]
    slack = SLACK_COLOURS_DB if (name, mode) == ("celeba-sketch", Mode.RS1) else SLACK_DB * max(1, model.levels)
    for quality, (worse, better) in zip(qualities, pairwise(made), strict=False):
        assert len(better.data) >= len(worse.data) - SLACK_BYTES
        if quality >= PROMISED_FROM:
            assert psnr(picture, better) >= psnr(picture, worse) - slack
    if alive:
        rise = RISE_BELOW_DB if several and level else RISE_DB
        assert psnr(picture, made[-1]) > psnr(picture, made[0]) + rise
        latents = model.tuned(sent_variables(mode, model.levels, level))
        coarse, fine = (sum(one.model_bits[name] for name in latents) for one in (made[0], made[-1]))
        assert fine > 1.5 * coarse


@pytest.mark.parametrize("image", crops())
@pytest.mark.parametrize("name", [name for name in available_models() if find_model(name).levels > 1])
def test_the_coarsest_latents_of_several_y_show_no_less_than_none(name: str, image: str) -> None:
    """A mode that sends z after what another one sends is never the worse for it: `rs2` than `rs1`, `cr` than `cg`."""
    model, picture = find_model(name), from_image(Image.fromarray(crops()[image][:64, :64]))
    u = model.qualities(("u", *(f"z{k}" for k in range(model.levels, 0, -1))), 1)["u"]
    pairs = [(Settings(Mode.RS1, quality=u), Settings(Mode.RS2, quality=1))]
    pairs += [(Settings(Mode.CG, k), Settings(Mode.CR, k, 1)) for k in range(1, model.levels + 1)]
    for pair in pairs:
        none, coarse = (
            psnr(picture, encode_picture(picture, settings, model, verify=False, expect=True, fallback=False))
            for settings in pair
        )
        assert coarse >= none - SLACK_DB * model.levels


@pytest.mark.usefixtures("always_the_model")
@pytest.mark.parametrize("mode", variants.LOSSY)
@pytest.mark.parametrize("name", variants.NAMES)
def test_latents_far_away_come_back_at_every_quality(
    models: dict[str, Model], photo: UInt8, name: str, mode: Mode
) -> None:
    """Of untrained models, whose latents lie anywhere: the decoder's picture is the one that the encoder expects."""
    picture = from_image(variants.make_image(photo, "RGB", 40, 24))
    if mode not in models[name].modes:
        return
    for quality in (1, 50, 100):
        encoded = encode_picture(picture, Settings(mode, quality=quality), models[name], verify=False, expect=True)
        assert (np.asarray(decode_file(encoded.data)) == encoded.expected).all()


@given(
    seed=st.integers(0, 2**32),
    far=st.integers(0, 27),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9)),
)
@settings(max_examples=80, deadline=None)
def test_any_grid_point_comes_back(seed: int, far: int, shape: tuple[int, int]) -> None:
    """At up to 2**27 beyond the window of 256, some images with escapes and some without."""
    rng = np.random.default_rng(seed)
    zero = np.zeros((*shape, 1), np.int64)
    mixture, _ = latent_mixture(zero, zero, zero, np.full(shape, 4096))
    numbers = 128 + rng.integers(-(2**far), 2**far + 1, shape) * rng.integers(0, 2, (shape[0], 1))
    encoder = Encoder(shape[0])
    encoder.encode(mixture, numbers)
    encoder.mark()
    decoder = Decoder([stream.words for stream in encoder.finish()])
    assert (decoder.decode(mixture) == numbers).all()
    decoder.finish()


def test_an_escape_takes_few_bits() -> None:
    """Two for 0 and 255 themselves and up to 15 beyond, more than the distribution's own; four or five a digit more."""
    zero, widths = np.zeros((1, 1, 1), np.int64), np.full((1, 1), 4096)
    costs = []
    for number in (254, 255, 270, 271, 128 + 2**20):
        mixture, _ = latent_mixture(zero, zero, zero + 4095, widths)
        encoder = Encoder(1)
        encoder.encode(mixture, np.array([[number]]))
        encoder.mark()
        costs.append(encoder.finish()[0].bits[0])
    inside, edge, near, further, far = costs
    assert edge - inside < 6
    assert near == pytest.approx(edge)
    assert further == pytest.approx(near + 5, abs=0.01)
    assert far < edge + 5 * 5


@pytest.mark.parametrize(
    ("mode", "level", "transforms", "tuned"),
    [
        (Mode.RS1, 0, 2, ("u",)),
        (Mode.RS2, 0, 2, ("u", "z2", "z1")),
        (Mode.CG, 2, 2, ()),
        (Mode.CG, 1, 2, ()),
        (Mode.CR, 2, 2, ("z2", "z1")),
        (Mode.CR, 1, 2, ("z1",)),
        (Mode.LOSSLESS, 0, 2, ()),
        (Mode.RS1, 0, 0, ("u",)),
        (Mode.LOSSLESS, 0, 0, ()),
    ],
)
def test_quality_is_of_latents_whose_picture_is_not_sent(
    mode: Mode, level: int, transforms: int, tuned: tuple[str, ...]
) -> None:
    assert tuned_latents(sent_variables(mode, transforms, level), transforms) == tuned


@pytest.mark.parametrize(("quality", "above", "top"), [(1, 38, 47), (34, 46, 49), (47, 50, 50), (50, 50, 50)])
def test_upper_latents_of_several_y_become_a_quarter_as_coarse(quality: int, above: int, top: int) -> None:
    assert grid_qualities(("u", "z2", "z1"), quality, 2) == {"u": top, "z2": above, "z1": quality}
    assert grid_qualities(("z2", "z1"), quality, 2) == {"z2": above, "z1": quality}
    assert grid_qualities(("u",), quality, 2) == {"u": quality}
    for tuned, level in ((("u", "z1"), quality), (("u", "z2", "z1"), 101 - quality)):
        assert grid_qualities(tuned, level, len(tuned) - 1) == dict.fromkeys(tuned, level)


@pytest.mark.usefixtures("always_the_model")
@pytest.mark.parametrize("mode", variants.LOSSY)
@pytest.mark.parametrize("name", ["tiny", "deep", "context"])
def test_a_file_with_a_seed_is_the_one_that_decoders_draw(
    models: dict[str, Model], photo: UInt8, name: str, mode: Mode
) -> None:
    """Latents that follow a drawn picture are coded given that picture."""
    picture = from_image(variants.make_image(photo, "RGB", 40, 24))
    encode_picture(picture, Settings(mode, seed=5), models[name], verify=True)
