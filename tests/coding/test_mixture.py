"""Integer distributions: properties of the CDF, exact agreement with Python integers, and with a float64 reference."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, log_softmax, ndtr

from selfcodec.arrays import Int64
from selfcodec.coding.mixture import Mixture, softmax_weights
from selfcodec.coding.symbols import frequencies_of
from selfcodec.fixed_point import PARAM_MAX
from selfcodec.likelihoods.latent import CENTRE, latent_mixture
from selfcodec.likelihoods.phases import pixel_mixture

MEAN_MAX = 1 << 21
"""Bounds a pixel's mean in 2**-5: (2 coefficients of 2**14 times residuals of 2**10) / 2**5, plus known sums."""
STEP_MAX = 1 << 24
"""A grid step of 4096, far beyond any latent."""
BYTES = np.arange(257)

SIDES = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 4))


def integers(shape: tuple[int, ...], limit: int, low: int | None = None) -> st.SearchStrategy[Int64]:
    """Arrays of int64 up to a magnitude; its ends come up often."""
    smallest = -limit if low is None else low
    element = st.one_of(st.integers(smallest, limit), st.sampled_from((smallest, max(0, smallest), limit)))
    return hnp.arrays(np.int64, shape, elements=element)


@st.composite
def pixels(draw: st.DrawFn) -> Mixture:
    shape = draw(SIDES)
    logits, scales = draw(integers(shape, PARAM_MAX)), draw(integers(shape, PARAM_MAX))
    return pixel_mixture(logits, draw(integers(shape, MEAN_MAX)), scales)


@st.composite
def latents(draw: st.DrawFn) -> Mixture:
    shape = draw(SIDES)
    logits, means, scales = (draw(integers(shape, PARAM_MAX)) for _ in range(3))
    steps, centred = draw(integers(shape[:2], STEP_MAX, low=1)), draw(st.booleans())
    return latent_mixture(logits, means, scales, steps, centred=centred)[0]


def everywhere(mixture: Mixture) -> Int64:
    """F at all 257 edges, (B, N, 257)."""
    return mixture.cumulative(np.broadcast_to(BYTES, (*mixture.shape, 257)))


