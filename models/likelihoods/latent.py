"""What latents' likelihoods have in common, and the plain one: Gaussians (paper eq. 15)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from selfcodec.models.config import ModelConfig
from selfcodec.models.distributions import gaussian_bin_log_prob, gaussian_log_prob, latent_log_scale
from selfcodec.models.layers import FloatGraph
from selfcodec.models.likelihoods.likelihood import Likelihood, Values, network, parent_inputs
from selfcodec.models.networks import Style, trunk
from selfcodec.schedule import Step


def to_integers(values: Tensor, bits: int) -> list[Any]:
    """Real numbers as the integers that a specification holds, in 2**-bits; nested lists."""
    return torch.floor(values.double() * 2**bits + 0.5).long().tolist()


class LatentLikelihood(Likelihood):
    """p(latent | parents), and where the grid lies on which the codec sends the latent."""

    def to_grid(self, z: Tensor) -> Tensor:
        """The latent (B, C, h, w) where its grid lies."""
        return z

    def from_grid(self, v: Tensor) -> Tensor:
        """The inverse of `to_grid`."""
        return v

    def deviation_on_grid(self, mean: Tensor, deviation: Tensor) -> Tensor:
        """Standard deviations (B, C, h, w) around means of the latent, carried over to where its grid lies."""
        return deviation

    def log_width(self, values: Values) -> Tensor | None:
        """The grid's log-widths (B, C, 1, 1) where the likelihood knows them; None where the posterior does."""
        return None

    @abstractmethod
    def log_prob(self, z: Tensor, values: Values) -> Tensor:
        """Log-density of the latent (B, C, h, w) given its parents, (B,), nats."""

    @abstractmethod
    def log_mass(self, v: Tensor, width: Tensor, values: Values) -> Tensor:
        """Log-mass of the bins of a width, (C, 1, 1), around points of the grid's space, (B,), nats."""

    def thrifty(self, mean: Tensor, width: Tensor, values: Values) -> tuple[Tensor, Tensor]:
        """What encoders send of means of the grid's space, and its log-mass; by default the nearest points.

        Args:
            mean: (B, C, h, w), without gradient.
            width: of the grid, (C, 1, 1) or (B, C, 1, 1), without gradient.
            values: of the parents.

        Returns:
            points (B, C, h, w), and (B,), nats.
        """
        points = (mean / width).round() * width
        return points, self.log_mass(points, width, values)

    @abstractmethod
    def settings(self, widths: list[Any]) -> dict[str, Any]:
        """What the codec's family of this kind is set by; `widths` are the grid's, by channel, in 2**-12.

        Where they depend on the quality they are nested, by quality 1..100 and channel.
        """

    def start(self, log_width: Tensor, log_scale: Tensor) -> None:
        """Sets what is learned of the grid, if anything: log-widths at lambda 1 and log-deviations, (C,)."""

    def take(self, settings: Mapping[str, Any], planes: tuple[int, ...]) -> None:
        """Takes what an exported model's settings say beside its networks; by default they say nothing.

        Args:
            settings: of the codec's family of this kind.
            planes: the qualities 1..100 as networks see them, in 2**-6.
        """


class GivenLatent(LatentLikelihood):
    """p(latent | parents) of a latent that has parents.

    Args:
        step: the latent's factor.
        model: the recipe's table of the model.
        nets: the model's networks.
        grids: what families learn of grids, by name; the model's too.
    """

    @staticmethod
    @abstractmethod
    def networks(step: Step, model: ModelConfig) -> dict[str, FloatGraph]:
        """The networks that it needs, new, by name."""

    @staticmethod
    def grids(step: Step) -> dict[str, nn.Parameter]:
        """What the family learns besides its networks, new, by name: nothing."""
        return {}

    def __init__(self, step: Step, model: ModelConfig, nets: nn.ModuleDict, grids: nn.ParameterDict) -> None:
        super().__init__(step, nets)


class Latent(GivenLatent):
    """p(z_k | parents), one Gaussian a value from a network of the parents (paper eq. 15); its grid is its own."""

    kind = "latent"

    @staticmethod
    def networks(step: Step, model: ModelConfig) -> dict[str, FloatGraph]:
        c, target = model.blocks, step.target
        graph = trunk(Style.of(c, c.width, c.blocks, c.finest), step.parents, target.halvings, 2 * target.channels)
        return {f"p_{step.name}": FloatGraph(graph, weight_norm=c.weight_norm)}

    def parameters(self, values: Values) -> tuple[Tensor, Tensor]:
        """Mean and log-scale, each (B, C, h, w)."""
        net = network(self._nets, f"p_{self.step.name}")
        mean, raw = net(*parent_inputs(self.step, values)).float().chunk(2, 1)
        return mean, latent_log_scale(raw)

    def log_prob(self, z: Tensor, values: Values) -> Tensor:
        return gaussian_log_prob(z, *self.parameters(values)).sum((1, 2, 3))

    def log_mass(self, v: Tensor, width: Tensor, values: Values) -> Tensor:
        return gaussian_bin_log_prob(v, *self.parameters(values), width).sum((1, 2, 3))

    def mean(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        return self.parameters(values)[0]

    def sample(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        mean, log_scale = self.parameters(values)
        return mean + log_scale.exp() * torch.randn_like(mean)

    def settings(self, widths: list[Any]) -> dict[str, Any]:
        return {"kind": self.kind, "widths": widths}
