"""A step of training: gradients, averages, what changes with time; evaluation."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from recipe_changes import changed
from torch import Tensor
from trainer_state import CPU, parameters

from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.evaluation import bits_per_dim, evaluate
from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.train import Trainer

pytest_plugins = ("training_fixtures",)
pytestmark = pytest.mark.usefixtures("own_random_numbers")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_step_without_finite_gradients_is_skipped(
    recipe: Recipe, small: ImageSet, tmp_path: Path, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(recipe, tmp_path, CPU)
    trainer.train_step(small.batch(torch.arange(8)))
    before, state = parameters(trainer).clone(), trainer.optimizer.state_dict()["state"][0]["step"].clone()
    loss = trainer.objective.loss

    def broken(model: SelfVAE, ys: list[Tensor], fraction: float) -> tuple[Tensor, dict[str, Tensor]]:
        whole, rates = loss(model, ys, fraction)
        return value * whole, rates

    with monkeypatch.context() as patch:
        patch.setattr(trainer.objective, "loss", broken)
        trainer.train_step(small.batch(torch.arange(8)))
    assert torch.equal(parameters(trainer), before)
    assert torch.equal(trainer.optimizer.state_dict()["state"][0]["step"], state)
    assert all(bool(torch.isfinite(p).all()) for p in trainer.ema.parameters())
    assert trainer.step == 2
    trainer.train_step(small.batch(torch.arange(8)))
    assert not torch.equal(parameters(trainer), before)


def test_gradients_are_clipped(recipe: Recipe, small: ImageSet, tmp_path: Path) -> None:
    trainer = Trainer(changed(recipe, train={"clip": 1e-3}), tmp_path, CPU)
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
    optimizer = {"warmup": 10, "learning_rate": 1.0, "final_rate": 0.1}
    trainer = Trainer(changed(recipe, train={"minutes": 1.0, "optimizer": optimizer}), tmp_path, CPU)
    assert trainer.learning_rate() == pytest.approx(0.1)
    trainer.step = 4
    assert trainer.learning_rate() == pytest.approx(0.5)
    trainer.step = 1000
    for elapsed, expected in ((0.0, 1.0), (30.0, 0.55), (60.0, 0.1), (90.0, 0.1)):
        trainer.elapsed = elapsed
        assert trainer.learning_rate() == pytest.approx(expected)


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
