"""The optimizers that recipes choose from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from selfcodec.models.config import AdaMaxConfig, AdamConfig, MuonConfig, OptimizerConfig
from selfcodec.models.selfvae import SelfVAE

EPSILON = 1e-5
"""Adam and AdaMax have this epsilon, far below the gradients of what matters. With their usual 1e-8, networks of a
latent that carries nothing, whose gradients are noise of 1e-6, would walk at random in steps of full length, until the
latent explodes."""


def _matrix(weight: Tensor) -> Tensor:
    """A convolution's weight (O, I, k, k), channels last in memory, as the matrix (O, k k I); no copy.

    Of a transposed one, (I, O, k, k), as (I, k k O).
    """
    return weight.detach().permute(0, 2, 3, 1).reshape(len(weight), -1)


class Muon:
    """Muon for the convolutions of the pixels' likelihoods, Adam for everything else.

    Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) makes a matrix' momentum orthogonal before
    following it, scaled so that Adam's learning rates fit (https://arxiv.org/abs/2502.16982). It follows a gradient of
    mere noise at full length, too; so latents, which may carry nothing, are left to Adam.

    Raises:
        ValueError: the model is not channels last in memory.
    """

    def __init__(self, model: SelfVAE, learning_rate: float) -> None:
        pixels = {id(p) for net in model.pixel_networks() for p in net.weights.values()}
        self._weights = [p for p in model.parameters() if id(p) in pixels]
        self._matrices = [nn.Parameter(_matrix(weight)) for weight in self._weights]
        for matrix, weight in zip(self._matrices, self._weights, strict=True):
            if matrix.data_ptr() != weight.data_ptr():
                raise ValueError("Muon needs weights that are channels last in memory")
        rest = [p for p in model.parameters() if id(p) not in pixels]
        self._adam = torch.optim.Adam(rest, lr=learning_rate, eps=EPSILON)
        self._muon = torch.optim.Muon(
            self._matrices, lr=learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
        )
        self.param_groups = [*self._adam.param_groups, *self._muon.param_groups]

    def zero_grad(self) -> None:
        self._adam.zero_grad()
        for weight in self._weights:
            weight.grad = None

    def step(self) -> None:
        self._adam.step()
        for matrix, weight in zip(self._matrices, self._weights, strict=True):
            matrix.grad = None if weight.grad is None else _matrix(weight.grad)
        self._muon.step()

    def state_dict(self) -> dict[str, Any]:
        return {"adam": self._adam.state_dict(), "muon": self._muon.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._adam.load_state_dict(state["adam"])
        self._muon.load_state_dict(state["muon"])
        self.param_groups = [*self._adam.param_groups, *self._muon.param_groups]


Optimizer = Muon | torch.optim.Optimizer


def build_optimizer(config: OptimizerConfig, model: SelfVAE) -> Optimizer:
    """The optimizer that a recipe names, at its peak rate."""
    if isinstance(config, MuonConfig):
        return Muon(model, config.learning_rate)
    plain: dict[type[OptimizerConfig], type[torch.optim.Optimizer]] = {
        AdaMaxConfig: torch.optim.Adamax,
        AdamConfig: torch.optim.Adam,
    }
    return plain[type(config)](model.parameters(), lr=config.learning_rate, eps=EPSILON)  # type: ignore[call-arg]
