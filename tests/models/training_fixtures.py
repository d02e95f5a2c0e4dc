"""Recipes and images of training, for the test modules that name this one in `pytest_plugins`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from recipe_changes import changed
from trainer_state import CPU

from selfcodec.arrays import UInt8
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Recipe) -> Recipe:
    """The tiny model in its smallest batches."""
    return changed(tiny_recipe, train={"batch": 8, "minutes": 0.5})


@pytest.fixture(scope="module")
def small(patches: UInt8) -> ImageSet:
    """24 images of 16 x 16."""
    return ImageSet.build(patches[64:88, :16, :16], "downscale", 1, flip=False, device=CPU)


@pytest.fixture(scope="module")
def in_context(recipe: Recipe) -> Recipe:
    changes = {
        "transformation": "downscale4",
        "u": {"down": 1},
        "network": {"finest": 4, "encoder_folds": 2},
        "likelihood": {"kind": "context", "mixtures": 2, "head_width": 8, "head_blocks": 1},
    }
    return changed(recipe, name="in-context", model=changes)


@pytest.fixture(scope="module")
def of_context(patches: UInt8) -> ImageSet:
    return ImageSet.build(patches[64:96, :16, :16], "downscale4", 1, flip=False, device=CPU, augment=True)


@pytest.fixture
def own_random_numbers() -> Any:
    """Leaves torch's random numbers as they were."""
    with torch.random.fork_rng(devices=[]):
        yield
