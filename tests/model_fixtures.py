"""Fixtures of installed models, for the test modules that name this one in `pytest_plugins`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import variants

from selfcodec.images import Picture
from selfcodec.models.config import Recipe
from selfcodec.zoo import Model


@pytest.fixture(scope="session")
def variant_weights(tiny_recipe: Recipe, tiny_model_dir: Path, patches: npt.NDArray[np.uint8]) -> dict[str, bytes]:
    """Weights files: the tiny model with tiles of 32, and every variant."""
    weights = {name: variants.build(tiny_recipe, name, patches)[2] for name in variants.VARIANTS}
    return {"tiled": variants.with_tiles(tiny_model_dir / "tiny", 32), **weights}


@pytest.fixture(scope="module")
def models(
    tiny_model_dir: Path,
    tiny_model: Model,
    variant_weights: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Model]]:
    """All of them and the tiny model by name, installed while a module's tests run."""
    folder = tmp_path_factory.mktemp("variants")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELFCODEC_MODELS", os.pathsep.join((str(tiny_model_dir), str(folder))))
        installed = {name: variants.install(folder, name, data) for name, data in variant_weights.items()}
        yield {"tiny": tiny_model, **installed}


@pytest.fixture
def always_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stored fallback seems larger than any model's file; where only it is exact, it is taken all the same."""
    monkeypatch.setattr(Picture, "stored_size", 1 << 30)
