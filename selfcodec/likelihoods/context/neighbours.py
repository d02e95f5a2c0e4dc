"""The local causal context: what the head of a pixel sees.

A pixel's head sees its neighbours (`layout.NEIGHBOURS`) as distances from the *base*, the average of the nearest, in
units of a power of two that follows the local *activity*; means and scales are relative to both.
"""

from __future__ import annotations

import numpy as np

from selfcodec.arrays import Float32, Int16, Int32, Int64, UInt8
from selfcodec.compiled import bit_length, compiled, shift
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
_INPUT_SHIFT = INPUT_FRACTION + ACTIVITY_UNIT


@compiled
def is_known(row: int, column: int, n: int, block: int, width: int) -> bool:
    """Whether a pixel's neighbour n lies in its block, in a plane of some width."""
    r, left = row + _NEIGHBOURS[n, 0], column - column % block
    c = column + _NEIGHBOURS[n, 1]
    return r >= row - row % block and c >= left and c < min(left + block, width)


@compiled
def gather(
    plane: UInt8,
    widths: Int64,
    fallback: UInt8,
    features: Int16,
    places: Int32,
    block: int,
    shown: bool,
    inputs: Float32,
    bases: Int64,
    activity: Int64,
) -> None:
    """What the heads of some pixels see.

    Args:
        plane: (B, C, H, W), the values; those not yet decoded are not looked at.
        widths: (B,), of each plane, at most W.
        fallback: (B, C, H, W), the base where no neighbour is known.
        features: (B, H, W, F).
        places: (n, 3).
        block: side of the blocks.
        shown: False hides the neighbours.
        inputs: (n, F + context_inputs(C)), set to integers in units of 2**-INPUT_FRACTION.
        bases: (n, C), set, in grey levels.
        activity: (n,), set.
    """
    channels, given = plane.shape[1], features.shape[3]
    height, width = plane.shape[2], plane.shape[3]
    flat, area, count = plane.ravel(), height * width, len(_NEIGHBOURS)
    offsets, near = _NEIGHBOURS[:, 0] * width + _NEIGHBOURS[:, 1], np.empty(count, dtype=np.bool_)
    for i in range(len(places)):
        b, row, column = np.int64(places[i, 0]), np.int64(places[i, 1]), np.int64(places[i, 2])
        at = (b * channels * height + row) * width + column  # of the first channel, among all values
        for f in range(given):
            inputs[i, f] = features[b, row, column, f]
        whole = shown and row % block >= CONTEXT_REACH and _known_beside(int(column), block, widths[b])
        for n in range(count):
            near[n] = whole or (shown and is_known(int(row), int(column), n, block, widths[b]))
        known = 0
        for n in _BASE:
            known += near[n]
        for channel in range(channels):
            total = 0
            for n in _BASE:
                if near[n]:
                    total += flat[at + channel * area + offsets[n]]
            bases[i, channel] = (2 * total + known) // (2 * known) if known else fallback[b, channel, row, column]
        activity[i] = ACTIVITY_WITHOUT
        if known:
            total = 0
            for n in _ACTIVITY:
                if near[n]:
                    for channel in range(channels):
                        total += abs(np.int64(flat[at + channel * area + offsets[n]]) - bases[i, channel])
            activity[i] = min(max(bit_length(total * ACTIVITY_CHANNELS // channels), _ACTIVITY_LOW), _ACTIVITY_HIGH)
        left_shift = _INPUT_SHIFT - activity[i]
        for channel in range(channels):
            base, first = bases[i, channel], at + channel * area
            for n in range(count):
                distance = 0
                if near[n]:
                    distance = shift(int(flat[first + offsets[n]]) - base, left_shift)
                    distance = min(max(distance, -ACTIVATION_MAX), ACTIVATION_MAX)
                inputs[i, given + n * channels + channel] = distance
        end = given + count * channels
        inputs[i, end] = (activity[i] - ACTIVITY_CENTRE) << (INPUT_FRACTION - 1)
        for channel in range(channels):
            inputs[i, end + 1 + channel] = bases[i, channel] - NEUTRAL
        inputs[i, end + 1 + channels] = (1 << INPUT_FRACTION) if known else 0


@compiled
def _known_beside(column: int, block: int, width: int) -> bool:
    """Whether all columns in reach lie in the pixel's block, in a plane of some width."""
    left = column - column % block
    return column - left >= CONTEXT_REACH and column + CONTEXT_REACH < min(left + block, width)


@compiled
def put(values: Int64, places: Int32, plane: UInt8) -> None:
    """Puts values (n, C) into their places (n, 3) of planes (B, C, H, W)."""
    for i in range(len(places)):
        b, row, column = np.int64(places[i, 0]), np.int64(places[i, 1]), np.int64(places[i, 2])
        for channel in range(values.shape[1]):
            plane[b, channel, row, column] = values[i, channel]
