"""The selfVAE's objective is a bound, and its likelihoods are distributions."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_selfvae import build, images, phases_of, rate_of
from torch import Tensor

from selfcodec.models.distributions import Centre, dmol_log_prob, gaussian_log_prob
from selfcodec.models.likelihoods.likelihood import Values, Withheld
from selfcodec.models.likelihoods.posterior import MOST_WIDTH
from selfcodec.models.selfvae import SelfVAE


def soften_posteriors(model: SelfVAE) -> SelfVAE:
    """Posteriors near the prior, so that importance weights have small variance."""
    with torch.no_grad():
        for name, net in model.graphs():
            if name.startswith("q_"):
                net.weight(net.graph.output).mul_(0.1)
            if name.startswith("p_"):
                net.weight(net.graph.output).mul_(0.5)
                for bias in net.biases.values():
                    bias.normal_(0, 0.3)
    return model


def log_weights(model: SelfVAE, ys: list[Tensor], samples: int) -> Tensor:
    """log p(x, y, u, z) - log q(u, z | x) of posterior samples for one image, (samples,)."""
    with torch.no_grad():
        rates = model([y.expand(samples, -1, -1, -1) for y in ys])
    return -torch.stack(list(rates.values())).double().sum(0)


def check_bound(log_weight: Tensor, exact: float) -> None:
    """The mean is below the exact value, and the importance weighted estimate approaches it."""
    error = float(log_weight.std()) / math.sqrt(len(log_weight))
    assert float(log_weight.mean()) <= exact + 3 * error
    weight = (log_weight - exact).exp()
    assert float(weight.mean()) == pytest.approx(1, abs=5 * float(weight.std()) / math.sqrt(len(weight)) + 5e-3)
    assert float(weight.std()) / math.sqrt(len(weight)) < 0.1, "too uncertain to tell anything"


@pytest.mark.parametrize("prior", ["gaussian", "mog", "realnvp"])
@pytest.mark.parametrize(("side", "phases"), [(1, 1), (2, 4)])
def test_objective_without_transformations_bounds_the_integral_over_u(side: int, phases: int, prior: str) -> None:
    """log p(x) = log of the integral of p(u) p(x|u) over two dimensions of u, on a grid."""
    model = soften_posteriors(build(1, levels=0, phases=phases, u_down=side - 1, prior=prior))
    (x,) = images(model, count=1, side=side)
    axis = torch.linspace(-8, 8, 161)
    u = torch.cartesian_prod(axis, axis).view(-1, 2, 1, 1)
    many = x.expand(len(u), -1, -1, -1)
    with torch.no_grad():
        log_joint = model.latents["u"].log_prob(u, {}).double() - rate_of(model, "x", {"u": u}, many).double()
    exact = float(torch.logsumexp(log_joint, 0)) + 2 * math.log(float(axis[1] - axis[0]))
    check_bound(log_weights(model, [x], 20000), exact)


@pytest.mark.parametrize("transformation", ["downscale", "grayscale"])
def test_objective_with_a_transformation_bounds_the_integral_over_u_and_z(transformation: str) -> None:
    """log p(x, y) = log of the integral of p(u) p(y|u) p(z|u, y) p(x|y, z), paper eq. 9; u and z one number each."""
    changes = {"u_channels": 1, "z_channels": 1, "prior": "gaussian", "phases": 1}
    if transformation == "downscale":
        model = build(2, u_down=0, z_down=1, **changes)
    else:
        model = build(2, transformation=transformation, u_down=1, z_down=1, **changes)
    soften_posteriors(model)
    x, y = images(model, count=1, side=2)
    axis = torch.linspace(-9, 9, 181)
    u, z = torch.cartesian_prod(axis, axis).view(-1, 2, 1, 1).split(1, 1)
    n = len(u)
    values: Values = {"u": u, "z1": z, "y1": y.expand(n, -1, -1, -1)}
    with torch.no_grad():
        y_rate = rate_of(model, "y1", values, values["y1"])
        x_rate = rate_of(model, "x", values, x.expand(n, -1, -1, -1))
        log_z = model.latents["z1"].log_prob(z, values)
        log_u = gaussian_log_prob(u, torch.zeros(1), torch.zeros(1)).sum((1, 2, 3))
    log_joint = (log_u + log_z - y_rate - x_rate).double()
    exact = float(torch.logsumexp(log_joint, 0)) + 2 * math.log(float(axis[1] - axis[0]))
    check_bound(log_weights(model, [x, y], 20000), exact)


def test_a_uniform_posterior_s_noise_stays_inside_what_networks_take() -> None:
    model = build(posterior="uniform")
    ys = images(model, 32)
    values = {"u": torch.zeros(32, 2, 2, 2), "y1": ys[1]}
    posterior, likelihood = model.posteriors["z1"], model.latents["z1"]
    mean = posterior.mean(ys[0], {})
    with torch.no_grad():
        for width, most in ((1.0, 0.5), (1e6, MOST_WIDTH / 2)):
            model.log_widths["z1"].fill_(math.log(width))
            noise = (posterior.sample(ys[0], likelihood, values, torch.zeros(32, dtype=torch.bool))[0] - mean).abs()
            assert 0.9 * most < float(noise.max()) <= most * (1 + 1e-6)


def test_without_noise_latents_are_the_nearest_points_of_their_grids() -> None:
    """What they are made of learns as if it were not rounded."""
    model = build(posterior="uniform")
    ys = images(model, 4)
    values = {"u": torch.zeros(4, 2, 2, 2), "y1": ys[1]}
    posterior, likelihood = model.posteriors["z1"], model.latents["z1"]
    width, rounded = torch.tensor([0.3, 0.7])[:, None, None], torch.tensor([True, False, True, False])
    model.log_widths["z1"].data = width[:, 0, 0].log()
    values_of = posterior.sample(ys[0], likelihood, values, rounded)[0]
    points, drawn = values_of[rounded] / width, values_of[~rounded] / width
    assert torch.allclose(points, points.round(), atol=1e-4)
    assert not torch.allclose(drawn, drawn.round(), atol=0.1)
    steps = (values_of - posterior.mean(ys[0], {})) / width
    assert float(steps.detach().abs().max()) <= 0.5 + 1e-4
    own = list(model.nets["q_z1"].parameters())
    of_points, of_draws = (
        torch.autograd.grad(posterior.sample(ys[0], likelihood, values, torch.full((4,), on))[0].sum(), own)
        for on in (True, False)
    )
    assert all(torch.equal(a, b) for a, b in zip(of_points, of_draws, strict=True))


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_more_samples_tighten_the_bound(levels: int) -> None:
    """The importance weighted bound grows with its number of samples (Burda et al. 2016), over many images."""
    model = soften_posteriors(build(4, levels=levels, phases=1, u_down=0, z_down=0))
    bounds = {1: 0.0, 100: 0.0}
    for seed in range(10):
        log_weight = log_weights(model, images(model, count=1, side=4, seed=seed), 400)
        for k in bounds:
            bounds[k] += float((torch.logsumexp(log_weight.view(-1, k), 1) - math.log(k)).mean())
    assert bounds[1] < bounds[100]


@pytest.mark.parametrize("withhold", [False, True])
def test_likelihoods_sum_to_one_over_the_last_two_phases(withhold: bool) -> None:
    """All 256 x 256 values of two phases of a grey y, given the other two: p(y|u) is a distribution."""
    model = build(5, transformation="grayscale", u_down=1)
    phases, n = phases_of(model, "y1"), 256 * 256
    u = torch.randn(1, 2, 1, 1).expand(n, -1, -1, -1)
    y = torch.tensor([[30.0, 0.0], [0.0, 200.0]]).repeat(n, 1, 1, 1)  # phases are (0, 0), (1, 1), (0, 1), (1, 0)
    y[:, 0, 0, 1], y[:, 0, 1, 0] = torch.cartesian_prod(torch.arange(256.0), torch.arange(256.0)).unbind(1)
    hidden = torch.full((n,), withhold)
    with torch.no_grad():
        rate = rate_of(model, "y1", {"u": u}, y, Withheld(hidden, *[torch.zeros_like(hidden)] * 2))
        features = phases.features({"u": u[:1]})
        first = torch.zeros(())
        for i, value in enumerate((30.0, 200.0)):
            earlier = [torch.full((1, 1, 1, 1), 30.0)][:i]
            params = phases.parameters(i, features, earlier, hidden[:1])
            part = torch.full((1, 1, 1, 1), value)
            first = first + dmol_log_prob(params, part, Centre(torch.full_like(part, 128.0)), phases.layout).sum()
    assert float(torch.logsumexp(-rate.double(), 0) - first) == pytest.approx(0, abs=2e-3)