def by_python(mixture: Mixture, b: int, image: int, n: int) -> int:
    """F(b) by the module's formula, in Python's unbounded integers."""
    weights = [int(w) for w in mixture.weights[image, n]]
    if b in (0, 256):
        return 0 if b == 0 else sum(weights) << 30
    edge = int(mixture.first_edge[image, n]) + b * int(mixture.spacing[image, n])
    total = 0
    for m, weight in enumerate(weights):
        scaled = (edge - int(mixture.means[image, n, m])) * int(mixture.inverse_scales[image, n, m])
        position = Fraction(scaled, 2 ** (16 + mixture.bits)) + 20  # in units of scale, from the table's beginning
        ticks = min(max(math.floor(position * 2**18), 0), 2 * 20 * 2**18 - 1)
        i, rest = divmod(ticks, 2**12)
        left, right = int(mixture.cdf[i]), int(mixture.cdf[i + 1])
        total += weight * (left + (right - left) * rest // 2**12)
    return total


@given(st.one_of(pixels(), latents()))
@settings(max_examples=60, deadline=None)
def test_cumulative_goes_from_0_to_the_total_and_never_down(mixture: Mixture) -> None:
    cumulative = everywhere(mixture)
    assert (cumulative[..., 0] == 0).all()
    assert (cumulative[..., 256] == mixture.weights.sum(-1) << 30).all()
    assert (np.diff(cumulative, axis=-1) >= 0).all()


@given(st.one_of(pixels(), latents()))
@settings(max_examples=40, deadline=None)
def test_int64_gives_what_unbounded_integers_give(mixture: Mixture) -> None:
    cumulative = everywhere(mixture)
    for image, n in product(*map(range, mixture.shape)):
        for b in (0, 1, 2, 15, 16, 127, 128, 129, 254, 255, 256):
            assert cumulative[image, n, b] == by_python(mixture, b, image, n)


@pytest.mark.parametrize("mean", [-MEAN_MAX, 0, MEAN_MAX])
@pytest.mark.parametrize("log_scale", [-PARAM_MAX, PARAM_MAX])
@pytest.mark.parametrize("logit", [-PARAM_MAX, PARAM_MAX])
def test_no_overflow_at_the_ends_of_pixel_ranges(mean: int, log_scale: int, logit: int) -> None:
    shape = (1, 1, 10)
    logits = np.full(shape, logit)
    logits[..., 0] = PARAM_MAX
    mixture = pixel_mixture(logits, np.full(shape, mean), np.full(shape, log_scale))
    assert [int(f) for f in everywhere(mixture)[0, 0]] == [by_python(mixture, b, 0, 0) for b in range(257)]


@pytest.mark.parametrize("mean", [-PARAM_MAX, 0, PARAM_MAX])
@pytest.mark.parametrize("log_scale", [-PARAM_MAX, PARAM_MAX])
@pytest.mark.parametrize("step", [1, STEP_MAX])
def test_no_overflow_at_the_ends_of_latent_ranges(mean: int, log_scale: int, step: int) -> None:
    shape = (1, 1, 3)
    mixture, _ = latent_mixture(
        np.zeros(shape, np.int64), np.full(shape, mean), np.full(shape, log_scale), np.full((1, 1), step)
    )
    assert [int(f) for f in everywhere(mixture)[0, 0]] == [by_python(mixture, b, 0, 0) for b in range(257)]


@given(st.one_of(pixels(), latents()))
@settings(max_examples=30, deadline=None)
def test_a_part_is_the_same_distributions(mixture: Mixture) -> None:
    stop = mixture.shape[1]
    start = stop // 2
    assert (everywhere(mixture.part(slice(start, stop))) == everywhere(mixture)[:, start:stop]).all()


@given(st.one_of(pixels(), latents()), st.lists(st.integers(1, 4), min_size=3, max_size=3), st.data())
@settings(max_examples=60, deadline=None)
def test_numbers_that_are_alike_have_the_frequencies_that_each_has_alone(
    mixture: Mixture, runs: list[int], data: st.DataObject
) -> None:
    which = np.arange(mixture.shape[1]).repeat(runs[: mixture.shape[1]])
    many, starts = mixture.part(which), 16 * data.draw(integers((mixture.shape[0], len(which)), 15, low=0))
    alone = [frequencies_of(many.part(slice(n, n + 1)), starts[:, n : n + 1], 1) for n in range(len(which))]
    assert (frequencies_of(many, starts, 1) == np.concatenate(alone, axis=1)).all()


def random_parameters(seed: int, on_grid: bool) -> tuple[Int64, Int64, Int64]:
    """Logits, means and log-scales (4, 50, 3) as the paper's models have them; `on_grid`: no table rounds them."""
    rng = np.random.default_rng(seed)
    shape = (4, 50, 3)
    logits = rng.integers(-4096, 4097, shape)
    means = rng.integers(-2000, 10000, shape)
    log_scales = rng.integers(-6000, 5000, shape)
    if on_grid:
        logits, log_scales = logits // 16 * 16, log_scales // 32 * 32
    return logits, means, log_scales


@pytest.mark.parametrize(("on_grid", "tolerance"), [(True, 5e-4), (False, 6e-3)])
def test_pixels_agree_with_a_float_mixture_of_discretized_logistics(on_grid: bool, tolerance: float) -> None:
    """5e-4 are inverse scales in 2**-16; 6e-3 are logits to 1/64 and log-scales to 1/32, half a step each."""
    logits, means, log_scales = random_parameters(0, on_grid)
    mixture = pixel_mixture(logits, means, log_scales)
    weight = np.exp(log_softmax(logits / 1024, axis=-1))[..., None]
    scale = np.exp(np.clip(log_scales / 1024 + 2, -2.5, 5.5 - 1 / 32))[..., None]
    edges = np.concatenate([[-np.inf], np.arange(255) + 0.5, [np.inf]])
    expected = (weight * expit((edges - means[..., None] / 32) / scale)).sum(2)
    found = everywhere(mixture) / (mixture.weights.sum(-1)[..., None] * 2.0**30)
    assert np.abs(found - expected).max() < tolerance


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("on_grid", "tolerance"), [(True, 5e-4), (False, 6e-3)])
def test_latents_agree_with_float_gaussian_bins(on_grid: bool, tolerance: float, centred: bool) -> None:
    """The same tolerances; the outermost of the 256 bins take the tails."""
    logits, means, log_scales = random_parameters(1, on_grid)
    steps = np.random.default_rng(2).integers(400, 9000, means.shape[:2])
    mixture, first = latent_mixture(logits, means, log_scales, steps, centred=centred)
    weight = np.exp(log_softmax(logits / 1024, axis=-1))[..., None]
    scale = np.exp(np.clip(log_scales / 1024, -4, 4 - 1 / 32))[..., None]
    points = (first[..., None] + (np.arange(1, 256) - 0.5) * steps[..., None]) / 4096
    inner = (weight * ndtr((points[:, :, None] - means[..., None] / 1024) / scale)).sum(2)
    expected = np.concatenate([np.zeros_like(inner[..., :1]), inner, np.ones_like(inner[..., :1])], -1)
    found = everywhere(mixture) / (mixture.weights.sum(-1)[..., None] * 2.0**30)
    assert np.abs(found - expected).max() < tolerance


