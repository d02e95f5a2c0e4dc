"""Codes a pixel variable in its local causal context: all at once when encoding, wavefront by wavefront when decoding.

Both sides run the same integer network on the same neighbours, which is why they agree to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from torch import Tensor

from selfcodec import context, joint
from selfcodec.coder import Decoder, Encoder, Notes
from selfcodec.context import Wavefront, wavefront
from selfcodec.layout import CONTEXT_FOLD, DIGIT, PixelLayout, context_inputs
from selfcodec.mixture import IntArray
from selfcodec.rows import RowNetwork
from selfcodec.tables import load_tables

PIXELS_AT_ONCE = 1 << 14
"""Pixels whose heads run together where nothing has to wait."""
UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Rows:
    """Some pixels' context, row by row: the head's outputs, and what they are relative to."""

    params: npt.NDArray[np.float32]
    bases: IntArray
    activity: IntArray


@dataclass(frozen=True)
class ContextCoder:
    """One pixel variable of a batch of images.

    Attributes:
        head: the network from features and context to mixture parameters.
        layout: of its outputs.
        features: (B, h, w, F), integers in the units of a network's input; more rows and columns may follow.
        fallback: (B, C, h, w), the base where no neighbour is known.
        block: side of the blocks that do not see each other.
        grey: the channels are equal, and only the first is coded.
    """

    head: RowNetwork
    layout: PixelLayout
    features: npt.NDArray[np.int16]
    fallback: UInt8
    block: int
    grey: bool

    @property
    def _coded(self) -> int:
        return 1 if self.grey else self.layout.channels

    @property
    def _size(self) -> tuple[int, int, int]:
        return self.fallback.shape[0], self.fallback.shape[2], self.fallback.shape[3]

    def _order(self) -> Wavefront:
        return wavefront(self._size[1], self._size[2], self.block)

    def _rows(self, plane: UInt8, places: context.Places, *, shown: bool) -> Rows:
        """The context of the same n places of every image, B n rows."""
        batch, count, channels = len(plane), len(places), self.layout.channels
        inputs = np.empty((batch, count, context_inputs(channels)), dtype=np.float32)
        bases, activity = np.empty((batch, count, channels), dtype=np.int64), np.empty((batch, count), dtype=np.int64)
        for b in range(batch):
            context.gather(plane[b], self.fallback[b], places, self.block, shown, inputs[b], bases[b], activity[b])
        features = self.features[:, places[:, 0], places[:, 1]].reshape(batch * count, -1).astype(np.float32)
        params = self.head(features, inputs.reshape(batch * count, -1))
        return Rows(params, bases.reshape(-1, channels), activity.reshape(-1))

    def encode(self, coder: Encoder, truth: UInt8) -> None:
        """Notes all values (B, C, h, w), step after step."""
        order, first = self._order(), 0
        while first < len(order.starts) - 1:
            last = max(first + 1, int(np.searchsorted(order.starts, order.starts[first] + PIXELS_AT_ONCE, "right")) - 1)
            coder.defer(partial(self._notes, truth, order, first, last))
            first = last

    def _notes(self, truth: UInt8, order: Wavefront, first: int, last: int) -> Notes:
        """The digits of steps first..last - 1 with their weights."""
        tables, coded = load_tables(), self._coded
        places, starts = order.places[order.starts[first] : order.starts[last]], order.starts[first : last + 1]
        rows, count = self._rows(truth, places, shown=True), len(places)
        digits = np.empty((len(truth), 2 * coded * count), dtype=np.uint8)
        weights = np.empty((len(truth), 2 * coded * count, DIGIT), dtype=np.uint16)
        for b, image in enumerate(truth):
            part = slice(b * count, (b + 1) * count)
            values = image[:, places[:, 0], places[:, 1]].T.astype(np.int64, order="C")
            joint.digits_of(
                rows.params[part],
                rows.bases[part],
                rows.activity[part],
                values,
                coded,
                self.layout.mixtures,
                tables.logistic,
                tables.pixel_inverse_scale,
                tables.weight,
                starts - starts[0],
                digits[b],
                weights[b],
            )
        return digits, weights

    def decode(self, coder: Decoder) -> UInt8:
        """Reads all values (B, C, h, w)."""
        batch, height, width = self._size
        tables, order, channels, mixtures = load_tables(), self._order(), self.layout.channels, self.layout.mixtures
        plane = np.zeros((batch, channels, height, width), dtype=np.uint8)
        for start, stop in zip(order.starts[:-1], order.starts[1:], strict=True):
            places = order.places[start:stop]
            rows, count = self._rows(plane, places, shown=True), batch * len(places)
            values = np.empty((count, channels), dtype=np.int64)
            state = np.empty((count, 3, mixtures), dtype=np.int64)
            weights = np.empty((count, DIGIT))
            split = (batch, len(places), DIGIT)
            for channel in range(self._coded):
                joint.high_weights(
                    rows.params,
                    rows.bases,
                    rows.activity,
                    values,
                    channel,
                    tables.logistic,
                    tables.pixel_inverse_scale,
                    tables.weight,
                    state,
                    weights,
                )
                high = coder.digits(weights.reshape(split)).reshape(-1)
                joint.low_weights(high, tables.logistic, state, weights)
                values[:, channel] = DIGIT * high + coder.digits(weights.reshape(split)).reshape(-1)
            if self.grey:
                values[:, 1:] = values[:, :1]
            self._write(plane, places, values)
        return plane

    def expect(self) -> UInt8:
        """The mixtures' means (B, C, h, w) where nothing of the variable is known."""
        batch, height, width = self._size
        tables, channels = load_tables(), self.layout.channels
        plane = np.zeros((batch, channels, height, width), dtype=np.uint8)
        order = np.stack(np.divmod(np.arange(height * width, dtype=np.int32), width), 1)
        for start in range(0, len(order), PIXELS_AT_ONCE):
            places = order[start : start + PIXELS_AT_ONCE]
            rows = self._rows(plane, places, shown=False)
            values = np.empty((batch * len(places), channels), dtype=np.int64)
            joint.expected(
                rows.params,
                rows.bases,
                rows.activity,
                self._coded,
                self.layout.mixtures,
                tables.pixel_inverse_scale,
                tables.weight,
                values,
            )
            self._write(plane, places, values)
        return plane

    @staticmethod
    def _write(plane: UInt8, places: context.Places, values: IntArray) -> None:
        shaped = values.reshape(len(plane), len(places), -1).transpose(0, 2, 1)
        plane[:, :, places[:, 0], places[:, 1]] = shaped


def feature_rows(trunk: Tensor) -> npt.NDArray[np.int16]:
    """A trunk's output (B, F f f, h, w) with depth to space, f = CONTEXT_FOLD: (B, h f, w f, F)."""
    b, depth, h, w = trunk.shape
    fold = CONTEXT_FOLD
    rows = np.empty((b, h, fold, w, fold, depth // fold**2), dtype=np.int16)
    rows[...] = trunk.cpu().view(b, -1, fold, fold, h, w).permute(0, 4, 2, 5, 3, 1).numpy()
    return rows.reshape(b, h * fold, w * fold, -1)
