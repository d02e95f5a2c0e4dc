"""Codes a pixel variable in its local causal context: all at once when encoding, wavefront by wavefront when decoding.

Both sides run the same integer network on the same neighbours, which is why they agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from selfcodec.arrays import Float32, Int16, Int32, Int64, UInt8
from selfcodec.coding.coder import ALPHABET, Decoder, Encoder, Notes
from selfcodec.coding.tables import load_tables
from selfcodec.likelihoods.context import mixture as joint
from selfcodec.likelihoods.context.neighbours import gather, put
from selfcodec.likelihoods.context.order import Wavefront, wavefront
from selfcodec.likelihoods.context.stage import Adapting, Chunk, Contexts, Fixed, Room, Stage
from selfcodec.likelihoods.layout import CONTEXT_FOLD, PixelLayout, context_inputs
from selfcodec.networks.pointwise import PointwiseNetwork

HEAD_PIXELS = 1 << 14
"""The heads of so many pixels run together where nothing has to wait."""


@dataclass(frozen=True)
class ContextCoder:
    """One pixel variable of a batch of images, which need not be of one size.

    Attributes:
        head: the network from features and context to mixture parameters.
        layout: of its outputs.
        sizes: (height, width) of each of the B images.
        features: (B, h, w, F), integers in the units of a network's input; h and w are at least the largest image's.
        fallback: (B, C, H, W), the base where no neighbour is known; H and W are the largest image's.
        block: side of the blocks that do not see each other.
        grey: the channels are equal, and only the first is coded.
        adapting: the mixtures are corrected by what is learned on the way.
    """

    head: PointwiseNetwork
    layout: PixelLayout
    sizes: tuple[tuple[int, int], ...]
    features: Int16
    fallback: UInt8
    block: int
    grey: bool
    adapting: bool

    def joined(self, others: Sequence[ContextCoder]) -> ContextCoder:
        """This and other batches of one variable as one, each image in the upper left corner of its place."""
        if not others:
            return self
        coders = [self, *others]
        height, width = (max(c.fallback.shape[axis] for c in coders) for axis in (2, 3))
        batch = sum(len(c.sizes) for c in coders)
        features = np.zeros((batch, height, width, self.features.shape[3]), dtype=np.int16)
        fallback = np.zeros((batch, self.layout.channels, height, width), dtype=np.uint8)
        start = 0
        for c in coders:
            own, (_, _, h, w) = slice(start, start + len(c.sizes)), c.fallback.shape
            features[own, :h, :w], fallback[own, :, :h, :w] = c.features[:, :h, :w], c.fallback
            start = own.stop
        sizes = tuple(size for c in coders for size in c.sizes)
        return replace(self, sizes=sizes, features=features, fallback=fallback)

    @property
    def _coded(self) -> int:
        return 1 if self.grey else self.layout.channels

    @cached_property
    def _starts(self) -> Int64:
        return self.layout.starts()

    @cached_property
    def _widths(self) -> Int64:
        return np.array([width for _, width in self.sizes])

    def _contexts(self, plane: UInt8, places: Int32, *, shown: bool) -> Contexts:
        """The context of some places, (n, 3), of the images' planes."""
        count, channels = len(places), self.layout.channels
        inputs = np.empty((count, self.features.shape[3] + context_inputs(channels)), dtype=np.float32)
        bases, activity = np.empty((count, channels), dtype=np.int64), np.empty(count, dtype=np.int64)
        gather(plane, self._widths, self.fallback, self.features, places, self.block, shown, inputs, bases, activity)
        return Contexts(places, self.head(inputs), bases, activity)

    def _stage(self, planes: UInt8, order: Wavefront) -> Stage:
        """What corrects the mixtures of a pass over planes (B, C, H, W)."""
        kind = Adapting if self.adapting else Fixed
        pixels = int(np.diff(order.starts).max())
        return kind(Room(planes, self._widths, self.block, self.layout, self._coded, pixels))

    def encode(self, coder: Encoder, truth: UInt8) -> None:
        """Notes all values (B, C, H, W) of images of one size, step after step."""
        order, first, chunks = wavefront(self.sizes[:1], self.block), 0, list[Callable[[], list[Chunk]]]()
        while first < len(order.starts) - 1:
            last = max(first + 1, int(np.searchsorted(order.starts, order.starts[first] + HEAD_PIXELS, "right")) - 1)
            chunks.append(partial(self._chunk, truth, order, first, last))
            first = last
        for chunk in self._stage(truth, order).corrected(chunks):
            coder.defer(partial(self._notes, chunk))

    def _chunk(self, truth: UInt8, order: Wavefront, first: int, last: int) -> list[Chunk]:
        """Steps first..last - 1 of every image."""
        starts, chunks = order.starts[first : last + 1], []
        for b, image in enumerate(truth):
            places = order.places[starts[0] : starts[-1]].copy()
            places[:, 0] = b
            values = image[:, places[:, 1], places[:, 2]].T.astype(np.int64, order="C")
            chunks.append(Chunk.plain(self._contexts(truth, places, shown=True), starts - starts[0], values))
        return chunks

    def _notes(self, chunk: Callable[[], list[Chunk]]) -> Notes:
        """The symbols of a chunk of every image with their frequencies."""
        tables, coded, images = load_tables(), self._coded, chunk()
        count = 2 * coded * len(images[0].values)
        symbols = np.empty((len(images), count), dtype=np.uint8)
        frequencies = np.empty((len(images), count, ALPHABET), dtype=np.uint16)
        for b, of_image in enumerate(images):
            joint.symbols_of(
                of_image.found.params,
                self._starts,
                of_image.found.bases,
                of_image.found.activity,
                of_image.values,
                of_image.corrections,
                coded,
                self.layout.mixtures,
                tables.logistic,
                tables.pixel_inverse_scale,
                tables.weight,
                of_image.starts,
                symbols[b],
                frequencies[b],
            )
        return symbols, frequencies

    def decode(self, coder: Decoder) -> UInt8:
        """Reads all values (B, C, H, W), 0 beyond an image's size."""
        table, order = load_tables().logistic, wavefront(self.sizes, self.block)
        plane = np.zeros_like(self.fallback)
        stage = self._stage(plane, order)
        with closing(coder.opened()) as opened:
            for start, stop, counts in zip(order.starts[:-1], order.starts[1:], order.counts.tolist(), strict=True):
                places = order.places[start:stop]
                stage.begin(self._contexts(plane, places, shown=True))
                values = np.zeros((len(places), self.layout.channels), dtype=np.int64)
                for channel in range(self._coded):
                    state = stage.mixtures(channel, values)
                    for width in (ALPHABET, 1):
                        stacks = opened.stacks(counts)
                        joint.read(places, channel, width, table, state, stacks.registers, stacks.words, values)
                    stage.observe(channel, values)
                stage.end()
                if self.grey:
                    values[:, 1:] = values[:, :1]
                put(values, places, plane)
        return plane

    def expect(self) -> UInt8:
        """The mixtures' means (B, C, H, W) where nothing of the variable is known."""
        tables, plane = load_tables(), np.zeros_like(self.fallback)
        order = wavefront(self.sizes, self.block).places
        for start in range(0, len(order), HEAD_PIXELS):
            places = order[start : start + HEAD_PIXELS]
            found = self._contexts(plane, places, shown=False)
            values = np.empty((len(places), self.layout.channels), dtype=np.int64)
            joint.expected(
                found.params,
                self._starts,
                found.bases,
                found.activity,
                self._coded,
                self.layout.mixtures,
                tables.pixel_inverse_scale,
                tables.weight,
                values,
            )
            put(values, places, plane)
        return plane


def unfolded(trunk: Float32) -> Int16:
    """A trunk's output (B, F f f, h, w) with depth to space, f = CONTEXT_FOLD: (B, h f, w f, F)."""
    b, depth, h, w = trunk.shape
    fold = CONTEXT_FOLD
    out = np.empty((b, h, fold, w, fold, depth // fold**2), dtype=np.int16)
    out[...] = trunk.reshape(b, -1, fold, fold, h, w).transpose(0, 4, 2, 5, 3, 1)
    return out.reshape(b, h * fold, w * fold, -1)
