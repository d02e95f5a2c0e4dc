"""What training minimises, as an object that a recipe names."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from selfcodec.models.config import LikelihoodObjectiveConfig, ObjectiveConfig
from selfcodec.models.likelihoods.likelihood import Withheld
from selfcodec.models.selfvae import SelfVAE


class Objective(Protocol):
    """What a trainer needs to know of an objective."""

    def loss(self, model: SelfVAE, ys: list[Tensor], fraction: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch.

        Args:
            model: the model in training.
            ys: [x, y_1, ..., y_K], each (B, C, H, W), float tensors of integers 0..255.
            fraction: how much of the training's time is over, from 0 to 1.

        Returns:
            the loss, a scalar in bits per dimension of x; and for each variable in schedule order its rate (B,) in
            nats, to report.
        """


class LikelihoodObjective:
    """The negative evidence lower bound (paper eq. 11, 23), with weights for latents and for withheld images."""

    def __init__(self, config: LikelihoodObjectiveConfig) -> None:
        self.config = config

    def latent_weight(self, fraction: float) -> float:
        """The weight of the latents' rates once that share of the time is over."""
        c = self.config
        missing = max(0.0, 1 - fraction / c.latent_warmup) if c.latent_warmup else 0.0
        return c.latent_weight * 100.0**-missing

    def weighted(self, model: SelfVAE, rates: dict[str, Tensor], withheld: Withheld, fraction: float) -> Tensor:
        """The loss in nats an image from the rates (B,) in nats."""
        weight = torch.where(withheld.context, self.config.free_weight, 1.0)
        latents = {step.name for step in model.steps if step.target.kind == "latent"}
        terms = [
            (self.latent_weight(fraction) if name in latents else weight) * rate  # (B,)
            for name, rate in rates.items()
        ]
        return torch.stack([term.mean() for term in terms]).sum()

    def loss(self, model: SelfVAE, ys: list[Tensor], fraction: float) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Objective`; draws the images from which contexts are withheld."""
        c = self.config
        withheld = Withheld.draw(len(ys[0]), ys[0].device, c.free_share, c.generated_share)
        rates: dict[str, Tensor] = model(ys, withheld)
        return self.weighted(model, rates, withheld, fraction) / (ys[0][0].numel() * math.log(2)), rates


def build_objective(config: ObjectiveConfig) -> Objective:
    """The objective that a recipe names."""
    return LikelihoodObjective(config)
