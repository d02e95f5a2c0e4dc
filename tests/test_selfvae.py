"""The selfVAE: every variant trains, its objective is a bound, and no context leaks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from selfcodec.layout import WINDOW
from selfcodec.models.config import ModelConfig
from selfcodec.models.data import with_transformations
from selfcodec.models.distributions import Centre, dmol_log_prob, dmol_mean, gaussian_log_prob, window_start
from selfcodec.models.selfvae import MOST_WIDTH, SelfVAE, Values, Withheld
from selfcodec.modes import schedule_order
from selfcodec.schedule import Step

TINY: dict[str, Any] = {
    "transformation": "downscale",
    "levels": 1,
    "phases": 4,
    "context": False,
    "mixtures": 2,
    "u_channels": 2,
    "u_down": 1,
    "z_channels": 2,
    "z_down": 1,
    "posterior": "gaussian",
    "prior": "realnvp",
    "prior_layers": 1,
    "prior_width": 4,
    "prior_mixtures": 2,
    "network": "residual",
    "width": 4,
    "blocks": 1,
    "finest": 0,
    "width_q": 4,
    "blocks_q": 1,
    "folds_q": 1,
    "width_head": 4,
    "blocks_head": 1,
    "growth": 2,
    "layers": 1,
}
SETTINGS = [
    (levels, transformation)
    for levels, transformation in product((0, 1, 2), ("downscale", "sketch", "grayscale", "bicubic"))
    if levels or transformation == "downscale"
]


def build(seed: int = 0, **changes: Any) -> SelfVAE:
    torch.manual_seed(seed)
    return SelfVAE(ModelConfig(**{**TINY, **changes}))


def images(model: SelfVAE, count: int = 2, side: int = 8, seed: int = 0) -> list[Tensor]:
    """[x, y_1, ..., y_K] of smooth random images, float (B, C, H, W)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 2, 2, 3)).repeat(-(-side // 2), 1).repeat(-(-side // 2), 2)[:, :side, :side]
    x = (coarse + rng.integers(-20, 20, coarse.shape)).clip(0, 255).astype(np.uint8)
    ys = with_transformations(x, model.config.transformation, model.config.levels)
    return [torch.from_numpy(y.transpose(0, 3, 1, 2).copy()).float() for y in ys]


def step_of(model: SelfVAE, name: str) -> Step:
    return next(step for step in model.steps if step.name == name)


# Every variant.


@pytest.mark.parametrize("network", ["residual", "densenet"])
@pytest.mark.parametrize(("levels", "transformation"), SETTINGS)
def test_every_variant_trains(levels: int, transformation: str, network: str) -> None:
    """One step: all rates are there and finite, every parameter has a finite gradient.

    Numbers of phases alternate, so that over the transformations they meet every prior with every posterior.
    """
    variants = product(("gaussian", "mog", "realnvp"), ("gaussian", "uniform"))
    for i, (prior, posterior) in enumerate(variants, SETTINGS.index((levels, transformation)) + levels):
        variant = {"prior": prior, "posterior": posterior, "phases": (1, 4)[i % 2]}
        model = build(levels=levels, transformation=transformation, network=network, **variant)
        before = [parameter.detach().clone() for parameter in model.parameters()]
        withheld = Withheld(torch.tensor([False, True]), torch.tensor([False, True]))
        rates = model(images(model), withheld)
        assert tuple(rates) == schedule_order(levels), variant
        assert all(rate.shape == (2,) for rate in rates.values()), variant
        assert bool(torch.isfinite(torch.stack(list(rates.values()))).all()), variant
        assert all(bool((rate > 0).all()) for name, rate in rates.items() if name[0] in "xy"), variant
        torch.stack([rate.mean() for rate in rates.values()]).sum().backward()
        without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
        assert not without, variant
        gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        assert bool(torch.isfinite(gradients).all()), variant
        torch.optim.Adamax(model.parameters(), lr=1e-3).step()
        moved = torch.cat([(p.detach() - b).flatten() for p, b in zip(model.parameters(), before, strict=True)])
        assert bool(torch.isfinite(moved).all()), variant
        assert bool((moved[gradients.abs() > 1e-4] != 0).all()), variant


@pytest.mark.parametrize("draw", [True, False])
@pytest.mark.parametrize(("levels", "transformation"), SETTINGS)
@pytest.mark.parametrize("phases", [1, 4])
def test_generation_gives_images_of_every_variable(levels: int, transformation: str, phases: int, draw: bool) -> None:
    model = build(levels=levels, transformation=transformation, phases=phases)
    values = model.generate((16, 24), {}, draw=draw, batch=3)
    assert tuple(values) == schedule_order(levels)
    for step in model.steps:
        value, scale = values[step.name], step.target.scale
        assert value.shape == (3, step.target.channels, 16 >> scale, 24 >> scale)
        if step.target.kind == "pixels":
            assert value.min() >= 0
            assert value.max() <= 255
            assert torch.equal(value, value.round())


def test_generation_keeps_what_is_known_and_repeats_itself_unless_it_draws() -> None:
    model = build(levels=2)
    known = model.infer(images(model))
    del known["x"], known["z1"]
    first, again = (model.generate((8, 8), known, draw=False, batch=2) for _ in range(2))
    assert all(torch.equal(first[name], known[name]) for name in known)
    assert all(torch.equal(first[name], again[name]) for name in first)
    drawn, other = (model.generate((8, 8), known, draw=True, batch=2) for _ in range(2))
    assert all(torch.equal(drawn[name], known[name]) for name in known)
    assert not torch.equal(drawn["x"], other["x"])


def test_a_draw_follows_the_model_s_own_probabilities() -> None:
    """In a model trained on nothing, images drawn from it cost what its conditional entropies say: the rate of draws
    equals, on average, that of other draws, and the rate of unlike images is higher."""
    model = build(levels=0, phases=4, seed=3)
    step = step_of(model, "x")
    u = model.generate((8, 8), {}, draw=False, batch=1)["u"].expand(200, -1, -1, -1)
    nothing = Withheld.nothing(200, torch.device("cpu"))
    with torch.no_grad():
        drawn = [model.generate((8, 8), {"u": u}, draw=True, batch=200)["x"] for _ in range(2)]
        first, second = (model._pixels(step, {"u": u}, x, nothing)[0] for x in drawn)
        noise = model._pixels(step, {"u": u}, torch.randint(0, 256, (200, 3, 8, 8)).float(), nothing)[0]
    error = math.sqrt(float(first.var() + second.var()) / 200)
    assert abs(float(first.mean() - second.mean())) < 5 * error
    assert noise.mean() > first.mean() + 100


# The bound.


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
        rate, _ = model._pixels(step_of(model, "x"), {"u": u}, many, Withheld.nothing(len(u), torch.device("cpu")))
        log_joint = model.prior.log_prob(u).double() - rate.double()
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
    nothing = Withheld.nothing(n, torch.device("cpu"))
    with torch.no_grad():
        y_rate, _ = model._pixels(step_of(model, "y1"), values, values["y1"], nothing)
        x_rate, _ = model._pixels(step_of(model, "x"), values, x.expand(n, -1, -1, -1), nothing)
        log_z = gaussian_log_prob(z, *model.prior_parameters(step_of(model, "z1"), values)).sum((1, 2, 3))
        log_u = gaussian_log_prob(u, torch.zeros(1), torch.zeros(1)).sum((1, 2, 3))
    log_joint = (log_u + log_z - y_rate - x_rate).double()
    exact = float(torch.logsumexp(log_joint, 0)) + 2 * math.log(float(axis[1] - axis[0]))
    check_bound(log_weights(model, [x, y], 20000), exact)


def test_a_uniform_posterior_s_noise_stays_inside_what_networks_take() -> None:
    model = build(posterior="uniform")
    ys = images(model, 32)
    values = {"true x": ys[0], "u": torch.zeros(32, 2, 2, 2), "y1": ys[1]}
    step = step_of(model, "z1")
    mean = model.posterior(step, ys[0])[0]
    with torch.no_grad():
        for width, most in ((1.0, 0.5), (1e6, MOST_WIDTH / 2)):
            model.log_widths["z1"].fill_(math.log(width))
            noise = (model._latent(step, values)[0] - mean).abs()
            assert 0.9 * most < float(noise.max()) <= most * (1 + 1e-6)


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
    step, n = step_of(model, "y1"), 256 * 256
    u = torch.randn(1, 2, 1, 1).expand(n, -1, -1, -1)
    y = torch.tensor([[30.0, 0.0], [0.0, 200.0]]).repeat(n, 1, 1, 1)  # phases are (0, 0), (1, 1), (0, 1), (1, 0)
    y[:, 0, 0, 1], y[:, 0, 1, 0] = torch.cartesian_prod(torch.arange(256.0), torch.arange(256.0)).unbind(1)
    hidden = torch.full((n,), withhold)
    with torch.no_grad():
        rate, _ = model._pixels(step, {"u": u}, y, Withheld(hidden, torch.zeros_like(hidden)))
        features = model._net("p_y1")(u[:1])
        first = torch.zeros(())
        for i, value in enumerate((30.0, 200.0)):
            earlier = [torch.full((1, 1, 1, 1), 30.0)][:i]
            params = model.phase_parameters(step, i, features, earlier, hidden[:1])
            part = torch.full((1, 1, 1, 1), value)
            first = first + log_prob(model, step, params, part, torch.full_like(part, 128.0))
    assert float(torch.logsumexp(-rate.double(), 0) - first) == pytest.approx(0, abs=2e-3)


def log_prob(model: SelfVAE, step: Step, params: Tensor, x: Tensor, base: Tensor) -> Tensor:
    return dmol_log_prob(params, x, Centre(base), model.layout(step)).sum()


# What depends on what.


@contextmanager
def recorded(model: SelfVAE) -> Iterator[dict[str, list[Tensor]]]:
    """Every phase's parameters and base, as the model computes them."""
    seen: dict[str, list[Tensor]] = {"parameters": [], "base": []}
    parameters, base = model.phase_parameters, model.phase_base

    def phase_parameters(*args: Any) -> Tensor:
        seen["parameters"].append(parameters(*args))
        return seen["parameters"][-1]

    def phase_base(*args: Any) -> Tensor:
        seen["base"].append(base(*args))
        return seen["base"][-1]

    model.phase_parameters, model.phase_base = phase_parameters, phase_base  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        del model.phase_parameters, model.phase_base


def dependencies(model: SelfVAE, name: str, withheld: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """For image, phase i and phase j: whether i's parameters, and its base, depend on the target's phase j."""
    ys = images(model, count=len(withheld))
    values = model.infer(ys)
    target = values[name].clone().requires_grad_()
    values[name] = target
    with recorded(model) as seen:
        model._pixels(step_of(model, name), values, target, Withheld(withheld, torch.zeros_like(withheld)))
    tables = []
    for outputs in seen.values():
        table = np.zeros((len(withheld), 4, 4), bool)
        for i, out in enumerate(outputs):
            if not out.requires_grad:
                continue
            # Squares, since in a plain sum over outputs the gradients of a linear layer could cancel.
            grad = torch.autograd.grad(out.pow(2).sum(), target, allow_unused=True, retain_graph=True)[0]
            for j, (row, column) in enumerate(model.offsets):
                if grad is not None:
                    table[:, i, j] = grad[:, :, row::2, column::2].abs().amax((1, 2, 3)).numpy() > 0
        tables.append(table)
    return tables[0], tables[1]


@pytest.mark.parametrize("network", ["residual", "densenet"])
@pytest.mark.parametrize("name", ["x", "y1", "y2"])
def test_phases_see_those_before_them_and_withheld_images_see_none(name: str, network: str) -> None:
    model = build(6, levels=2, u_down=0, z_down=2, network=network)
    parameters, _ = dependencies(model, name, torch.tensor([False, True, False]))
    earlier = np.tril(np.ones((4, 4), bool), -1)
    assert (parameters[0] == earlier).all()
    assert not parameters[1].any()
    assert (parameters[2] == earlier).all()


def test_only_the_last_phase_s_base_sees_the_others_and_not_where_withheld() -> None:
    model = build(6, levels=2, u_down=0, z_down=2)
    for name in ("x", "y1"):
        _, base = dependencies(model, name, torch.tensor([False, True]))
        expected = np.zeros((4, 4), bool)
        expected[3, :3] = True
        assert (base[0] == expected).all()
        assert not base[1].any()
    assert not dependencies(model, "y2", torch.tensor([False, True]))[1].any()


def test_one_image_s_flag_does_not_touch_another() -> None:
    model = build(7)
    ys = images(model, count=2)
    values = model.infer(ys)
    rates = {}
    for flags in ((False, False), (False, True), (True, True)):
        hidden = torch.tensor(flags)
        rate, _ = model._pixels(step_of(model, "x"), values, ys[0], Withheld(hidden, torch.zeros_like(hidden)))
        rates[flags] = rate.detach()
    assert rates[False, False][0] == pytest.approx(rates[False, True][0].item(), rel=1e-6)
    assert rates[True, True][1] == pytest.approx(rates[False, True][1].item(), rel=1e-6)
    assert rates[False, False][1] != pytest.approx(rates[False, True][1].item(), rel=1e-6)


def test_the_base_of_the_last_phase_follows_from_the_known_sum() -> None:
    """y = (sum + 2) >> 2, so that 4 y less the other three is within [-1, 2] of the fourth."""
    model = build(0, levels=2, u_down=0, z_down=1)
    ys = images(model, count=16, side=8)
    for name, x, y in (("x", ys[0], ys[1]), ("y1", ys[1], ys[2])):
        step = step_of(model, name)
        phases = model._phases(x)
        shown = torch.zeros(16, dtype=torch.bool)
        base = model.phase_base(step, 3, y, phases[:3], shown)
        assert (base - phases[3]).min() >= -1
        assert (base - phases[3]).max() <= 2
        inside = phases[3] - window_start(base)
        assert inside.min() >= 0
        assert inside.max() < WINDOW
        assert torch.equal(model.phase_base(step, 3, y, phases[:3], ~shown), y)
        assert all(torch.equal(model.phase_base(step, i, y, phases[:i], shown), y) for i in range(3))
        assert [model.sum_is_known(step, i) for i in range(4)] == [False, False, False, True]
    assert not model.sum_is_known(step_of(model, "y2"), 3)


@pytest.mark.parametrize(("transformation", "phases"), [("bicubic", 4), ("sketch", 4), ("downscale", 1)])
def test_no_known_sum_without_box_averaging_in_four_phases(transformation: str, phases: int) -> None:
    model = build(0, transformation=transformation, phases=phases)
    base = torch.full((1, 3, 4, 4), 77.0)
    earlier = [torch.rand(1, 3, 4, 4)] * (phases - 1)
    step, shown = step_of(model, "x"), torch.zeros(1, dtype=torch.bool)
    assert torch.equal(model.phase_base(step, phases - 1, base, earlier, shown), base)


@pytest.mark.parametrize("phases", [1, 4])
def test_means_start_from_y_where_it_is_a_smaller_image_and_from_grey_elsewhere(phases: int) -> None:
    for transformation, follows in (("downscale", True), ("bicubic", True), ("blur", False), ("sketch", False)):
        model = build(0, transformation=transformation, phases=phases)
        ys = images(model)
        size = model._phases(ys[0])[0].shape
        base = model.base(step_of(model, "x"), {"y1": ys[1], "z1": torch.zeros(1)}, size)
        assert base.shape == size
        if follows:
            assert torch.equal(base, ys[1] if phases == 4 else ys[1].repeat_interleave(2, 2).repeat_interleave(2, 3))
        else:
            assert (base == 128).all()


def test_phases_take_an_image_apart_and_put_it_together() -> None:
    for phases in (1, 4):
        model = build(0, phases=phases)
        x = torch.rand(2, 3, 6, 8)
        assert torch.equal(model._assemble(model._phases(x)), x)


def test_generated_y_take_the_place_of_true_ones_only_where_asked() -> None:
    model = build(8, levels=1)
    ys = images(model, count=3)
    step, values = step_of(model, "y1"), model.infer(ys)
    withheld = Withheld(torch.tensor([False, True, True]), torch.tensor([False, False, True]))
    _, result = model._pixels(step, values, ys[1], withheld)
    assert torch.equal(result[:2], ys[1][:2])
    alone = model.generate((8, 8), {"u": values["u"]}, draw=False, batch=3)["y1"]
    assert torch.equal(result[2], alone[2])
    _, other = model._pixels(step, values, 255 - ys[1], withheld)
    assert torch.equal(other[2], result[2])


def test_without_context_generation_takes_every_phase_s_mean_at_once() -> None:
    model = build(9, levels=0)
    u = torch.randn(2, 2, 4, 4)
    step, hidden = step_of(model, "x"), torch.ones(2, dtype=torch.bool)
    with torch.no_grad():
        features = model._net("p_x")(u)
        base = torch.full((2, 3, 4, 4), 128.0)
        grey = [base] * 3
        parts = [
            dmol_mean(model.phase_parameters(step, i, features, grey[:i], hidden), Centre(base), model.layout(step))
            for i in range(4)
        ]
    assert torch.equal(model.generate((8, 8), {"u": u}, draw=False, batch=2)["x"], model._assemble(parts))


def test_draw_of_withheld_images() -> None:
    torch.manual_seed(0)
    drawn = Withheld.draw(20000, torch.device("cpu"), 0.3, 0.4)
    assert float(drawn.context.float().mean()) == pytest.approx(0.3, abs=0.02)
    assert float(drawn.truth.float().mean()) == pytest.approx(0.12, abs=0.02)
    assert not (drawn.truth & ~drawn.context).any()
    nothing = Withheld.nothing(4, torch.device("cpu"))
    assert not (nothing.context | nothing.truth).any()
