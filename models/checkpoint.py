"""Checkpoints of training runs, as `selfcodec.models.train` writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from selfcodec.atomic import replacing
from selfcodec.errors import InputError, ModelError
from selfcodec.models.config import Recipe
from selfcodec.models.recipe import parse_recipe_dict
from selfcodec.models.selfvae import SelfVAE

CHECKPOINT = "checkpoint.pt"
_CONTENTS: dict[str, type] = {
    "recipe": dict,
    "step": int,
    "elapsed": float,
    "model": dict,
    "ema": dict,
    "optimizer": dict,
    "formats": dict,
    "generator": torch.Tensor,
}
"""A checkpoint holds at least these."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The contents of a checkpoint; InputError where there is none, ModelError where it is damaged."""
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged files
        raise ModelError(f"{path}: not a readable checkpoint ({type(error).__name__})") from error
    if not isinstance(state, dict) or not all(isinstance(state.get(key), kind) for key, kind in _CONTENTS.items()):
        raise ModelError(f"{path}: not a checkpoint of selfcodec")
    return state


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint beside the old one and then replaces it, so that one whole file always exists."""
    with replacing(os.path.realpath(path)) as file:
        torch.save(state, file)


@contextmanager
def taking(path: Path) -> Iterator[None]:
    """Within the block what a checkpoint holds is taken up; ModelError, naming it, where that does not fit."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: does not hold what its recipe needs ({type(error).__name__}); take another copy of it, or train"
            " anew in another output folder"
        ) from error


def load_trained(path: Path) -> tuple[Recipe, SelfVAE, dict[str, Any]]:
    """The averaged model of a checkpoint with its recipe, and the checkpoint's other contents."""
    state = read_checkpoint(path)
    recipe = parse_recipe_dict(state["recipe"], str(path))
    model = SelfVAE(recipe.model)
    with taking(path):
        model.load_state_dict(state["ema"])
        for name, net in model.graphs():
            net.formats = dict(state["formats"][name])
    return recipe, model.eval().requires_grad_(False), state
