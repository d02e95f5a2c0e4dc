"""Objectives: their weights, what they draw, and what they report."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tiny_selfvae import build, images

from selfcodec.models.likelihoods.likelihood import Withheld
from selfcodec.models.objectives.choice import build_objective
from selfcodec.models.objectives.likelihood import LikelihoodObjective
from selfcodec.models.training_config import LikelihoodObjectiveConfig

pytest_plugins = ("training_fixtures",)
pytestmark = pytest.mark.usefixtures("own_random_numbers")
CONFIG = LikelihoodObjectiveConfig(
    free_share=0.5, free_weight=3.0, generated_share=0.5, latent_weight=0.5, latent_warmup=0.0
)


def test_the_latents_weight_grows_to_its_value() -> None:
    objective = LikelihoodObjective(replace(CONFIG, latent_warmup=0.4))
    for fraction, expected in ((0.0, 0.005), (0.2, 0.05), (0.4, 0.5), (1.0, 0.5)):
        assert objective.latent_weight(fraction) == pytest.approx(expected)
    assert LikelihoodObjective(CONFIG).latent_weight(0.0) == 0.5


def test_latents_and_withheld_images_are_weighted() -> None:
    pairs = {"u": (1.0, 2.0), "y1": (10.0, 20.0), "z1": (4.0, 8.0), "x": (100.0, 200.0)}
    rates = {name: torch.tensor(pair) for name, pair in pairs.items()}
    context = torch.tensor([False, True])
    found = LikelihoodObjective(CONFIG).weighted(build(), rates, Withheld(context, context, context), 0.0)
    assert found == pytest.approx(0.5 * 1.5 + (10 + 3 * 20) / 2 + 0.5 * 6 + (100 + 3 * 200) / 2)


def test_without_weights_the_loss_is_the_sum_of_the_rates_in_bits_per_dimension() -> None:
    model = build()
    ys = images(model, count=3)
    plain = replace(CONFIG, free_share=0.0, latent_weight=1.0)
    loss, rates = build_objective(plain).loss(model, ys, 0.5)
    assert tuple(rates) == tuple(step.name for step in model.steps)
    assert all(rate.shape == (3,) for rate in rates.values())
    total = sum(float(rate.detach().mean()) for rate in rates.values())
    assert loss.item() == pytest.approx(total / (8 * 8 * 3) / math.log(2), rel=1e-5)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_contexts_and_noise_are_withheld_from_their_share_of_images() -> None:
    """The rates are the model's own, with every image's context shown and its latents drawn, or none and rounded."""
    model = build(posterior="uniform")
    ys = images(model, count=16)
    for share in (0.0, 1.0):
        config = replace(CONFIG, free_share=share, generated_share=0.0, rounded_share=share)
        hidden, none = torch.full((16,), share == 1.0), torch.zeros(16, dtype=torch.bool)
        torch.manual_seed(0)
        rates = build_objective(config).loss(model, ys, 0.0)[1]
        torch.manual_seed(0)
        Withheld.draw(16, torch.device("cpu"), share, 0.0, share)
        expected = model(ys, Withheld(hidden, none, hidden))
        assert all(torch.equal(rates[name], expected[name]) for name in expected)
