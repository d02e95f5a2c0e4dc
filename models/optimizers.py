"""The optimizers that recipes choose from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from selfcodec.models.selfvae import SelfVAE
from selfcodec.models.training_config import EPSILON, AdaMaxConfig, AdamConfig, MuonConfig, OptimizerConfig
from selfcodec.networks.graph import CONVOLUTIONS, PASS_THROUGH, Graph


def _matrix(weight: Tensor) -> Tensor:
    """A convolution's weight (O, I, k, k), channels last in memory, as the matrix (O, k k I); no copy.

    Of a transposed one, (I, O, k, k), as (I, k k O).
    """
    return weight.detach().permute(0, 2, 3, 1).reshape(len(weight), -1)


def inner_convolutions(graph: Graph) -> Iterator[str]:
    """Names of all convolutions but those whose values a network gives out: as they are, or rearranged into a term."""
    outer, read = {graph.output.name}, {graph.output.name}
    for node in reversed(graph.nodes):
        if node.name in read and node.op in PASS_THROUGH:
            outer.update(node.inputs)
            read.update(node.inputs)
        elif node.name in read and node.op == "add":
            outer.discard(node.name)
            read.update(node.inputs)
    yield from (node.name for node in graph.nodes if node.op in CONVOLUTIONS and node.name not in outer)


class Muon:
    """Muon for some convolutions, Adam for everything else.

    Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) makes a matrix' momentum orthogonal before
    following it, scaled so that Adam's learning rates fit (https://arxiv.org/abs/2502.16982). It follows a gradient of
    mere noise at full length, too. So in models that are trained for likelihood, whose latents may carry nothing, it
    moves the pixels' likelihoods alone; in others, as its authors advise, all but what a network gives out.

    Raises:
        ValueError: the model is not channels last in memory.
    """

    def __init__(self, model: SelfVAE, config: MuonConfig) -> None:
        chosen = {id(p) for p in self._chosen(model, config)}
        self._weights = [p for p in model.parameters() if id(p) in chosen]
        self._matrices = [nn.Parameter(_matrix(weight)) for weight in self._weights]
        for matrix, weight in zip(self._matrices, self._weights, strict=True):
            if matrix.data_ptr() != weight.data_ptr():
                raise ValueError("Muon needs weights that are channels last in memory")
        rest = [p for p in model.parameters() if id(p) not in chosen]
        rate, decays = config.learning_rate, (0.9, config.second_decay)
        self._adam = torch.optim.Adam(rest, lr=rate, betas=decays, eps=config.epsilon)
        self._muon = torch.optim.Muon(self._matrices, lr=rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
        self.param_groups = [*self._adam.param_groups, *self._muon.param_groups]

    @staticmethod
    def _chosen(model: SelfVAE, config: MuonConfig) -> Iterator[nn.Parameter]:
        if config.weights == "pixels":
            for net in model.pixel_networks():
                yield from net.weights.values()
            return
        for _, net in model.graphs():
            inner = set(inner_convolutions(net.graph))
            yield from (net.parameter(node) for node in net.graph.nodes if node.name in inner)

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
        return Muon(model, config)
    plain: dict[type[OptimizerConfig], type[torch.optim.Optimizer]] = {
        AdaMaxConfig: torch.optim.Adamax,
        AdamConfig: torch.optim.Adam,
    }
    return plain[type(config)](model.parameters(), lr=config.learning_rate, eps=EPSILON)  # type: ignore[call-arg]
