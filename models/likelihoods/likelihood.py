"""What a family of distributions is to training: one object for one variable of a model.

A family writes its networks, which the model keeps, and looks them up there by name whenever it needs them; it has no
parameters of its own. So a copy of a model, made by `copy.deepcopy`, has families that refer to the copy's networks.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from selfcodec.errors import InputError
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION
from selfcodec.likelihoods.layout import NEUTRAL
from selfcodec.models import draws
from selfcodec.models.config import ModelConfig
from selfcodec.models.layers import FloatGraph
from selfcodec.schedule import Step

MOST_INPUT = ACTIVATION_MAX / 2**INPUT_FRACTION
"""Integer networks take inputs of at most this magnitude."""
SIDE_BY_SIDE = 512
"""A tile has this side where pixels are coded in a few passes: smaller ones can be decoded side by side, larger ones
have fewer edges."""

Values = dict[str, Tensor]
"""Each variable's values (B, C, h, w): pixels in grey levels, latents as they are. What is true of a pixel variable,
whatever is generated in its place, has the key `true NAME`; the quality, where networks see it, the key QUALITY."""
QUALITY = "quality"
"""Under this key are planes of the quality, (B, 1, 1, 1), see `selfcodec.models.likelihoods.quality`."""


class Rounding(enum.Enum):
    """What stands for an encoder's rounding of latents."""

    NOISY = "noise of a width of the grid, whose rates have gradients"
    NEAREST = "the nearest points of the grid"
    THRIFTY = "the points that the encoder takes, which cost fewer bits; only what decoders need has gradients"


@dataclass(frozen=True)
class Withheld:
    """Which images of a batch are trained without what a lossy decoder would not have; all (B,) bool.

    Attributes:
        context: the pixels already decoded are hidden from the likelihood networks.
        truth: generated y take the place of true ones (a subset of `context`).
        noise: latents are the points of their grids that files have, instead of draws.
    """

    context: Tensor
    truth: Tensor
    noise: Tensor

    @staticmethod
    def nothing(batch: int, device: torch.device) -> Withheld:
        """Of `batch` images none."""
        none = torch.zeros(batch, dtype=torch.bool, device=device)
        return Withheld(none, none, none)

    @staticmethod
    def draw(
        batch: int, device: torch.device, free_share: float, generated_share: float, rounded_share: float
    ) -> Withheld:
        """Of `batch` images at random a share 0..1 without context, a share of those without true y as well, and
        whatever they are a share without noise.
        """
        context, generated, rounded = (
            draws.rows(torch.rand(draws.whole(batch), device=device)) < share
            for share in (free_share, generated_share, rounded_share)
        )
        return Withheld(context, context & generated, rounded)

    def replaced(self, target: Tensor, generated: Tensor | None) -> Tensor:
        """The target (B, C, h, w), with what was generated, if anything, where the truth is withheld."""
        return target if generated is None else torch.where(self.truth[:, None, None, None], generated, target)


def pixel_input(x: Tensor) -> Tensor:
    """Grey levels 0..255 to a network's input."""
    return (x - NEUTRAL) / 64


def parent_inputs(step: Step, values: Values) -> list[Tensor]:
    """A factor's parents as inputs of its network."""
    return [pixel_input(values[p.name]) if p.kind == "pixels" else values[p.name] for p in step.parents]


def quality_planes(net: FloatGraph, values: Values) -> list[Tensor]:
    """The planes of the quality that a network takes after its other inputs: one or none."""
    return [values[QUALITY] for node in net.graph.inputs if node.op == "plane"]


def network(nets: nn.ModuleDict, name: str) -> FloatGraph:
    """One of a model's networks."""
    net = nets[name]
    assert isinstance(net, FloatGraph)
    return net


def pixel_base(step: Step, values: Values, size: tuple[int, ...], cell: int) -> Tensor:
    """What means are relative to before any phase is known: y where it is the variable downscaled, else mid-grey.

    Args:
        step: the variable's factor.
        values: its parents, at least the first one.
        size: (B, C, h, w) of the result, positions of `cell` x `cell` pixels.
        cell: 1 or 2.
    """
    y, times = values[step.parents[0].name], step.shrunk_by // cell
    if step.shrunk_by == 1:
        return torch.full(size, float(NEUTRAL), device=y.device)
    return y.repeat_interleave(times, 2).repeat_interleave(times, 3)


class Likelihood(ABC):
    """p(target | parents) of one variable, `step.target`.

    Subclasses have a `kind`, by which exported models name them.
    """

    kind: ClassVar[str]

    def __init__(self, step: Step, nets: nn.ModuleDict) -> None:
        self.step = step
        self._nets = nets

    @abstractmethod
    def mean(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        """What stands for the variable where only its parents are known, (B, C, h, w) = `shape`."""

    @abstractmethod
    def sample(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        """A draw given the parents, (B, C, h, w) = `shape`."""


OwnConfig = TypeVar("OwnConfig")


class PixelLikelihood(Likelihood, Generic[OwnConfig]):
    """p(target | parents) of a pixel variable.

    Args:
        step: the variable's factor.
        own: the recipe's table of the family.
        model: the recipe's table of the model.
        nets: the model's networks.
    """

    tile: ClassVar[int]
    """Side of the tiles, in pixels, that images of an exported model are cut into."""

    @classmethod
    @abstractmethod
    def networks(cls, step: Step, own: OwnConfig, model: ModelConfig) -> dict[str, FloatGraph]:
        """The networks that the family needs for a variable, new, by name."""

    @abstractmethod
    def __init__(self, step: Step, own: OwnConfig, model: ModelConfig, nets: nn.ModuleDict) -> None:
        super().__init__(step, nets)

    @abstractmethod
    def log_prob(
        self, values: Values, target: Tensor, withheld: Withheld, *, generate: bool
    ) -> tuple[Tensor, Tensor | None]:
        """How probable the variable's values are.

        Args:
            values: of the parents.
            target: (B, C, h, w), grey levels.
            withheld: what the networks do not see.
            generate: whether the second result is wanted.

        Returns:
            log p(target | parents) of each image, (B,), nats; and what stands for the variable where only its parents
            are known, (B, C, h, w), right at least where the truth is withheld; None without `generate`.
        """

    def picture(self, values: Values, shape: tuple[int, ...]) -> Tensor:
        """The variable as decoders show it, (B, C, H, W) = `shape`, in grey levels, neither rounded nor clamped.

        Raises:
            InputError: the family has likelihoods instead, to train by.
        """
        raise InputError(f"{self.step.name} has a likelihood and no picture: train by the objective 'likelihood'")

    @abstractmethod
    def settings(self, errors: Mapping[str, Tensor] | None = None) -> dict[str, Any]:
        """What the codec's family of this kind is set by.

        Args:
            errors: mean absolute errors of variables' pictures by name and channel, (C,), in grey levels; where they
                are not there, a variable that needs its own cannot be sent.
        """
