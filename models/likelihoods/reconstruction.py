"""Pixels that a network shows: its output is the picture, for models that are lossy only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from selfcodec.errors import InputError
from selfcodec.fixed_point import PARAM_FRACTION
from selfcodec.likelihoods.layout import LOG_SCALE_OFFSET, MEAN_UNIT, NEUTRAL
from selfcodec.models.config import ModelConfig, ReconstructionConfig
from selfcodec.models.layers import FloatGraph
from selfcodec.models.likelihoods.latent import to_integers
from selfcodec.models.likelihoods.likelihood import (
    PixelLikelihood,
    Values,
    Withheld,
    network,
    parent_inputs,
    quality_planes,
)
from selfcodec.models.transform_coding import synthesis, thumbnail_synthesis
from selfcodec.schedule import Step
from selfcodec.spec import MAX_TILE

LOGISTIC_ERROR = 2 * math.log(2)
"""A logistic variable of scale 1 has this mean distance from its mean."""


class Reconstruction(PixelLikelihood[ReconstructionConfig]):
    """The mean of p(pixels | parents), in units of MEAN_UNIT grey levels from mid-grey.

    In files that send them nevertheless, pixels have logistics around it, as wide as errors are on average; x has none.
    """

    kind = "reconstruction"
    tile = MAX_TILE

    @classmethod
    def networks(cls, step: Step, own: ReconstructionConfig, model: ModelConfig) -> dict[str, FloatGraph]:
        c, first = model.transform, step.parents[0]
        if first.kind == "latent":
            graph = thumbnail_synthesis(c.thumbnail_width, c.thumbnail_blocks, first, step.target.channels)
        else:
            graph = synthesis(c.widths, c.synthesis_blocks, *step.parents)
        return {f"p_{step.name}": FloatGraph(graph)}

    def __init__(self, step: Step, own: ReconstructionConfig, model: ModelConfig, nets: nn.ModuleDict) -> None:
        super().__init__(step, own, model, nets)

    def picture(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        net = network(self._nets, f"p_{self.step.name}")
        return NEUTRAL + MEAN_UNIT * net(*parent_inputs(self.step, values), *quality_planes(net, values)).float()

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
        raise InputError(f"{self.step.name} is a reconstruction and has no likelihood: train by 'rate_distortion'")

    def settings(self, errors: Mapping[str, Tensor] | None = None) -> dict[str, Any]:
        error = (errors or {}).get(self.step.name)
        if error is None or self.step.name == "x":  # x is what the model loses
            return {"kind": self.kind, "log_scales": []}
        log_scales = (error.double() / LOGISTIC_ERROR).log() - LOG_SCALE_OFFSET
        return {"kind": self.kind, "log_scales": to_integers(log_scales, PARAM_FRACTION)}
