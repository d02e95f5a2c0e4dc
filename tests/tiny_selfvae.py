"""A tiny selfVAE in any variant, and images for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfcodec.models.config import ModelConfig
from selfcodec.models.data import with_transformations
from selfcodec.models.selfvae import SelfVAE
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
