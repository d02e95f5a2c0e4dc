"""Pixels in context: p(pixels | parents), each pixel given those before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfcodec.likelihoods.layout import CONTEXT_FOLD, PixelLayout, head_inputs
from selfcodec.models.config import ContextConfig, ModelConfig
from selfcodec.models.distributions import Centre, dmol_log_prob, dmol_mean, dmol_sample
from selfcodec.models.layers import FloatGraph
from selfcodec.models.likelihoods.likelihood import (
    PixelLikelihood,
    Values,
    Withheld,
    network,
    parent_inputs,
    pixel_base,
)
from selfcodec.models.likelihoods.neighbours import context_of
from selfcodec.models.likelihoods.predictions import predictions_of
from selfcodec.models.networks import Style, context_head, trunk
from selfcodec.schedule import Step


def _layout(step: Step, own: ContextConfig) -> PixelLayout:
    return PixelLayout(step.target.channels, own.mixtures, joint=True)


class Context(PixelLikelihood[ContextConfig]):
    """p(pixels | parents): features of the parents, and a head that also sees the neighbours decoded before.

    Attributes:
        layout: of the head's output.
    """

    kind = "context"
    tile = 256
    """The block's side too, since blocks do not see each other anyway: larger ones cost the decoder steps, smaller ones
    cost context."""

    @classmethod
    def networks(cls, step: Step, own: ContextConfig, model: ModelConfig) -> dict[str, FloatGraph]:
        c, target = model.blocks, step.target
        style = Style.of(c, c.width, c.blocks, c.finest)
        graph = trunk(style, step.parents, target.halvings + CONTEXT_FOLD - 1, c.width)
        features = FloatGraph(graph, weight_norm=c.weight_norm, output_scale=1.0)
        head = Style.of(c, own.head_width, own.head_blocks)
        inputs = head_inputs(target.channels, predictions=own.predictions)
        graph = context_head(head, c.width // 4, inputs, _layout(step, own).size)
        return {
            f"p_{step.name}": features,
            f"p_{step.name}_0": FloatGraph(graph, weight_norm=c.weight_norm, output_scale=0.05),
        }

    def __init__(self, step: Step, own: ContextConfig, model: ModelConfig, nets: nn.ModuleDict) -> None:
        super().__init__(step, own, model, nets)
        self.layout = _layout(step, own)
        self._predictions = own.predictions

    def parameters(self, values: Values, x: Tensor, withheld: Tensor) -> tuple[Tensor, Centre]:
        """Mixture parameters (B, layout.size, H, W) of every pixel given those before it, and their centre.

        Args:
            values: of the parents.
            x: (B, C, H, W), grey levels.
            withheld: (B,) bool, images whose context is hidden.
        """
        trunk_net, head = (network(self._nets, f"p_{self.step.name}{end}") for end in ("", "_0"))
        features = F.pixel_shuffle(trunk_net(*parent_inputs(self.step, values)), CONTEXT_FOLD)
        inputs, centre = context_of(x, pixel_base(self.step, values, x.shape, 1), withheld)
        if self._predictions:
            inputs = torch.cat([inputs, predictions_of(x, centre, withheld)], 1)
        return head(features, inputs).float(), centre

    def log_prob(
        self, values: Values, target: Tensor, withheld: Withheld, *, generate: bool
    ) -> tuple[Tensor, Tensor | None]:
        params, centre = self.parameters(values, target, withheld.context)
        total = dmol_log_prob(params, target, centre, self.layout).sum((1, 2, 3))
        return total, dmol_mean(params.detach(), centre, self.layout) if generate else None

    def mean(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        """Every pixel's mean without its context, rounded to grey levels."""
        return dmol_mean(*self._alone(values, shape), self.layout)

    def sample(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        """Every pixel without its context, since with it that would take a pass for every pixel."""
        return dmol_sample(*self._alone(values, shape), self.layout)

    def _alone(self, values: Values, shape: tuple[int, ...]) -> tuple[Tensor, Centre]:
        """Parameters without context, and their centre."""
        device = values[self.step.parents[0].name].device
        hidden = torch.ones(shape[0], dtype=torch.bool, device=device)
        return self.parameters(values, torch.zeros(shape, device=device), hidden)

    def settings(self, errors: Mapping[str, Tensor] | None = None) -> dict[str, Any]:
        predictions = {"predictions": 1} if self._predictions else {}
        return {"kind": self.kind, "mixtures": self.layout.mixtures, "block": self.tile, **predictions}
