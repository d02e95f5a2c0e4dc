"""Log-probabilities: normalised, equal to naive float64 formulas, finite at extremes, and what draws follow."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor

from selfcodec.coding.mixture import WINDOW
from selfcodec.likelihoods.layout import PixelLayout, known_sum_phase, phase_offsets
from selfcodec.models.distributions import (
    Centre,
    dmol_log_prob,
    dmol_mean,
    dmol_sample,
    gaussian_bin_log_prob,
    gaussian_log_prob,
    latent_log_scale,
    window_start,
)

LAYOUTS = [PixelLayout(1, 1), PixelLayout(1, 4), PixelLayout(3, 2), PixelLayout(3, 10)]


def random_params(layout: PixelLayout, seed: int, batch: int = 2, side: int = 2, spread: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(batch, layout.size, side, side, generator=generator)


def random_pixels(layout: PixelLayout, seed: int, batch: int = 2, side: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, layout.channels, side, side), generator=generator).float()


def naive_log_prob(params: Tensor, x: Tensor, base: Tensor, layout: PixelLayout) -> np.ndarray:
    """Paper eq. 16 and 19 as they stand, with 50 decimal places, position by position and channel by channel."""
    m, out = layout.mixtures, np.zeros(x.shape)
    with mpmath.workdps(50):
        for b, c, i, j in np.ndindex(*x.shape):
            p = [mpmath.mpf(float(v)) for v in params[b, :, i, j]]
            value, centre = int(x[b, c, i, j]), float(base[b, c, i, j])
            weights = [mpmath.exp(p[c * m + k]) for k in range(m)]
            probability = mpmath.mpf(0)
            for k in range(m):
                mean = centre + 32 * p[(layout.channels + c) * m + k]
                for e in range(c):
                    coefficient = p[(3 * layout.channels + c * (c - 1) // 2 + e) * m + k]
                    mean += coefficient * (float(x[b, e, i, j]) - float(base[b, e, i, j]))
                raw = p[(2 * layout.channels + c) * m + k] + 2
                scale = mpmath.exp(min(max(raw, mpmath.mpf(-2.5)), mpmath.mpf(5.5) - mpmath.mpf(1) / 32))
                high = (value + mpmath.mpf(0.5) - mean) / scale if value < 255 else mpmath.inf
                low = (value - mpmath.mpf(0.5) - mean) / scale if value > 0 else -mpmath.inf
                if low > 0:  # the same mass in the other tail, where nothing cancels
                    low, high = -high, -low
                mass = 1 / (1 + mpmath.exp(-high)) - 1 / (1 + mpmath.exp(-low))
                probability += weights[k] / mpmath.fsum(weights) * mass
            out[b, c, i, j] = float(mpmath.log(probability))
    return out


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("spread", [0.3, 2.0])
def test_dmol_equals_the_naive_formula(layout: PixelLayout, spread: float) -> None:
    params = random_params(layout, 0, spread=spread)
    x, base = random_pixels(layout, 1), random_pixels(layout, 2)
    x[0, :, 0, 0], x[0, :, 0, 1] = 0, 255
    found = dmol_log_prob(params.double(), x.double(), Centre(base.double()), layout).numpy()
    np.testing.assert_allclose(found, naive_log_prob(params, x, base, layout), rtol=1e-9, atol=1e-9)
    single = dmol_log_prob(params, x, Centre(base), layout).numpy()
    np.testing.assert_allclose(single, found, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("spread", [0.3, 3.0, 30.0])
def test_dmol_sums_to_one_for_every_channel(layout: PixelLayout, spread: float) -> None:
    params = random_params(layout, 3, batch=1, side=3, spread=spread).expand(256, -1, -1, -1)
    base = random_pixels(layout, 4, batch=1, side=3).expand(256, -1, -1, -1)
    for channel in range(layout.channels):
        x = random_pixels(layout, 5, batch=1, side=3).repeat(256, 1, 1, 1)
        x[:, channel] = torch.arange(256.0)[:, None, None]
        log_prob = dmol_log_prob(params, x, Centre(base), layout)[:, channel]
        assert torch.logsumexp(log_prob.double(), 0).abs().max() < 1e-4


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("spread", [0.3, 3.0, 30.0])
def test_a_known_sum_leaves_four_values_in_their_old_proportions(layout: PixelLayout, spread: float) -> None:
    params = random_params(layout, 3, batch=1, side=4, spread=spread).expand(WINDOW, -1, -1, -1)
    base = random_pixels(layout, 4, batch=1, side=4) + 60 * torch.tensor([-5.0, 0.0, 0.0, 5.0])
    base = base.expand(WINDOW, -1, -1, -1)  # far beyond 0..255 as well, as after phases that were drawn
    x = window_start(base) + torch.randint(0, WINDOW, base.shape, generator=torch.Generator().manual_seed(1))
    x = x[:1].repeat(WINDOW, 1, 1, 1)
    for channel in range(layout.channels):
        values = x.clone()
        values[:, channel] = window_start(base[:, channel]) + torch.arange(WINDOW)[:, None, None]
        assert values.min() >= 0
        assert values.max() <= 255
        free = dmol_log_prob(params, values, Centre(base), layout)[:, channel]
        known = dmol_log_prob(params, values, Centre(base), layout, torch.ones(WINDOW, dtype=torch.bool))[:, channel]
        assert torch.logsumexp(known.double(), 0).abs().max() < 1e-3
        torch.testing.assert_close(known - known[0], free - free[0], rtol=1e-3, atol=1e-3)
    mixed = dmol_log_prob(params, x, Centre(base), layout, torch.arange(WINDOW) == 2)
    assert torch.equal(mixed[0], dmol_log_prob(params, x, Centre(base), layout)[0])
    assert not torch.equal(mixed[2], mixed[0])


def test_draws_with_a_known_sum_follow_its_distribution() -> None:
    layout = PixelLayout(2, 2)
    params = random_params(layout, 1, batch=1, side=1, spread=0.5).expand(20000, -1, -1, -1)
    base = torch.full((20000, 2, 1, 1), 130.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = dmol_sample(params, Centre(base), layout, known=True)
    offsets = (drawn - window_start(base)).long().flatten(1)
    assert offsets.min() >= 0
    assert offsets.max() < WINDOW
    for first in range(WINDOW):
        for second in range(WINDOW):
            x = window_start(base[:1]) + torch.tensor([first, second])[None, :, None, None]
            log_prob = dmol_log_prob(params[:1], x, Centre(base[:1]), layout, torch.ones(1, dtype=torch.bool))
            share = ((offsets[:, 0] == first) & (offsets[:, 1] == second)).float().mean()
            assert share == pytest.approx(float(log_prob.sum().exp()), abs=0.012)


@pytest.mark.parametrize("spread", [1e2, 1e4])
def test_dmol_and_its_gradients_are_finite_at_extremes(spread: float) -> None:
    layout = PixelLayout(3, 3)
    for seed in range(5):
        params = random_params(layout, seed, batch=4, side=4, spread=spread).requires_grad_()
        x = random_pixels(layout, seed, batch=4, side=4)
        x[0], x[1] = 0, 255
        base = random_pixels(layout, seed + 1, batch=4, side=4)
        x[2:] = window_start(base[2:])
        log_prob = dmol_log_prob(params, x, Centre(base), layout, torch.tensor([False, False, False, True]))
        log_prob.sum().backward()
        assert torch.isfinite(log_prob).all()
        assert params.grad is not None
        assert torch.isfinite(params.grad).all()
        assert log_prob.max() <= 1e-5


def test_dmol_gradients_are_right() -> None:
    layout = PixelLayout(2, 2)
    params = random_params(layout, 1, batch=1, side=1).double().requires_grad_()
    x, base = (random_pixels(layout, seed, batch=1, side=1).double() for seed in (2, 3))
    assert torch.autograd.gradcheck(lambda p: dmol_log_prob(p, x, Centre(base), layout), (params,))


def test_dmol_does_not_look_at_later_channels() -> None:
    layout = PixelLayout(3, 2)
    params, x, base = random_params(layout, 0), random_pixels(layout, 1), random_pixels(layout, 2)
    before = dmol_log_prob(params, x, Centre(base), layout)
    for channel in range(3):
        changed = x.clone()
        changed[:, channel] = 255 - changed[:, channel]
        after = dmol_log_prob(params, changed, Centre(base), layout)
        assert torch.equal(before[:, :channel], after[:, :channel])
        assert not torch.equal(before[:, channel:], after[:, channel:])


@pytest.mark.parametrize("layout", [PixelLayout(1, 3), PixelLayout(3, 2)])
def test_dmol_samples_follow_the_probabilities(layout: PixelLayout) -> None:
    """Every channel given the values drawn for the channels before it: the probability integral is uniform."""
    count, side = 100, 7
    torch.manual_seed(0)
    params = random_params(layout, 1, batch=1, side=side, spread=0.7).expand(count, -1, -1, -1)
    base = random_pixels(layout, 2, batch=1, side=side).clamp(60, 190).expand(count, -1, -1, -1)
    drawn = dmol_sample(params, Centre(base), layout)
    assert drawn.min() >= 0
    assert drawn.max() <= 255
    assert torch.equal(drawn, drawn.round())
    for channel in range(layout.channels):
        below, at = torch.zeros(count, side, side), torch.zeros(count, side, side)
        for value in range(256):
            x = drawn.clone()
            x[:, channel] = value
            probability = dmol_log_prob(params, x, Centre(base), layout)[:, channel].exp()
            below += probability * (value < drawn[:, channel])
            at += probability * (value == drawn[:, channel])
        uniform = below + at * torch.rand_like(at)
        share = torch.histc(uniform, bins=20, min=0, max=1) / uniform.numel()
        assert (share - 0.05).abs().max() < 5 * math.sqrt(0.05 / uniform.numel())


def test_dmol_mean_is_the_mixture_s_mean() -> None:
    layout = PixelLayout(1, 3)
    params = 0.4 * random_params(layout, 7, batch=1, side=4)
    base = torch.full((1, 1, 4, 4), 120.0)
    values = torch.arange(256.0)[:, None, None, None].expand(256, 1, 4, 4)
    probability = dmol_log_prob(
        params.expand(256, -1, -1, -1), values, Centre(base.expand(256, -1, -1, -1)), layout
    ).exp()
    expected = (probability * values).sum(0)
    assert (dmol_mean(params, Centre(base), layout) - expected).abs().max() < 0.6


def test_dmol_mean_follows_its_own_channels_and_stays_in_range() -> None:
    layout = PixelLayout(3, 1)
    params = torch.zeros(1, layout.size, 1, 1)
    params[:, layout.means(0)] = 1.0
    params[:, layout.coefficients(1, 0)] = 0.5
    params[:, layout.coefficients(2, 0)] = -1.0
    params[:, layout.coefficients(2, 1)] = 2.0
    base = torch.tensor([100.0, 110.0, 120.0]).view(1, 3, 1, 1)
    assert dmol_mean(params, Centre(base), layout).flatten().tolist() == [132, 126, 120]
    params[:, layout.means(0)] = 50.0
    params[:, layout.means(2)] = -50.0
    assert dmol_mean(params, Centre(base), layout).flatten().tolist() == [255, 188, 0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_uses_every_channel_once(layout: PixelLayout) -> None:
    c = range(layout.channels)
    slices = [f(i) for f in (layout.logits, layout.means, layout.log_scales) for i in c]
    slices += [layout.coefficients(i, e) for i in c for e in range(i)]
    used = sorted(n for s in slices for n in range(s.start, s.stop))
    assert used == list(range(layout.size))


def test_phases_cover_a_cell_and_only_the_last_has_a_known_sum() -> None:
    assert phase_offsets(1) == ((0, 0),)
    assert sorted(phase_offsets(4)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [known_sum_phase(i, 4, True) for i in range(4)] == [False, False, False, True]
    assert not any(known_sum_phase(i, 4, False) for i in range(4))
    assert not known_sum_phase(0, 1, True)


# Gaussians.


def test_gaussian_log_prob() -> None:
    x, mean, log_scale = torch.tensor([0.0, 1.0, -3.0]), torch.tensor([0.0, 0.5, 2.0]), torch.tensor([0.0, -1.0, 1.5])
    expected = torch.distributions.Normal(mean, log_scale.exp()).log_prob(x)
    torch.testing.assert_close(gaussian_log_prob(x, mean, log_scale), expected)


@pytest.mark.parametrize("distance", [0.0, 0.3, -1.0, 4.0, -9.0, 30.0, 300.0])
@pytest.mark.parametrize("log_scale", [-4.0, -1.0, 0.0, 3.0])
@pytest.mark.parametrize("width", [0.01, 0.5, 3.5])
def test_gaussian_bins_equal_the_exact_mass(distance: float, log_scale: float, width: float) -> None:
    with mpmath.workdps(60):
        scale = mpmath.exp(log_scale)
        low, high = (mpmath.mpf(abs(distance) + sign * width / 2) / scale / mpmath.sqrt(2) for sign in (-1, 1))
        # erfc keeps its relative precision in the upper tail, where a difference of erf would be 0.
        expected = float(mpmath.log((mpmath.erfc(low) - mpmath.erfc(high)) / 2))
    tensors = [torch.tensor(v, dtype=torch.float64) for v in (distance, 0.0, log_scale, width)]
    assert gaussian_bin_log_prob(*tensors).item() == pytest.approx(expected, rel=1e-6, abs=1e-6)
    single = gaussian_bin_log_prob(*(t.float() for t in tensors)).item()
    assert single == pytest.approx(expected, rel=1e-4, abs=5e-3)


@pytest.mark.parametrize("log_scale", [-3.0, 0.0, 2.0])
@pytest.mark.parametrize("width", [0.05, 1.0])
def test_gaussian_bins_sum_to_one(log_scale: float, width: float) -> None:
    reach = 12 * math.exp(log_scale)
    x = torch.arange(-math.ceil(reach / width), math.ceil(reach / width) + 1).double() * width + 0.3 * width
    log_prob = gaussian_bin_log_prob(x, torch.tensor(0.01), torch.tensor(log_scale), torch.tensor(width))
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_gaussian_bins_are_finite_at_extremes() -> None:
    grids = torch.meshgrid(
        torch.tensor([-4096.0, -10.0, 0.0, 1e-6, 10.0, 4096.0]),
        torch.tensor([-4.0, 0.0, 4.0 - 1 / 32]),
        torch.tensor([1e-6, 1e-3, 1.0, 100.0]),
        indexing="ij",
    )
    x, log_scale, width = (grid.flatten().clone().requires_grad_() for grid in grids)
    mean = torch.zeros_like(x).requires_grad_()
    log_prob = gaussian_bin_log_prob(x, mean, log_scale, width)
    log_prob.sum().backward()
    assert torch.isfinite(log_prob).all()
    assert log_prob.max() <= 0
    for tensor in (x, mean, log_scale, width):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()


@pytest.mark.parametrize("distance", [0.0, 1.0, 30.0, 1000.0, 4000.0])
@pytest.mark.parametrize("log_scale", [-3.9, 0.0, 2.0])
def test_gaussian_bin_gradients_are_those_of_the_density(distance: float, log_scale: float) -> None:
    """Of a narrow bin; also thousands of deviations away, where training begins if it begins badly."""
    x, deviation, width = torch.tensor(distance), torch.tensor(log_scale), torch.tensor(1e-4)
    gradients = []
    for density in (lambda m, s: gaussian_bin_log_prob(x, m, s, width), lambda m, s: gaussian_log_prob(x, m, s)):
        mean, scale = torch.tensor(0.0, requires_grad=True), deviation.clone().requires_grad_()
        gradients.append(torch.autograd.grad(density(mean, scale), (mean, scale)))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0.02, atol=1e-3)


def test_gaussian_bins_are_symmetric_and_fall_off() -> None:
    x = torch.linspace(0, 50, 101)
    zero, width = torch.tensor(0.0), torch.tensor(0.25)
    right, left = (gaussian_bin_log_prob(sign * x, zero, zero, width) for sign in (1, -1))
    torch.testing.assert_close(right, left)
    assert (right.diff() < 0).all()


def test_latent_log_scales_are_clamped_to_what_the_codec_can_express() -> None:
    assert latent_log_scale(torch.tensor([-9.0, 0.25, 9.0])).tolist() == [-4.0, 0.25, 4.0 - 1 / 32]
