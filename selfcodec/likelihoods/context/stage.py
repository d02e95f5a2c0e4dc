"""Between a head's outputs and the coder: mixtures as the network gives them, or as corrected by what was learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from selfcodec.arrays import Float32, Int16, Int32, Int64, UInt8
from selfcodec.coding.tables import load_tables
from selfcodec.likelihoods.context import adapting
from selfcodec.likelihoods.context import mixture as joint
from selfcodec.likelihoods.layout import PixelLayout
from selfcodec.parallel import mapped


@dataclass(frozen=True)
class Contexts:
    """Of some pixels, what their heads make of their contexts.

    Attributes:
        places: (n, 3), plane, row and column.
        params: (n, P), the heads' outputs.
        bases, activity: (n, C) and (n,), what they are relative to, see `neighbours.gather`.
    """

    places: Int32
    params: Float32
    bases: Int64
    activity: Int64


@dataclass(frozen=True)
class Chunk:
    """Whole steps of an image that is encoded.

    Attributes:
        found: of their pixels.
        starts: (T + 1,), the steps' beginnings among the n pixels.
        values: (n, C), the true ones.
        corrections: (n, C, 2), of the mixtures, see `mixture.symbols_of`.
    """

    found: Contexts
    starts: Int64
    values: Int64
    corrections: Int16

    @staticmethod
    def plain(found: Contexts, starts: Int64, values: Int64) -> Chunk:
        """Without corrections."""
        return Chunk(found, starts, values, np.zeros((*values.shape, 2), dtype=np.int16))


Chunks = Sequence[Callable[[], list[Chunk]]]
"""Each makes the next steps of every image of a batch."""


@dataclass(frozen=True)
class Room:
    """What is the same for all steps of some planes.

    Attributes:
        planes: (B, C, H, W), the values as far as they are known.
        widths: (B,) of the planes.
        block: side of the blocks that do not see each other.
        layout: of the heads' outputs.
        coded: channels that are coded.
        pixels: a step has at most so many.
    """

    planes: UInt8
    widths: Int64
    block: int
    layout: PixelLayout
    coded: int
    pixels: int


class Stage(ABC):
    """The mixtures of one pass over some planes, step after step."""

    @abstractmethod
    def __init__(self, room: Room) -> None: ...

    @abstractmethod
    def corrected(self, chunks: Chunks) -> Iterable[Callable[[], list[Chunk]]]:
        """The encoder's side: all chunks of the pass, in order, with their corrections."""

    @abstractmethod
    def begin(self, found: Contexts) -> None:
        """The decoder's side: a step begins."""

    @abstractmethod
    def mixtures(self, channel: int, values: Int64) -> Int64:
        """The state (n, 3, M) of the step's channel, see `mixture.advance`, given values (n, C) of those before it."""

    @abstractmethod
    def observe(self, channel: int, values: Int64) -> None:
        """The values of a channel are known."""

    @abstractmethod
    def end(self) -> None:
        """The step ends."""


class Fixed(Stage):
    """What the network says, unchanged."""

    def __init__(self, room: Room) -> None:
        self._room, self._starts = room, room.layout.starts()
        self._state = np.empty((room.pixels, 3, room.layout.mixtures), dtype=np.int64)
        self._stretches = np.zeros(room.pixels, dtype=np.int64)

    def corrected(self, chunks: Chunks) -> Iterable[Callable[[], list[Chunk]]]:
        return chunks

    def begin(self, found: Contexts) -> None:
        self._found = found

    def mixtures(self, channel: int, values: Int64) -> Int64:
        tables, found = load_tables(), self._found
        state = self._state[: len(values)]
        joint.advance(
            found.params,
            self._starts,
            found.bases,
            found.activity,
            values,
            channel,
            self._stretches[: len(values)],
            tables.logistic,
            tables.pixel_inverse_scale,
            tables.weight,
            state,
        )
        return state

    def observe(self, channel: int, values: Int64) -> None:
        pass

    def end(self) -> None:
        pass


class Adapting(Fixed):
    """The same, corrected by what the planes themselves have taught so far, each apart."""

    def __init__(self, room: Room) -> None:
        super().__init__(room)
        batch, _, height, width = room.planes.shape
        self._memory = adapting.blank(batch, room.coded, height, width)
        self._step = adapting.room(self._memory, room.pixels, room.layout.mixtures)
        self._state, self._stretches = self._step.state, self._step.stretches
        self._moved = np.empty(room.pixels, dtype=np.int16)

    def corrected(self, chunks: Chunks) -> Iterator[Callable[[], list[Chunk]]]:
        """One chunk after another, since each goes on where the one before ended; heads run ahead in other threads."""
        for chunk in mapped(chunks):
            for of_image in chunk:
                self._correct(of_image)
            yield lambda chunk=chunk: chunk  # type: ignore[misc]

    def _correct(self, chunk: Chunk) -> None:
        tables, room = load_tables(), self._room
        adapting.corrections_of(
            room.planes,
            room.widths,
            chunk.found.places,
            chunk.starts,
            room.block,
            chunk.found.params,
            self._starts,
            chunk.found.bases,
            chunk.found.activity,
            chunk.values,
            tables.logistic,
            tables.pixel_inverse_scale,
            tables.weight,
            self._memory,
            self._step,
            chunk.corrections,
        )

    def begin(self, found: Contexts) -> None:
        super().begin(found)
        room = self._room
        adapting.look(room.planes, room.widths, found.places, room.block, found.bases, self._memory, self._step)

    def mixtures(self, channel: int, values: Int64) -> Int64:
        found, moved = self._found, self._moved[: len(values)]
        adapting.stretch(channel, found.places, found.activity, self._memory, self._step)
        state = super().mixtures(channel, values)
        adapting.move(channel, found.places, found.bases, found.activity, self._memory, self._step, moved)
        return state

    def observe(self, channel: int, values: Int64) -> None:
        found, table = self._found, load_tables().logistic
        adapting.observe(channel, found.places, found.bases, found.activity, values, table, self._memory, self._step)

    def end(self) -> None:
        adapting.take_in(self._found.places, self._memory, self._step)
