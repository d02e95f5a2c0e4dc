"""Refined latents: cheaper in what the model was trained for, of the same kind, and no matter to other models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_lossy
import torch
from PIL import Image

from selfcodec import refining
from selfcodec.arrays import UInt8
from selfcodec.decoding import decode_file
from selfcodec.encoding import Encoded, encode_picture
from selfcodec.errors import InputError
from selfcodec.images import from_image
from selfcodec.likelihoods.groups import MOST
from selfcodec.modes import MAX_EFFORT, Mode
from selfcodec.networks.integer import Runtime
from selfcodec.refining import ROUNDS, Work, can_refine, refined
from selfcodec.settings import Settings
from selfcodec.spec import trade_of
from selfcodec.walk import Batch
from selfcodec.zoo import Model

EFFORT = 3


def piece(i: int, height: int = 48, width: int = 64) -> UInt8:
    return tiny_lossy.photo(height, width, top=50 * i, left=70 * i)


def encode(pixels: UInt8, quality: int, effort: int, mode: Mode = Mode.RS2, **options: Any) -> Encoded:
    settings = Settings(mode, quality=quality, effort=effort)
    picture = from_image(Image.fromarray(pixels))
    model = options.pop("model", tiny_lossy.model())
    return encode_picture(picture, settings, model, verify=False, expect=True, fallback=False, **options)


def loss(pixels: UInt8, made: Encoded, quality: int) -> float:
    """Bits and squared errors, in bits."""
    assert made.expected is not None
    error = float(np.square(made.expected.astype(float) - pixels).sum()) / 3
    return sum(made.model_bits.values()) + trade_of(tiny_lossy.model().plane(quality)) * error


@pytest.mark.parametrize("mode", [Mode.RS2, Mode.CR])
@pytest.mark.parametrize("quality", [60, 85])
def test_effort_lowers_the_loss_of_what_is_coded(mode: Mode, quality: int) -> None:
    """And never raises it by more than rounding does. Most errors here are of frequencies that the model lacks."""
    shares = []
    for i in range(4):
        usual, better = (loss(piece(i), encode(piece(i), quality, effort, mode), quality) for effort in (0, EFFORT))
        shares.append(better / usual)
    assert max(shares) < 1.005
    assert np.mean(shares) < 0.996


def work_of(shares: list[float], effort: int = 1) -> Work:
    return Work(effort, report=shares.append)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 50), (20, 560)])
def test_what_is_refined_has_z_s_shape_and_range(height: int, width: int) -> None:
    pixels, shares = piece(1, height, width)[None], list[float]()
    batch = Batch(tiny_lossy.model(), (height, width), 1, False, Runtime(), 40)
    truth = batch.infer(pixels, ("u", "z1"))
    found = refined(batch, pixels, truth, ("u", "z1"), work_of(shares))
    assert (found.shape, found.dtype) == (truth["z1"].shape, np.int32)
    assert np.abs(found).max() < 2 * MOST
    assert (found != truth["z1"]).any()
    assert batch.values == {}
    windows = -(-width // (16 * refining.WINDOW)) * -(-height // (16 * refining.WINDOW))
    assert len(shares) == ROUNDS[1] * windows
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_the_same_effort_gives_the_same_file() -> None:
    """Whatever the state of PyTorch's random numbers."""
    torch.manual_seed(1)
    first = encode(piece(0), 40, 1).data
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert encode(piece(0), 40, 1).data == first
    assert torch.equal(torch.get_rng_state(), state)
    assert first != encode(piece(0), 40, 0).data


@pytest.mark.parametrize("mode", [Mode.RS1, Mode.CG])
def test_where_no_z_is_sent_effort_changes_nothing(mode: Mode) -> None:
    assert encode(piece(0), 50, MAX_EFFORT, mode).data == encode(piece(0), 50, 0, mode).data


@pytest.mark.parametrize("kind", ["L", "LA", "RGBA"])
def test_images_of_all_kinds_can_be_refined(kind: str) -> None:
    image = Image.fromarray(piece(2, 30, 40)).convert(kind)
    picture, settings = from_image(image), Settings(Mode.CR, quality=30, effort=1)
    made = encode_picture(picture, settings, tiny_lossy.model(), verify=True, fallback=False)
    assert decode_file(made.data, model=tiny_lossy.model()).mode == kind


def test_tiles_are_refined_one_by_one() -> None:
    """A model of this kind with tiles; the same as alone, however many run together."""
    model = tiny_lossy.model(32)
    files = {encode(piece(1, 64, 64), 40, 1, model=model, runtime=Runtime(batch=n)).data for n in (1, 3, 16)}
    assert len(files) == 1
    assert files != {encode(piece(1, 64, 64), 40, 0, model=model).data}


def test_models_that_cannot_be_refined_ignore_effort(tiny_model: Model, photo: UInt8) -> None:
    assert can_refine(tiny_lossy.model(), ("u", "z1"))
    assert not can_refine(tiny_lossy.model(), ("u",))
    assert not can_refine(tiny_model, ("u", "z1"))
    for mode in (Mode.RS2, Mode.LOSSLESS):
        files = {encode(photo[:24, :32], 50, effort, mode, model=tiny_model).data for effort in (0, MAX_EFFORT)}
        assert len(files) == 1


@pytest.mark.parametrize("effort", [-1, 10, 1.5, "3", None, True])
def test_efforts_out_of_range_are_refused(effort: Any) -> None:
    with pytest.raises(InputError, match="effort is a whole number from 0 to 9, not "):
        Settings(Mode.RS2, effort=effort)


def test_efforts_take_longer_and_longer() -> None:
    assert len(ROUNDS) == MAX_EFFORT + 1
    assert ROUNDS[0] == 0
    assert list(ROUNDS) == sorted(set(ROUNDS))
