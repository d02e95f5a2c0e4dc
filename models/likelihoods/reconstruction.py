"""Pixels that are never sent: a network's output is the picture, for models that are lossy only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from selfcodec.errors import InputError
from selfcodec.likelihoods.layout import MEAN_UNIT
from selfcodec.models.config import ModelConfig, ReconstructionConfig
from selfcodec.models.layers import FloatGraph
from selfcodec.models.likelihoods.likelihood import (
    SIDE_BY_SIDE,
    PixelLikelihood,
    Values,
    Withheld,
    network,
    parent_inputs,
    pixel_base,
)
from selfcodec.models.networks import Style, trunk
from selfcodec.schedule import Step


class Reconstruction(PixelLikelihood[ReconstructionConfig]):
    """The mean of p(pixels | parents) alone, in units of MEAN_UNIT grey levels from y, or from mid-grey.

    The network's last convolution is at half the variable's resolution and gives four pixels' values at each position.
    """

    kind = "reconstruction"
    tile = SIDE_BY_SIDE

    @classmethod
    def networks(cls, step: Step, own: ReconstructionConfig, model: ModelConfig) -> dict[str, FloatGraph]:
        c, target = model.network, step.target
        style = Style.of(c, c.width, c.blocks, c.finest)
        graph = trunk(style, step.parents, target.halvings + 1, 4 * target.channels, unfold=True)
        return {f"p_{step.name}": FloatGraph(graph, weight_norm=c.weight_norm, output_scale=0.05)}

    def __init__(self, step: Step, own: ReconstructionConfig, model: ModelConfig, nets: nn.ModuleDict) -> None:
        super().__init__(step, own, model, nets)

    def picture(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        """The network's picture, (B, C, H, W) = `shape`, in grey levels, neither rounded nor clamped: to train by."""
        net = network(self._nets, f"p_{self.step.name}")
        out = net(*parent_inputs(self.step, values)).float()  # (B, C, H, W)
        return pixel_base(self.step, values, shape, 1) + MEAN_UNIT * out

    @torch.no_grad()
    def mean(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        """The picture, rounded to grey levels."""
        return torch.floor(self.picture(values, shape) + 0.5).clamp(0, 255)

    def sample(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        """The picture: once its parents are drawn, nothing is left to draw."""
        return self.mean(values, shape)

    def log_prob(
        self, values: Values, target: Tensor, withheld: Withheld, *, generate: bool
    ) -> tuple[Tensor, Tensor | None]:
        raise InputError(f"{self.step.name} is a reconstruction and has no likelihood: train by another objective")

    def exercise(self, values: Values, target: Tensor, withheld: Withheld, *, generate: bool) -> Tensor | None:
        generated = self.mean(values, target.shape)
        return generated if generate else None

    def settings(self) -> dict[str, Any]:
        return {"kind": self.kind}
