"""Recipes of the paper's models: in its own size, and small ones of equal compute; what docs/paper.md says of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from recipe_changes import changed
from torch.utils.flop_counter import FlopCounterMode
from trainer_state import CPU, parameters

from selfcodec.models.config import ModelConfig, Recipe
from selfcodec.models.data import ImageSet, as_batch
from selfcodec.models.objectives.choice import build_objective
from selfcodec.models.recipe import load_recipe, recipe_directory
from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.train import Trainer

SMALL = (
    "cifar10-vae",
    "celeba-vae",
    "celeba-sketch",
    "celeba-downscale3",
    "imagenette64-vae",
    "imagenette64-downscale3",
)
META = torch.device("meta")
LEVELS = {"vae": 0, "downscale": 1, "sketch": 1, "downscale3": 3}
PAPER_SIZE = (32e6, 42e6)
"""The paper's models have so many parameters (section 4.1)."""


def _parameters(model: ModelConfig) -> int:
    with META:
        return sum(p.numel() for p in SelfVAE(model).parameters())


def _cost(recipe: Recipe) -> float:
    """Multiply-adds of a training step; nothing is computed, only counted."""
    side = recipe.train.patch
    image = np.zeros((1, side, side, 3), np.uint8)
    with META, FlopCounterMode(display=False) as counted:
        ys = [y.to(META) for y in as_batch(image, recipe.model.transformation, recipe.model.levels, CPU)]
        loss, _ = build_objective(recipe.train.objective).loss(SelfVAE(recipe.model), ys, 0.5)
        loss.backward()
    return counted.get_total_flops() / 2 * recipe.train.batch


def test_small_recipes_of_the_paper_cost_the_same() -> None:
    """Within 10 %, and what their comments say."""
    costs = {name: _cost(load_recipe(name)) for name in (*SMALL, "cifar10-downscale")}
    assert max(costs.values()) < 1.1 * min(costs.values())
    for name in SMALL:
        text = (recipe_directory() / f"{name}.toml").read_text(encoding="utf-8")
        found = re.search(r"([\d.]+) G\s+(?:# )?multiply-adds for a training", " ".join(text.split("\n# ")))
        assert found is not None, name
        assert float(found[1]) == round(costs[name] / 1e9, 1), name


@pytest.mark.parametrize("name", SMALL)
def test_small_recipes_of_the_paper_train(name: str, tmp_path: Path) -> None:
    recipe = changed(load_recipe(name), train={"batch": 2})
    side = recipe.train.patch
    images = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    sets = ImageSet.build(images, recipe.model.transformation, recipe.model.levels, flip=True, device=CPU)
    trainer = Trainer(recipe, tmp_path, CPU)
    before = parameters(trainer)
    terms = trainer.train_step(next(sets.random_batches(2, trainer.generator)))
    assert list(terms) == [step.name for step in trainer.model.steps]
    assert all(bool(torch.isfinite(term).all()) for term in terms.values())
    assert not torch.equal(parameters(trainer), before)


@pytest.mark.parametrize("name", [*SMALL, "cifar10-downscale"])
def test_recipes_of_the_papers_size_are_of_its_models(name: str) -> None:
    recipe = load_recipe(f"{name}-paper")
    model = recipe.model
    assert model.levels == load_recipe(name).model.levels == LEVELS[name.rpartition("-")[2]]
    assert (model.network.kind, model.prior.kind, model.posterior.kind) == ("densenet", "realnvp", "gaussian")
    assert recipe.train.optimizer.kind == "adamax"
    assert PAPER_SIZE[0] <= _parameters(model) <= PAPER_SIZE[1]


def test_the_documentation_counts_parameters_as_they_are() -> None:
    """Rows of docs/paper.md begin with a recipe, then millions of parameters of it, and of its size of the paper."""
    text = (Path(__file__).parents[2] / "docs" / "paper.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| ([\d.]+) \| ([\d.]+) \|", text, re.MULTILINE)
    assert sorted(name for name, *_ in rows) == sorted([*SMALL, "cifar10-downscale"])
    for name, *millions in rows:
        counts = [_parameters(load_recipe(each).model) / 1e6 for each in (name, f"{name}-paper")]
        assert millions == [f"{counts[0]:.2f}", f"{counts[1]:.1f}"], name


@pytest.mark.parametrize("name", ["cifar10-downscale-paper", "celeba-downscale3-paper"])
def test_the_documentation_counts_multiply_adds_as_they_are(name: str) -> None:
    """Rows of docs/training.md begin with recipes, then millions of parameters, and 10**12 multiply-adds a step."""
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    found = re.search(rf"^\| `{name}`[^|]*\| ([\d.]+) \| ([\d.]+) \| [\d.]+ \|$", text, re.MULTILINE)
    assert found is not None
    recipe = load_recipe(name)
    assert found.groups() == (f"{_parameters(recipe.model) / 1e6:.1f}", f"{_cost(recipe) / 1e12:.2f}")
