"""A step of training: gradients, averages, what changes with time, and the objective; evaluation."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from trainer_state import CPU, parameters

from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.selfvae import Withheld
from selfcodec.models.train import Trainer, bits_per_dim, evaluate

pytest_plugins = ("training_fixtures",)
pytestmark = pytest.mark.usefixtures("own_random_numbers")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_step_without_finite_gradients_is_skipped(
    recipe: Recipe, small: ImageSet, tmp_path: Path, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(recipe, tmp_path, CPU)
    trainer.train_step(small.batch(torch.arange(8)))
    before, state = parameters(trainer).clone(), trainer.optimizer.state_dict()["state"][0]["step"].clone()
    objective = trainer._objective
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "_objective", lambda rates, withheld: value * objective(rates, withheld))
        trainer.train_step(small.batch(torch.arange(8)))
    assert torch.equal(parameters(trainer), before)
    assert torch.equal(trainer.optimizer.state_dict()["state"][0]["step"], state)
    assert all(bool(torch.isfinite(p).all()) for p in trainer.ema.parameters())
    assert trainer.step == 2
    trainer.train_step(small.batch(torch.arange(8)))
    assert not torch.equal(parameters(trainer), before)


def test_gradients_are_clipped(recipe: Recipe, small: ImageSet, tmp_path: Path) -> None:
    tight = replace(recipe, train=replace(recipe.train, clip=1e-3))
    trainer = Trainer(tight, tmp_path, CPU)
    trainer.train_step(small.batch(torch.arange(8)))
    norm = torch.stack([p.grad.norm() for p in trainer.model.parameters() if p.grad is not None]).norm()
    assert norm == pytest.approx(1e-3, rel=1e-3)


def test_the_average_follows_the_weights(recipe: Recipe, small: ImageSet, tmp_path: Path) -> None:
    trainer = Trainer(recipe, tmp_path, CPU)
    averaged = torch.cat([p.flatten() for p in trainer.ema.parameters()]).clone()
    trainer.train_step(small.batch(torch.arange(8)))
    found = torch.cat([p.flatten() for p in trainer.ema.parameters()])
    torch.testing.assert_close(found, averaged + 0.9 * (parameters(trainer) - averaged))  # 1 - min(0.9, 1 / 10)


def test_the_learning_rate_warms_up_and_falls(recipe: Recipe, tmp_path: Path) -> None:
    settings = replace(recipe.train, warmup=10, learning_rate=1.0, final_rate=0.1, minutes=1.0)
    trainer = Trainer(replace(recipe, train=settings), tmp_path, CPU)
    assert trainer.learning_rate() == pytest.approx(0.1)
    trainer.step = 4
    assert trainer.learning_rate() == pytest.approx(0.5)
    trainer.step = 1000
    for elapsed, expected in ((0.0, 1.0), (30.0, 0.55), (60.0, 0.1), (90.0, 0.1)):
        trainer.elapsed = elapsed
        assert trainer.learning_rate() == pytest.approx(expected)


def test_the_latents_weight_grows_to_its_value(recipe: Recipe, tmp_path: Path) -> None:
    settings = replace(recipe.train, latent_weight=0.5, latent_warmup=0.4, minutes=1.0)
    trainer = Trainer(replace(recipe, train=settings), tmp_path, CPU)
    for elapsed, expected in ((0.0, 0.005), (12.0, 0.05), (24.0, 0.5), (60.0, 0.5)):
        trainer.elapsed = elapsed
        assert trainer.latent_weight() == pytest.approx(expected)
    trainer = Trainer(replace(recipe, train=replace(settings, latent_warmup=0.0)), tmp_path, CPU)
    assert trainer.latent_weight() == 0.5


def test_the_objective_weighs_latents_and_withheld_images(recipe: Recipe, tmp_path: Path) -> None:
    settings = replace(recipe.train, latent_weight=0.5, latent_warmup=0.0, free_weight=3.0)
    trainer = Trainer(replace(recipe, train=settings), tmp_path, CPU)
    pairs = {"u": (1.0, 2.0), "y1": (10.0, 20.0), "z1": (4.0, 8.0), "x": (100.0, 200.0)}
    rates = {name: torch.tensor(pair) for name, pair in pairs.items()}
    context = torch.tensor([False, True])
    found = trainer._objective(rates, Withheld(context, context))
    assert found == pytest.approx(0.5 * 1.5 + (10 + 3 * 20) / 2 + 0.5 * 6 + (100 + 3 * 200) / 2)


def test_bits_per_dim() -> None:
    rates = {"x": torch.tensor([math.log(2), 3 * math.log(2)]) * 10}
    assert bits_per_dim(rates, 10)["x"] == pytest.approx(2)


def test_evaluation_repeats_itself_and_leaves_random_numbers_alone(
    recipe: Recipe, small: ImageSet, tmp_path: Path
) -> None:
    trainer = Trainer(recipe, tmp_path, CPU)
    state = torch.random.get_rng_state()
    first, again = (evaluate(trainer.ema, small, batch=64) for _ in range(2))
    assert first == again
    assert torch.equal(torch.random.get_rng_state(), state)
    parts = evaluate(trainer.ema, small, batch=24)
    assert sum(parts.values()) == pytest.approx(sum(first.values()), rel=0.02)
