"""A tiny model that is lossy only, of transforms, as recipe and as network and exported model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import variants
from recipe_changes import changed

from selfcodec.arrays import UInt8
from selfcodec.models.config import Recipe
from selfcodec.models.data import ImageSet
from selfcodec.models.export import export_model
from selfcodec.models.objectives.choice import build_objective
from selfcodec.models.selfvae import SelfVAE
from selfcodec.zoo import Model

CPU = torch.device("cpu")
NETWORK: dict[str, Any] = {
    "kind": "transform",
    "widths": [8, 8],
    "analysis_blocks": [1, 1],
    "synthesis_blocks": [1, 1],
    "thumbnail_width": 8,
    "thumbnail_blocks": 1,
    "entropy_width": 8,
}
MODEL: dict[str, Any] = {
    "transformation": "downscale4",
    "u": {"channels": 3, "down": 1},
    "z": {"channels": 12, "down": 2},
    "posterior": {"kind": "transform"},
    "prior": {"kind": "mog", "mixtures": 2},
    "network": NETWORK,
    "likelihood": {"kind": "reconstruction"},
    "z_likelihood": {"kind": "groups", "groups": [2, 4, 6]},
}
OBJECTIVE: dict[str, Any] = {
    "kind": "rate_distortion",
    "lambda_low": 1e-3,
    "lambda_high": 0.1,
    "first_lambda": 2e-3,
    "last_lambda": 0.05,
    "exponent": 0.35,
    "weight": 0.2,
    "top_weight": 3.0,
    "thumbnail_weight": 1.5e-4,
}
OPTIMIZER = {
    "kind": "muon",
    "weights": "inner",
    "learning_rate": 3e-3,
    "final_rate": 0.02,
    "warmup": 5,
    "second_decay": 0.99,
    "epsilon": 1e-8,
}


def lossy_recipe(tiny: Recipe) -> Recipe:
    train = {"batch": 8, "minutes": 0.5, "objective": OBJECTIVE, "optimizer": OPTIMIZER}
    return changed(tiny, name="lossy", model=MODEL, train=train)


def image_set(images: UInt8) -> ImageSet:
    return ImageSet.build(images, "downscale4", 1, flip=False, device=CPU)


def started(recipe: Recipe, patches: UInt8) -> SelfVAE:
    """The model as it is before its first step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = SelfVAE(recipe.model)
        images = image_set(patches)
        build_objective(recipe.train.objective).initialise(model, images, 8, torch.Generator().manual_seed(0))
    return model


def perturbed(model: SelfVAE) -> SelfVAE:
    """With weights of all networks away from their start, so that all of them count."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(4)
        for _, net in model.graphs():
            for weight in net.weights.values():
                weight.add_(0.03 * torch.randn_like(weight))
    return model


def pair(recipe: Recipe, patches: UInt8, folder: Path) -> tuple[SelfVAE, Model]:
    """The network, which rounds, and the model that is exported of it."""
    network = perturbed(started(recipe, patches)).eval()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        data = export_model(recipe, network, image_set(patches[:16]))
    return network, variants.install(folder, recipe.name, data)