@given(st.one_of(pixels(), latents()))
@settings(max_examples=50, deadline=None)
def test_mean_is_the_weighted_mean_rounded_down(mixture: Mixture) -> None:
    for image, n in product(*map(range, mixture.shape)):
        weights = [int(w) for w in mixture.weights[image, n]]
        total = sum(w * int(m) for w, m in zip(weights, mixture.means[image, n], strict=True))
        assert mixture.mean()[image, n] == total // sum(weights)


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_byte_128_of_a_latent_is_the_grid_point_nearest_to_the_mean_or_the_mean(data: st.DataObject) -> None:
    shape = data.draw(SIDES)
    means, steps = data.draw(integers(shape, PARAM_MAX)), data.draw(integers(shape[:2], STEP_MAX, low=1))
    mixture, first = latent_mixture(np.zeros_like(means), means, np.zeros_like(means), steps)
    assert (first % steps == 0).all()
    middle = first + CENTRE * steps
    assert (2 * np.abs(2 * middle - mixture.mean()) <= mixture.spacing).all()
    assert (mixture.spacing == 2 * steps).all()
    assert (mixture.first_edge + CENTRE * mixture.spacing == 2 * middle - steps).all()
    mixture, first = latent_mixture(np.zeros_like(means), means, np.zeros_like(means), steps, centred=True)
    assert (first + CENTRE * steps == mixture.mean() // 2).all()
    assert (mixture.first_edge == 2 * first - steps).all()


def test_softmax_weights() -> None:
    logits = np.array([[[0, -1024, -16 * 1024, -(2**14) + 1], [5, 5, 5, 5]]])
    weights = softmax_weights(logits)
    assert weights[0, 0].tolist() == [65536, round(65536 / math.e), 0, 0]
    assert weights[0, 1].tolist() == [65536] * 4


def test_log_scales_are_rounded_half_up_to_32nds() -> None:
    raw = np.array([-17, -16, -1, 0, 15, 16, 31, 32, 47, 48]).reshape(1, 10, 1)
    zero, steps = np.zeros_like(raw), np.full((1, 10), 4096)
    expected = np.array([-1, 0, 0, 0, 0, 1, 1, 1, 1, 2])
    for mixture, offset in ((pixel_mixture(zero, zero, raw), 2), (latent_mixture(zero, zero, raw, steps)[0], 0)):
        found = -np.log(mixture.inverse_scales[0, :, 0] / 65536) - offset
        assert np.abs(found * 32 - expected).max() < 0.1


def test_logits_are_rounded_half_up_to_64ths() -> None:
    below = np.array([0, 7, 8, 23, 24, 40])
    weights = softmax_weights(-below.reshape(1, 1, 6))[0, 0]
    assert np.abs(-64 * np.log(weights / 65536) - np.array([0, 0, 1, 1, 2, 3])).max() < 0.01


@pytest.mark.parametrize("value", [-PARAM_MAX, PARAM_MAX])
def test_log_scales_are_clamped_to_the_ends_of_their_tables(value: int) -> None:
    zero, raw = np.zeros((1, 1, 1), np.int64), np.full((1, 1, 1), value)
    pixel = pixel_mixture(zero, zero, raw).inverse_scales[0, 0, 0] / 65536
    latent = latent_mixture(zero, zero, raw, np.full((1, 1), 4096))[0].inverse_scales[0, 0, 0] / 65536
    low = value < 0
    assert -math.log(pixel) == pytest.approx(-2.5 if low else 5.5 - 1 / 32, abs=3e-3)
    assert -math.log(latent) == pytest.approx(-4 if low else 4 - 1 / 32, abs=3e-3)
