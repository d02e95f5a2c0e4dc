"""Codes a pixel variable in its local causal context: heads run many at once to encode, by wavefronts to decode.

Both sides run the same integer network on the same neighbours, which is why they agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from selfcodec.arrays import Float32, Int16, UInt8, UInt32
from selfcodec.coding.ans import Stacks
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.coding.notes import Intervals
from selfcodec.likelihoods.context import adapting, passes, predicting
from selfcodec.likelihoods.context.mixture import terms_of
from selfcodec.likelihoods.context.neighbours import Scene
from selfcodec.likelihoods.context.order import Wavefront, wavefront
from selfcodec.likelihoods.layout import CONTEXT_FOLD, PixelLayout, prediction_inputs
from selfcodec.networks.pointwise import PointwiseNetwork
from selfcodec.parallel import check_wanted, mapped

HEADS = 1 << 10
"""The heads of so many pixels run together where nothing has to wait: their values stay in a processor's cache."""
PIXELS_AT_ONCE = 1 << 14
"""Whole steps of about so many pixels are coded before it is asked whether that is still wanted."""
_NO_STREAMS = Stacks([]).streams
_NO_INTERVALS = np.zeros(0, dtype=np.uint32)


@dataclass(frozen=True)
class ContextCoder:
    """One pixel variable of a batch of images, which need not be of one size.

    Attributes:
        head: the network from features and context to mixture parameters.
        layout: of its outputs.
        sizes: (height, width) of each of the B images.
        features: (B, h, w, F), integers in the units of a network's input; h and w are at least the largest image's.
        fallback: (B, H, W, C), the base where no neighbour is known; H and W are the largest image's.
        block: side of the blocks that do not see each other.
        grey: the channels are equal, and only the first is coded.
        adapting: the mixtures are corrected by what is learned on the way.
        predicting: the head sees predictions.
    """

    head: PointwiseNetwork
    layout: PixelLayout
    sizes: tuple[tuple[int, int], ...]
    features: Int16
    fallback: UInt8
    block: int
    grey: bool
    adapting: bool
    predicting: bool

    def joined(self, others: Sequence[ContextCoder]) -> ContextCoder:
        """This and other batches of one variable as one, each image in the upper left corner of its place."""
        if not others:
            return self
        coders = [self, *others]
        height, width = (max(c.fallback.shape[axis] for c in coders) for axis in (1, 2))
        batch = sum(len(c.sizes) for c in coders)
        features = np.zeros((batch, height, width, self.features.shape[3]), dtype=np.int16)
        fallback = np.zeros((batch, height, width, self.layout.channels), dtype=np.uint8)
        start = 0
        for c in coders:
            own, (_, h, w, _) = slice(start, start + len(c.sizes)), c.fallback.shape
            features[own, :h, :w], fallback[own, :h, :w] = c.features[:, :h, :w], c.fallback
            start = own.stop
        sizes = tuple(size for c in coders for size in c.sizes)
        return replace(self, sizes=sizes, features=features, fallback=fallback)

    def _of_image(self, image: int) -> ContextCoder:
        own = slice(image, image + 1)
        return replace(self, sizes=self.sizes[own], features=self.features[own], fallback=self.fallback[own])

    @property
    def _coded(self) -> int:
        return 1 if self.grey else self.layout.channels

    def _order(self) -> Wavefront:
        return wavefront(self.sizes, self.block)

    def _pass(self, planes: UInt8, heads: int) -> passes.Pass:
        """A pass over planes (B, H, W, C), on which the heads of so many pixels run together, or of a step."""
        order, channels, (batch, height, width, _) = self._order(), self.layout.channels, planes.shape
        longest = int(np.diff(order.starts).max())
        most = max(longest, min(heads, len(order.places)))
        memory = adapting.blank(batch if self.adapting else 0, self._coded, height, width)
        return passes.Pass(
            Scene(planes, np.array([w for _, w in self.sizes]), self.fallback, self.features, self.block),
            order.places,
            order.starts,
            self.head.nodes,
            terms_of(self.layout),
            self._coded,
            self.adapting,
            memory,
            adapting.room(memory, longest, self.layout.mixtures),
            passes.Found(
                np.empty((most, self.head.inputs), dtype=np.float32),
                np.empty((most, self.head.outputs), dtype=np.float32),
                np.empty((most, channels), dtype=np.int64),
                np.empty(most, dtype=np.int64),
                np.empty((most, channels), dtype=np.int64),
                self.head.nodes.room(most),
            ),
            prediction_inputs(channels) if self.predicting else 0,
            predicting.blank(batch if self.predicting else 0, channels, height, width, longest),
        )

    def _parts(self) -> Iterator[tuple[int, int]]:
        """Steps that are coded at once, as long as they are wanted: the first, and the one after the last."""
        starts, first = self._order().starts, 0
        while first < len(starts) - 1:
            check_wanted()
            last = max(first + 1, int(np.searchsorted(starts, starts[first] + PIXELS_AT_ONCE, "right")) - 1)
            yield first, last
            first = last

    def encode(self, coder: Encoder, truth: UInt8) -> None:
        """Notes all values (B, H, W, C) of images, each in a thread of its own."""
        images = [partial(self._of_image(i)._intervals, truth[i : i + 1]) for i in range(len(truth))]
        starts, sizes = zip(*mapped(images), strict=True)
        coder.add(Intervals(starts, sizes))

    def _intervals(self, truth: UInt8) -> tuple[UInt32, UInt32]:
        """The starts and sizes of all values' intervals of one image (1, H, W, C)."""
        own = self._pass(truth, HEADS)
        starts, sizes = (np.empty(self._coded * len(own.places), dtype=np.uint32) for _ in range(2))
        for first, last in self._parts():
            passes.coded(own, first, last, False, _NO_STREAMS, starts, sizes)
        return starts, sizes

    def decode(self, coder: Decoder) -> UInt8:
        """Reads all values (B, H, W, C), 0 beyond an image's size."""
        planes, counts = np.zeros_like(self.fallback), self._order().counts
        own = self._pass(planes, 1)
        with closing(coder.opened()) as opened:
            for first, last in self._parts():
                streams = opened.streams(np.repeat(counts[first:last], self._coded, axis=0))
                passes.coded(own, first, last, True, streams, _NO_INTERVALS, _NO_INTERVALS)
        return planes

    def expect(self) -> UInt8:
        """The mixtures' means (B, H, W, C) where nothing of the variable is known."""
        planes = np.zeros_like(self.fallback)
        passes.expect(replace(self, adapting=False)._pass(planes, HEADS))
        return planes


def unfolded(trunk: Float32) -> Int16:
    """A trunk's output (B, F f f, h, w) with depth to space, f = CONTEXT_FOLD: (B, h f, w f, F)."""
    b, depth, h, w = trunk.shape
    fold = CONTEXT_FOLD
    out = np.empty((b, h, fold, w, fold, depth // fold**2), dtype=np.int16)
    out[...] = trunk.reshape(b, -1, fold, fold, h, w).transpose(0, 4, 2, 5, 3, 1)
    return out.reshape(b, h * fold, w * fold, -1)
