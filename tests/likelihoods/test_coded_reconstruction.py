"""A reconstruction that can be sent: logistics around a network's picture, of one deviation a channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_lossy
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from selfcodec.arrays import UInt8
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.coding.sampler import Sampler
from selfcodec.errors import InputError, ModelError
from selfcodec.likelihoods.families import build_likelihood
from selfcodec.likelihoods.likelihood import Condition
from selfcodec.likelihoods.reconstruction import Reconstruction
from selfcodec.networks.integer import Runtime
from selfcodec.networks.windows import Network
from selfcodec.schedule import Step
from selfcodec.walk import Batch, Means, walk


def step(name: str = "y1") -> Step:
    return next(step for step in tiny_lossy.model().steps if step.name == name)


def likelihood(name: str = "y1") -> Reconstruction:
    family = tiny_lossy.model().likelihoods[name]
    assert isinstance(family, Reconstruction)
    return family


def condition(size: tuple[int, int] = (70, 50), *, count: int = 1, grey: bool = False, u: int = 0) -> Condition:
    """Of y1, with u's mean shifted."""
    at = Batch(tiny_lossy.model(), size, count, grey, Runtime())
    walk([at], {"u": Means()})
    at.values["u"] = at.values["u"] + u
    return at.condition(step())


def noise(at: Condition, seed: int) -> UInt8:
    """Any values, far from what is expected."""
    values = np.random.default_rng(seed).integers(0, 256, at.shape).astype(np.uint8)
    return values[:, :1].repeat(3, 1) if at.grey else values


@given(st.integers(0, 2**32), st.tuples(st.integers(1, 90), st.integers(1, 90)), st.integers(1, 2), st.booleans())
@hypothesis_settings(max_examples=25, deadline=None)
def test_any_thumbnails_come_back(seed: int, size: tuple[int, int], count: int, grey: bool) -> None:
    at = condition(size, count=count, grey=grey)
    truth, coder = noise(at, seed), Encoder(count)
    assert (likelihood().encode(at, truth, coder) == truth).all()
    decoder = Decoder([stream.words for stream in coder.finish()])
    (found,) = likelihood().decode([at], decoder)
    assert (found == truth).all()
    decoder.finish()


def bits(at: Condition, truth: UInt8) -> float:
    coder = Encoder(at.count)
    likelihood().encode(at, truth, coder)
    coder.mark()
    return sum(stream.bits[0] for stream in coder.finish())


def test_what_is_expected_costs_least_and_grey_a_third() -> None:
    at = condition(u=500)
    picture = likelihood().mean(at)
    others = [np.clip(picture.astype(int) + off, 0, 255).astype(np.uint8) for off in (-60, -20, 20, 60)]
    costs = [bits(at, other) for other in (others[0], others[1], picture, others[2], others[3])]
    assert costs[0] > costs[1] > costs[2] < costs[3] < costs[4]
    grey = picture[:, :1].repeat(3, 1)
    assert bits(condition(u=500, grey=True), grey) < 0.5 * bits(at, grey)


def test_the_mean_is_the_network_s_picture() -> None:
    """In grey images, the average of its channels, rounded half up."""
    at = condition((64, 64), u=900)
    net = tiny_lossy.model().nets["p_y1"]
    outputs = net(at.inputs[0].whole())
    picture = np.clip(128 + ((outputs + 16) >> 5), 0, 255)
    assert (likelihood().mean(at) == picture).all()
    assert likelihood().mean(at).dtype == np.uint8
    average = (2 * picture.sum(1) + 3) // 6
    found = likelihood().mean(condition((64, 64), u=900, grey=True))
    assert (found == average[:, None]).all()
    assert np.ptp(picture, axis=1).max() > 0


def test_thumbnails_are_drawn_and_pictures_are_not() -> None:
    """Only what can be sent has a distribution to draw from."""
    at = condition()
    first, again, other = (likelihood().decode([at], Sampler([seed]))[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    batch = Batch(tiny_lossy.model(), (32, 48), 1, False, Runtime())
    walk([batch], dict.fromkeys(("u", "y1", "z1"), Means()))
    shown = batch.condition(step("x"))
    (drawn,) = likelihood("x").decode([shown], Sampler([3]))
    assert (drawn == likelihood("x").mean(shown)).all()


def test_a_picture_cannot_be_sent() -> None:
    assert likelihood().codable
    assert not likelihood("x").codable
    batch = Batch(tiny_lossy.model(), (16, 16), 1, False, Runtime())
    walk([batch], dict.fromkeys(("u", "y1", "z1"), Means()))
    with pytest.raises(InputError, match="the model cannot code x: choose a mode that does not send it"):
        likelihood("x").encode(batch.condition(step("x")), np.zeros((1, 3, 16, 16), np.uint8), Encoder(1))


REFUSED: dict[str, tuple[Any, str]] = {
    "too few": ([1500, 1600], "2 log-scales of 3 channels"),
    "too many": ([1500] * 4, "4 log-scales of 3 channels"),
    "fractions": ([1500.5, 1600.0, 1700.0], "variable y1: "),
    "texts": (["a", "b", "c"], "variable y1: "),
    "none": (None, "variable y1: "),
    "a number": (3, "variable y1: "),
    "lists": ([[1], [2], [3]], "variable y1: "),
    "truth values": ([True, True, False], "variable y1: "),
    "huge ones": ([10**30] * 3, "variable y1: "),
}


@pytest.mark.parametrize("what", REFUSED)
def test_log_scales_that_do_not_fit_are_refused(what: str) -> None:
    nets = {name: Network(net) for name, net in tiny_lossy.model().nets.items()}
    value, message = REFUSED[what]
    with pytest.raises(ModelError, match=message) as caught:
        build_likelihood(step(), {"kind": "reconstruction", "log_scales": value}, nets)
    assert "\n" not in str(caught.value)


def test_networks_that_do_not_fit_are_refused() -> None:
    nets = {"p_y1": Network(tiny_lossy.model().nets["q_u"])}
    with pytest.raises(ModelError, match="a network gives 2 channels, not 3"):
        build_likelihood(step(), {"kind": "reconstruction", "log_scales": []}, nets)
    with pytest.raises(ModelError, match="'p_y1' is missing"):
        build_likelihood(step(), {"kind": "reconstruction", "log_scales": []}, {})
    with pytest.raises(ModelError, match="'log_scales' is missing"):
        build_likelihood(step(), {"kind": "reconstruction"}, nets | {"p_y1": Network(tiny_lossy.model().nets["p_y1"])})
