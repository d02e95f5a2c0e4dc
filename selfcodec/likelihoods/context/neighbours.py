"""The local causal context: what the head of a pixel sees.

A pixel's head sees its neighbours (`layout.NEIGHBOURS`) as distances from the *base*, the average of the nearest, in
units of a power of two that follows the local *activity*; means and scales are relative to both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from selfcodec.arrays import Float32, Int16, Int32, Int64, UInt8
from selfcodec.compiled import bit_length, compiled
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION
from selfcodec.likelihoods.layout import (
    ACTIVITY_CENTRE,
    ACTIVITY_CHANNELS,
    ACTIVITY_NEIGHBOURS,
    ACTIVITY_RANGE,
    ACTIVITY_UNIT,
    ACTIVITY_WITHOUT,
    BASE_NEIGHBOURS,
    CONTEXT_REACH,
    NEIGHBOURS,
    NEUTRAL,
)

_NEIGHBOURS = np.array(NEIGHBOURS, dtype=np.int64)
_BASE, _ACTIVITY = np.array(BASE_NEIGHBOURS), np.array(ACTIVITY_NEIGHBOURS)
_ACTIVITY_LOW, _ACTIVITY_HIGH = ACTIVITY_RANGE
UNITS = np.exp2(INPUT_FRACTION + ACTIVITY_UNIT - np.arange(_ACTIVITY_HIGH + 1.0)).astype(np.float32)
"""A grey level is so many units of a head's inputs, by activity."""
_MOST, _HALF = np.float32(ACTIVATION_MAX), np.float32(0.5)
_ROW = 2 * CONTEXT_REACH + 1
"""A row of neighbours has so many, the pixel's own fewer."""


class Scene(NamedTuple):
    """What is around the pixels of some planes.

    Attributes:
        planes: (B, H, W, C), the values as far as they are known.
        widths: (B,), of each plane, at most W.
        fallback: (B, H, W, C), the base where no neighbour is known.
        features: (B, h, w, F), integers in the units of a network's input; h and w are at least H and W.
        block: side of the blocks that do not see each other.
    """

    planes: UInt8
    widths: Int64
    fallback: UInt8
    features: Int16
    block: int


@compiled
def is_known(row: int, column: int, n: int, block: int, width: int) -> bool:
    """Whether a pixel's neighbour n lies in its block, in a plane of some width."""
    r, left = row + _NEIGHBOURS[n, 0], column - column % block
    c = column + _NEIGHBOURS[n, 1]
    return r >= row - row % block and c >= left and c < min(left + block, width)


@compiled
def all_known(row: int, column: int, block: int, width: int) -> bool:
    """Whether all neighbours of a pixel lie in its block, in a plane of some width."""
    left = column - column % block
    beside = column - left >= CONTEXT_REACH and column + CONTEXT_REACH < min(left + block, width)
    return row % block >= CONTEXT_REACH and beside


@compiled
def gather(scene: Scene, places: Int32, shown: bool, inputs: Float32, bases: Int64, activity: Int64) -> None:
    """What the heads of some pixels see.

    Args:
        scene: its values that are not yet decoded are not looked at.
        places: (n, 3), plane, row and column.
        shown: False hides the neighbours.
        inputs: (n, F + context_inputs(C) or more), the first of them set to integers in units of 2**-INPUT_FRACTION.
        bases: (n, C), set, in grey levels.
        activity: (n,), set.
    """
    planes, given = scene.planes, scene.features.shape[3]
    _, height, width, channels = planes.shape
    flat, count = planes.ravel(), len(_NEIGHBOURS)
    offsets = (_NEIGHBOURS[:, 0] * width + _NEIGHBOURS[:, 1]) * channels
    near, of_row = np.empty(count, dtype=np.bool_), np.empty(_ROW * channels, dtype=np.int32)
    for i in range(len(places)):
        b, row, column, out = np.int64(places[i, 0]), np.int64(places[i, 1]), np.int64(places[i, 2]), inputs[i]
        at = ((b * height + row) * width + column) * channels  # among all values
        for f in range(given):
            out[f] = scene.features[b, row, column, f]
        whole = shown and all_known(int(row), int(column), scene.block, scene.widths[b])
        for n in range(count):
            near[n] = whole or (shown and is_known(int(row), int(column), n, scene.block, scene.widths[b]))
        known = 0
        for n in _BASE:
            known += near[n]
        for channel in range(channels):
            total = 0
            for n in _BASE:
                if near[n]:
                    total += flat[at + offsets[n] + channel]
            base = (2 * total + known) // (2 * known) if known else np.int64(scene.fallback[b, row, column, channel])
            bases[i, channel] = base
            for n in range(_ROW):
                of_row[n * channels + channel] = base
        activity[i] = ACTIVITY_WITHOUT
        if known:
            total = 0
            for n in _ACTIVITY:
                if near[n]:
                    for channel in range(channels):
                        total += abs(np.int64(flat[at + offsets[n] + channel]) - bases[i, channel])
            activity[i] = min(max(bit_length(total * ACTIVITY_CHANNELS // channels), _ACTIVITY_LOW), _ACTIVITY_HIGH)
        unit, end = UNITS[activity[i]], given + count * channels
        if whole:
            for n in range(0, count, _ROW):
                size = channels * min(_ROW, count - n)
                values, to = flat[at + offsets[n] : at + offsets[n] + size], out[given + n * channels :]
                for k in range(size):
                    to[k] = _distance(np.int32(values[k]) - of_row[k], unit)
        else:
            for n in range(count):
                for channel in range(channels):
                    apart = np.int32(flat[at + offsets[n] + channel]) - of_row[channel] if near[n] else np.int32(0)
                    out[given + n * channels + channel] = _distance(apart, unit)
        out[end] = (activity[i] - ACTIVITY_CENTRE) << (INPUT_FRACTION - 1)
        for channel in range(channels):
            out[end + 1 + channel] = bases[i, channel] - NEUTRAL
        out[end + 1 + channels] = (1 << INPUT_FRACTION) if known else 0


@compiled
def _distance(grey_levels: np.int32, unit: np.float32) -> np.float32:
    """A distance in units of a head's inputs, rounded half up; float32 has all of these numbers exactly."""
    return min(max(np.floor(np.float32(grey_levels) * unit + _HALF), -_MOST), _MOST)


@compiled
def take(planes: UInt8, places: Int32, values: Int64) -> None:
    """Sets values (n, C) to those in places (n, 3) of planes (B, H, W, C)."""
    for i in range(len(places)):
        b, row, column = np.int64(places[i, 0]), np.int64(places[i, 1]), np.int64(places[i, 2])
        for channel in range(values.shape[1]):
            values[i, channel] = planes[b, row, column, channel]


@compiled
def put(values: Int64, places: Int32, planes: UInt8) -> None:
    """Puts values (n, C) into their places (n, 3) of planes (B, H, W, C)."""
    for i in range(len(places)):
        b, row, column = np.int64(places[i, 0]), np.int64(places[i, 1]), np.int64(places[i, 2])
        for channel in range(values.shape[1]):
            planes[b, row, column, channel] = values[i, channel]
