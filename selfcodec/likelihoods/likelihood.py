"""What a family of distributions is to the codec: one object for one variable of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from selfcodec.arrays import Float32, Int64, Integers
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.errors import ModelError
from selfcodec.networks.fields import Field
from selfcodec.networks.integer import Runtime
from selfcodec.networks.windows import Network
from selfcodec.schedule import Step


@dataclass(frozen=True, eq=False, kw_only=True)
class Condition:
    """What the distribution of one variable of a batch is conditioned on.

    Attributes:
        step: the factor p(target | parents).
        size: (height, width) of the target.
        count: number of images, B.
        parents: their values, (B, C, h, w).
        inputs: the same as inputs of networks, padded to whole positions of every variable.
        extent: (height, width) of the target with that padding.
        grey: the three colour channels are equal, so that only the first is coded.
        quality: 1..100, scales the grids of latents.
        centred: those grids lie around the latents' means, see `modes.centred`.
        plane: the file's quality as networks see it, in 2**-6; 0 where the model has no such planes.
        runtime: how networks run.
        thrift: for encoders that may choose: how much bits count against errors, 1 being usual.
        adapting: distributions are corrected by what is learned of the image on the way; for families that can.
    """

    step: Step
    size: tuple[int, int]
    count: int
    parents: tuple[Integers, ...]
    inputs: tuple[Field, ...]
    extent: tuple[int, int]
    grey: bool
    quality: int
    centred: bool
    plane: int
    runtime: Runtime
    thrift: float = 1.0
    adapting: bool = False

    def plane_of(self, net: Network) -> tuple[Float32, ...]:
        """The quality's plane as a network's input, (B, 1, 1, 1), if it takes one."""
        return net.plane_inputs(self.plane, self.count)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(B, C, h, w) of the target."""
        return (self.count, self.step.target.channels, *self.size)


def whole(settings: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """A setting that is a whole number in low..high; ModelError for anything else, KeyError where it is missing."""
    value = settings[name]
    if type(value) is not int or not low <= value <= high:
        raise ModelError(f"{name} is {value!r:.40}, no whole number from {low} to {high}")
    return value


def giving(net: Network, channels: int) -> Network:
    """The network, which must have so many output channels; ModelError where it has others."""
    found = net.net.graph.output.channels
    if found != channels:
        raise ModelError(f"a network gives {found} channels, not {channels}")
    return net


class Likelihood(ABC):
    """p(target | parents) of one variable.

    Subclasses have a `kind`, by which models name them, and take their own settings, from the model's specification,
    and their own networks.
    """

    kind: ClassVar[str]
    codable: bool = True
    """Whether the variable can be sent; otherwise it can only be filled in."""
    adapts: ClassVar[bool] = False
    """Whether the family can learn of the image while it is coded."""

    @staticmethod
    @abstractmethod
    def networks(step: Step, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Names of the networks that the family needs for a variable."""

    @abstractmethod
    def __init__(self, step: Step, settings: Mapping[str, Any], nets: Mapping[str, Network]) -> None: ...

    @abstractmethod
    def encode(self, at: Condition, truth: Integers, coder: Encoder) -> Integers:
        """Notes the variable's values (B, C, h, w); returns them as the decoder will have them.

        The truth's memory may be that of the result.
        """

    def decode(self, ats: Sequence[Condition], coder: Decoder) -> list[Integers]:
        """Reads several batches' values, each (B, C, h, w); `coder` has all their images, in order."""
        return [self._decode(at, part) for at, part in zip(ats, coder.split([at.count for at in ats]), strict=True)]

    def grid(self, quality: int) -> Int64 | None:
        """Widths, (C,), in 2**-12, of a grid from which encoders may choose, at a quality; None where there is none."""
        return None

    @abstractmethod
    def _decode(self, at: Condition, coder: Decoder) -> Integers:
        """Reads one batch's values."""

    @abstractmethod
    def mean(self, at: Condition) -> Integers:
        """What stands for a variable that is not sent: its mean, (B, C, h, w)."""
