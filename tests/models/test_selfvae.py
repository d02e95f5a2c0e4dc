"""The selfVAE: every variant trains and generates."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from tiny_selfvae import build, images, rate_of

from selfcodec.models.likelihoods.likelihood import Withheld
from selfcodec.modes import schedule_order

SETTINGS = [
    (levels, transformation)
    for levels, transformation in product((0, 1, 2), ("downscale", "sketch", "grayscale", "bicubic"))
    if levels or transformation == "downscale"
]


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
        withheld = Withheld(*[torch.tensor([False, True])] * 3)
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
        value, scale = values[step.name], step.target.halvings
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
    u = model.generate((8, 8), {}, draw=False, batch=1)["u"].expand(200, -1, -1, -1)
    with torch.no_grad():
        drawn = [model.generate((8, 8), {"u": u}, draw=True, batch=200)["x"] for _ in range(2)]
        first, second = (rate_of(model, "x", {"u": u}, x) for x in drawn)
        noise = rate_of(model, "x", {"u": u}, torch.randint(0, 256, (200, 3, 8, 8)).float())
    error = math.sqrt(float(first.var() + second.var()) / 200)
    assert abs(float(first.mean() - second.mean())) < 5 * error
    assert noise.mean() > first.mean() + 100
