"""One loop over the schedule, for encoder, decoder, sampler and reconstruction.

Each variable, in order, gets its values from a source: what is sent goes through a coder, what is known is taken as it
is, anything else is filled in. The families (`selfcodec.likelihoods`) do the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from selfcodec.arrays import Float32, Int64, Integers, UInt8
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.coding.sampler import Sampler
from selfcodec.likelihoods.layout import NEUTRAL
from selfcodec.likelihoods.likelihood import Condition, Likelihood
from selfcodec.modes import DEFAULT_QUALITY, centred
from selfcodec.networks import flow
from selfcodec.networks.fields import Field
from selfcodec.networks.integer import Runtime
from selfcodec.parallel import one_thread_each
from selfcodec.schedule import Step, Variable
from selfcodec.transforms import get_transform
from selfcodec.zoo import Model

Values = dict[str, Integers]
"""A batch has these values by variable, (B, C, h, w): pixels 0..255, latents in 2**-12."""


def _of_pixels(values: Int64) -> Float32:
    return (values - NEUTRAL).astype(np.float32)


@dataclass
class Batch:
    """Images of equal size that are walked together.

    Attributes:
        model: the model.
        size: (height, width) of x.
        count: number of images, B.
        grey: the three colour channels are equal, so that only the first is coded.
        runtime: how networks run.
        quality: 1..100, the file's, for models whose networks see it.
        adapting: the last variable is coded with what is learned of it on the way.
        values: of the variables walked so far.
    """

    model: Model
    size: tuple[int, int]
    count: int
    grey: bool
    runtime: Runtime
    quality: int = DEFAULT_QUALITY
    adapting: bool = False
    values: Values = field(default_factory=dict)

    @property
    def plane(self) -> int:
        """The quality as networks see it, in 2**-6."""
        return self.model.plane(self.quality)

    def condition(self, step: Step, quality: int = DEFAULT_QUALITY, thrift: float = 1.0) -> Condition:
        """What a variable's distribution is conditioned on; its parents must have been walked."""
        parents = tuple(self.values[parent.name] for parent in step.parents)
        inputs = tuple(self._input(*pair) for pair in zip(step.parents, parents, strict=True))
        size, padded = self.extent(step.target), self._padded(step.target)
        return Condition(
            step=step,
            size=size,
            count=self.count,
            parents=parents,
            inputs=inputs,
            extent=padded,
            grey=self.grey,
            quality=quality,
            centred=centred(quality, self.model.levels),
            plane=self.plane,
            runtime=self.runtime,
            thrift=thrift,
            adapting=self.adapting and step is self.model.steps[-1],
        )

    def infer(self, images: UInt8, names: Sequence[str]) -> Values:
        """What an encoder sends before rounding to grids: pixels as they are, latents' posterior means.

        Args:
            images: x, (B, H, W, 3).
            names: of the variables to infer.
        """
        transform, y, pictures = get_transform(self.model.spec.transformation), images, {}
        for k in range(self.model.levels + 1):
            pictures["x" if k == 0 else f"y{k}"] = y.transpose(0, 3, 1, 2)
            y = transform(y) if k < self.model.levels else y
        found: Values = {name: pictures[name].astype(np.int64) for name in names if name in pictures}
        variables = {step.name: step.target for step in self.model.steps}
        for step in self.model.steps:
            if step.name in names and step.inferred_from is not None:
                whole = bool(self.model.spec.planes)  # others were trained with zeros beyond the edges, and stay so
                source = self._input(variables[step.inferred_from], pictures[step.inferred_from], edges=whole)
                posterior = self.model.posteriors[step.name]
                with one_thread_each():
                    found[step.name] = posterior.mean(source, self.plane, self.extent(step.target), self.runtime)
        return found

    def extent(self, variable: Variable) -> tuple[int, int]:
        """Height and width of a variable; half positions count as whole ones."""
        return (-(-self.size[0] >> variable.halvings), -(-self.size[1] >> variable.halvings))

    def _input(self, variable: Variable, values: Integers, *, edges: bool = False) -> Field:
        """A variable's values as a network's input; beyond its extent zero, or with `edges` its edges."""
        convert = _of_pixels if variable.kind == "pixels" else flow.latent_input
        return Field(values, self._padded(variable), convert, edges=edges)

    def padded(self, name: str) -> tuple[int, int]:
        """Height and width of a variable, by name, as networks see it."""
        return self._padded(next(step.target for step in self.model.steps if step.name == name))

    def _padded(self, variable: Variable) -> tuple[int, int]:
        """Height and width of a variable of the image padded to whole positions of every variable."""
        pad = self.model.padding
        height, width = ((-(-n // pad) * pad) >> variable.halvings for n in self.size)
        return height, width


class Source(Protocol):
    """Where a variable's values come from."""

    def values(self, step: Step, likelihood: Likelihood, batches: Sequence[Batch]) -> list[Integers]:
        """Each batch's values (B, C, h, w)."""
        ...


@dataclass(frozen=True)
class Known:
    """Values of one batch that are there already."""

    given: Mapping[str, Integers]

    def values(self, step: Step, likelihood: Likelihood, batches: Sequence[Batch]) -> list[Integers]:
        (_,) = batches
        return [self.given[step.name]]


@dataclass(frozen=True)
class Sent:
    """True values that go to a decoder, of one batch.

    Attributes:
        coder: notes them, with a mark after each variable.
        truth: of the batch, see `Batch.infer`.
        quality: 1..100, by variable; 50 where it is not named.
        thrift: see `Condition`.
    """

    coder: Encoder
    truth: Mapping[str, Integers]
    quality: Mapping[str, int]
    thrift: float = 1.0

    def values(self, step: Step, likelihood: Likelihood, batches: Sequence[Batch]) -> list[Integers]:
        (batch,) = batches
        condition = batch.condition(step, self.quality.get(step.name, DEFAULT_QUALITY), self.thrift)
        values = likelihood.encode(condition, self.truth[step.name], self.coder)
        self.coder.mark()
        return [values]


@dataclass(frozen=True)
class Received:
    """Values that a decoder reads, or a sampler draws.

    Attributes:
        coder: of all images of all batches, in order.
        quality: as of `Sent`.
    """

    coder: Decoder
    quality: Mapping[str, int] = field(default_factory=dict)

    def values(self, step: Step, likelihood: Likelihood, batches: Sequence[Batch]) -> list[Integers]:
        quality = self.quality.get(step.name, DEFAULT_QUALITY)
        return likelihood.decode([batch.condition(step, quality) for batch in batches], self.coder)


class Means:
    """What most probably is there where nothing was sent."""

    def values(self, step: Step, likelihood: Likelihood, batches: Sequence[Batch]) -> list[Integers]:
        return [likelihood.mean(batch.condition(step)) for batch in batches]


def filling(keys: Sequence[int] | None) -> Source:
    """What stands for variables that are not sent: their means, or each image's draws from random words by its key."""
    return Means() if keys is None else Received(Sampler(keys))


def walk(batches: Sequence[Batch], sources: Mapping[str, Source]) -> None:
    """Gives every batch the values of the variables that have a source, in the order of the schedule.

    Args:
        batches: of one model; images may be of different sizes.
        sources: by variable. One that has none is left out, and so must be what depends on it.
    """
    model = batches[0].model
    with one_thread_each():
        for step in model.steps:
            if (source := sources.get(step.name)) is None:
                continue
            found = source.values(step, model.likelihoods[step.name], batches)
            for batch, values in zip(batches, found, strict=True):
                batch.values[step.name] = values
