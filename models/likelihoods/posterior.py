"""q(latent | source) (paper eq. 17, 22): the variational family of one latent."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from selfcodec.errors import InputError
from selfcodec.models.config import ModelConfig
from selfcodec.models.distributions import gaussian_log_prob, latent_log_scale
from selfcodec.models.draws import normal_like, uniform_like
from selfcodec.models.layers import FloatGraph
from selfcodec.models.likelihoods.latent import LatentLikelihood
from selfcodec.models.likelihoods.likelihood import MOST_INPUT, Rounding, Values, network, pixel_input, quality_planes
from selfcodec.models.networks import Style, encoder
from selfcodec.schedule import Step, Variable

MOST_WIDTH = MOST_INPUT
"""A uniform posterior has at most this width, so that its noise stays inside what integer networks take. Without a
bound the width of a latent that carries nothing grows for ever, and its readers learn from noise that no file will
show them."""


class Posterior(ABC):
    """q(latent | source) of one latent.

    Args:
        step: the latent's factor.
        nets: the model's networks.
        log_widths: of latents whose family has learned widths, by name, (C,); the model's too.
    """

    kind: ClassVar[str]
    outputs: ClassVar[int]
    """Of the network, for one channel of the latent; the mean comes first."""

    @classmethod
    def networks(cls, step: Step, source: Variable, model: ModelConfig) -> dict[str, FloatGraph]:
        """The network that the family needs for a latent, new, by name; `source` is what it is inferred from."""
        c, target = model.blocks, step.target
        style = Style.of(c, c.encoder_width, c.encoder_blocks)
        graph = encoder(style, source, target.halvings, cls.outputs * target.channels, c.encoder_folds)
        return {f"q_{step.name}": FloatGraph(graph, weight_norm=c.weight_norm, output_scale=3.0)}

    @staticmethod
    def log_widths(step: Step) -> dict[str, nn.Parameter]:
        """What the family learns besides its network, new, by the latent's name: nothing."""
        return {}

    def __init__(self, step: Step, nets: nn.ModuleDict, log_widths: nn.ParameterDict) -> None:
        self.step = step
        self._nets = nets
        self._log_widths = log_widths

    def mean(self, source: Tensor, values: Values) -> Tensor:
        """What an encoder sends before rounding it to its grid, (B, C, h, w).

        Args:
            source: what the latent is inferred from, (B, C, H, W), grey levels.
            values: the quality, where the network sees it.
        """
        return self._outputs(source, values)[0]

    def _outputs(self, source: Tensor, values: Values) -> tuple[Tensor, ...]:
        """The network's outputs, each (B, C, h, w)."""
        net = network(self._nets, f"q_{self.step.name}")
        return net(pixel_input(source), *quality_planes(net, values)).float().chunk(self.outputs, 1)

    @abstractmethod
    def sample(
        self, source: Tensor, likelihood: LatentLikelihood, values: Values, rounded: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A draw and what it costs.

        Args:
            source: what the latent is inferred from, (B, C, H, W), grey levels.
            likelihood: p(latent | parents).
            values: of the parents.
            rounded: (B,) bool, images that have the nearest point of the grid instead of a draw, where there is one.

        Returns:
            the draw (B, C, h, w) and its rate log q - log p (paper eq. 11), (B,), nats.
        """

    def transmit(
        self, source: Tensor, likelihood: LatentLikelihood, values: Values, rounding: Rounding
    ) -> tuple[Tensor, Tensor]:
        """What decoders read of the latent, and what sending it costs.

        Args:
            source, likelihood, values: as of `sample`.
            rounding: what stands for the codec's.

        Returns:
            values (B, C, h, w), and -log p of the grid's points, (B,), nats.

        Raises:
            InputError: the family is trained by likelihood alone.
        """
        raise InputError(f"a posterior of kind {self.kind!r} is trained by the objective 'likelihood' alone")

    @abstractmethod
    def grid_widths(self, likelihood: LatentLikelihood, source: Tensor | None, planes: tuple[int, ...]) -> Tensor:
        """Widths of the grid on which the codec sends the latent, real, (C,); or by quality 1..100, (100, C).

        Args:
            likelihood: p(latent | parents).
            source: images to measure on, (B, C, H, W), grey levels.
            planes: the qualities as networks see them, in 2**-6; none where they see none.

        Raises:
            InputError: images are needed and None.
        """


class Uniform(Posterior):
    """One learned width a channel: the noise of rounding to the grid that the codec uses, where that grid lies."""

    kind = "uniform"
    outputs = 1

    @staticmethod
    def log_widths(step: Step) -> dict[str, nn.Parameter]:
        return {step.name: nn.Parameter(torch.zeros(step.target.channels))}

    @property
    def width(self) -> Tensor:
        """By channel, (C,), at most MOST_WIDTH."""
        return self._log_widths[self.step.name].exp().clamp_max(MOST_WIDTH)

    def sample(
        self, source: Tensor, likelihood: LatentLikelihood, values: Values, rounded: Tensor
    ) -> tuple[Tensor, Tensor]:
        mean, width = self.mean(source, values), self.width[:, None, None]
        middle = likelihood.to_grid(mean)
        beside = (middle / width).round() - middle / width
        noise = torch.where(rounded[:, None, None, None], beside.detach(), uniform_like(mean) - 0.5)
        v = middle + width * noise
        return likelihood.from_grid(v), -likelihood.log_mass(v, width, values)

    def grid_widths(self, likelihood: LatentLikelihood, source: Tensor | None, planes: tuple[int, ...]) -> Tensor:
        return self.width


class Gaussian(Posterior):
    """Mean and deviation from the image (paper eq. 17, 18)."""

    kind = "gaussian"
    outputs = 2

    def parameters(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-scale, each (B, C, h, w); source in grey levels."""
        mean, raw = self._outputs(source, {})
        return mean, latent_log_scale(raw)

    def sample(
        self, source: Tensor, likelihood: LatentLikelihood, values: Values, rounded: Tensor
    ) -> tuple[Tensor, Tensor]:
        mean, log_scale = self.parameters(source)
        z = mean + log_scale.exp() * normal_like(mean)
        log_q = gaussian_log_prob(z, mean, log_scale).sum((1, 2, 3))
        return z, log_q - likelihood.log_prob(z, values)

    def grid_widths(self, likelihood: LatentLikelihood, source: Tensor | None, planes: tuple[int, ...]) -> Tensor:
        """sqrt(12) times the mean deviation where the grid lies: rounding to it adds the same noise variance."""
        if source is None:
            raise InputError("the grids of a Gaussian posterior are measured on images: give --data")
        mean, log_scale = self.parameters(source)
        return math.sqrt(12) * likelihood.deviation_on_grid(mean, log_scale.exp()).mean((0, 2, 3))
