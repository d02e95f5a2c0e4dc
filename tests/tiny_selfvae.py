"""A tiny selfVAE in any variant, and images for it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from selfcodec.models.config import (
    DenseNetConfig,
    GaussianPosteriorConfig,
    GaussianPriorConfig,
    LatentConfig,
    MixturePriorConfig,
    ModelConfig,
    NetworkConfig,
    PhasesConfig,
    PosteriorConfig,
    PriorConfig,
    RealNVPConfig,
    ResidualConfig,
    UniformPosteriorConfig,
)
from selfcodec.models.data import with_transformations
from selfcodec.models.likelihoods.likelihood import Values, Withheld
from selfcodec.models.likelihoods.phases import Phases
from selfcodec.models.selfvae import SelfVAE
from selfcodec.schedule import Step

_SIZES = {"width": 4, "blocks": 1, "finest": 0, "encoder_width": 4, "encoder_blocks": 1, "encoder_folds": 1}
POSTERIORS: dict[str, PosteriorConfig] = {"uniform": UniformPosteriorConfig(), "gaussian": GaussianPosteriorConfig()}
PRIORS: dict[str, PriorConfig] = {
    "gaussian": GaussianPriorConfig(),
    "mog": MixturePriorConfig(mixtures=2),
    "realnvp": RealNVPConfig(layers=1, width=4),
}
NETWORKS: dict[str, NetworkConfig] = {
    "residual": ResidualConfig(**_SIZES),
    "densenet": DenseNetConfig(**_SIZES, growth=2, layers=1),
}


def build(
    seed: int = 0,
    *,
    transformation: str = "downscale",
    levels: int = 1,
    phases: Literal[1, 4] = 4,
    u_channels: int = 2,
    u_down: int = 1,
    z_channels: int = 2,
    z_down: int = 1,
    posterior: str = "gaussian",
    prior: str = "realnvp",
    network: str = "residual",
) -> SelfVAE:
    torch.manual_seed(seed)
    config = ModelConfig(
        transformation=transformation,
        levels=levels,
        u=LatentConfig(channels=u_channels, down=u_down),
        z=LatentConfig(channels=z_channels, down=z_down),
        posterior=POSTERIORS[posterior],
        prior=PRIORS[prior],
        network=NETWORKS[network],
        likelihood=PhasesConfig(phases=phases, mixtures=2, head_width=4, head_blocks=1),
    )
    return SelfVAE(config)


def images(model: SelfVAE, count: int = 2, side: int = 8, seed: int = 0) -> list[Tensor]:
    """[x, y_1, ..., y_K] of smooth random images, float (B, C, H, W)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 2, 2, 3)).repeat(-(-side // 2), 1).repeat(-(-side // 2), 2)[:, :side, :side]
    x = (coarse + rng.integers(-20, 20, coarse.shape)).clip(0, 255).astype(np.uint8)
    ys = with_transformations(x, model.config.transformation, model.config.levels)
    return [torch.from_numpy(y.transpose(0, 3, 1, 2).copy()).float() for y in ys]


def step_of(model: SelfVAE, name: str) -> Step:
    return next(step for step in model.steps if step.name == name)


def phases_of(model: SelfVAE, name: str) -> Phases:
    """The likelihood of a pixel variable."""
    family = model.pixels[name]
    assert isinstance(family, Phases)
    return family


def rate_of(model: SelfVAE, name: str, values: Values, target: Tensor, withheld: Withheld | None = None) -> Tensor:
    """-log p of a pixel variable's values, (B,) nats; nothing is withheld by default."""
    withheld = withheld or Withheld.nothing(len(target), target.device)
    return -model.pixels[name].log_prob(values, target, withheld, generate=False)[0]
