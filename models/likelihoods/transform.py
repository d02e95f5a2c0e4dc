"""q(u | y) and q(z | x) of transform coding: what is sent is a transform of the pixels, rounded to a grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selfcodec.models import transform_coding
from selfcodec.models.config import ModelConfig
from selfcodec.models.draws import uniform_like
from selfcodec.models.layers import FloatGraph
from selfcodec.models.likelihoods.latent import LatentLikelihood
from selfcodec.models.likelihoods.likelihood import MOST_INPUT, QUALITY, Rounding, Values
from selfcodec.models.likelihoods.posterior import Uniform
from selfcodec.models.likelihoods.quality import PLANE_FRACTION
from selfcodec.schedule import Step, Variable


class Transform(Uniform):
    """u on a grid of learned widths; other latents on the grids that their likelihoods have for every quality."""

    kind = "transform"

    @classmethod
    def networks(cls, step: Step, source: Variable, model: ModelConfig) -> dict[str, FloatGraph]:
        c, target = model.transform, step.target
        if step.parents:
            halvings = target.halvings - source.halvings
            net = FloatGraph(transform_coding.analysis(c.widths, c.analysis_blocks, target.channels, halvings))
        else:
            graph = transform_coding.thumbnail_analysis(c.thumbnail_width, c.thumbnail_blocks, source, target.channels)
            net = FloatGraph(graph, output_scale=3.0)
        return {f"q_{step.name}": net}

    @staticmethod
    def log_widths(step: Step) -> dict[str, nn.Parameter]:
        return {} if step.parents else Uniform.log_widths(step)

    def transmit(
        self, source: Tensor, likelihood: LatentLikelihood, values: Values, rounding: Rounding
    ) -> tuple[Tensor, Tensor]:
        """See `Posterior`. Pictures are made of rounded latents, as in the codec; the gradient passes straight through.

        Only u is read with its noise in training, since that is how its learned widths get to know what they cost.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and rounding is not Rounding.THRIFTY):
            mean, log_width = self.mean(source, values), likelihood.log_width(values)
            width = self.width[:, None, None] if log_width is None else log_width.exp()
        if rounding is Rounding.THRIFTY:
            sent, log_mass = likelihood.thrifty(mean, width, values)
            return sent.clamp(-MOST_INPUT, MOST_INPUT), -log_mass
        rounded = mean + width * ((mean / width).round() - mean / width).detach()
        sent = mean + width * (uniform_like(mean) - 0.5) if rounding is Rounding.NOISY else rounded
        read = rounded if self.step.parents else sent
        return read.clamp(-MOST_INPUT, MOST_INPUT), -likelihood.log_mass(sent, width, values)

    def grid_widths(self, likelihood: LatentLikelihood, source: Tensor | None, planes: tuple[int, ...]) -> Tensor:
        if not self.step.parents:
            return self.width
        qualities = torch.tensor(planes)[:, None, None, None] * 2.0**-PLANE_FRACTION
        log_width = likelihood.log_width({QUALITY: qualities})
        assert log_width is not None
        return log_width[:, :, 0, 0].double().exp()
