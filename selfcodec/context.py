"""The local causal context: in which order pixels are coded, and what each one sees.

A pixel's head sees its neighbours (`layout.NEIGHBOURS`) as distances from the *base*, the average of the nearest, in
units of a power of two that follows the local *activity*; means and scales are relative to both.

The image is cut into blocks that do not see each other. Within a block a pixel at (r, c) needs those at t' < t with
t = c + (CONTEXT_REACH + 1) r, so that all pixels of one t, in all blocks, are coded together: a wavefront.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from selfcodec.compiled import Bytes, Ints, Reals, bit_length, compiled, shift
from selfcodec.exact import ACTIVATION_MAX, INPUT_FRACTION
from selfcodec.layout import (
    ACTIVITY_CHANNELS,
    ACTIVITY_NEIGHBOURS,
    ACTIVITY_RANGE,
    ACTIVITY_UNIT,
    ACTIVITY_WITHOUT,
    BASE_NEIGHBOURS,
    CONTEXT_REACH,
    NEIGHBOURS,
)

Places = npt.NDArray[np.int32]

_NEIGHBOURS = np.array(NEIGHBOURS, dtype=np.int64)
_BASE, _ACTIVITY = np.array(BASE_NEIGHBOURS), np.array(ACTIVITY_NEIGHBOURS)
_ACTIVITY_LOW, _ACTIVITY_HIGH = ACTIVITY_RANGE
_INPUT_SHIFT = INPUT_FRACTION + ACTIVITY_UNIT


@dataclass(frozen=True)
class Wavefront:
    """The order in which a plane's pixels are coded.

    Attributes:
        places: (N, 2) row and column of every pixel, in coding order, int32.
        starts: (T + 1,) where each step begins; step t is places[starts[t] : starts[t + 1]].
    """

    places: Places
    starts: Ints


@lru_cache(maxsize=4)
def wavefront(height: int, width: int, block: int) -> Wavefront:
    """By step, then by block and row, for a plane in blocks of block x block pixels."""
    rows, columns = np.divmod(np.arange(height * width, dtype=np.int32), width)
    step = columns % block + (CONTEXT_REACH + 1) * (rows % block)
    order = np.lexsort((columns, rows, columns // block, rows // block, step))
    counts = np.bincount(step)
    starts = np.concatenate([[0], np.cumsum(counts[counts > 0])])
    return Wavefront(np.stack([rows[order], columns[order]], 1), starts.astype(np.int64))


@compiled
def gather(
    plane: Bytes, fallback: Bytes, places: Places, block: int, shown: bool, inputs: Reals, bases: Ints, activity: Ints
) -> None:
    """What the heads of some pixels see.

    Args:
        plane: (C, H, W), the values; those not yet decoded are not looked at.
        fallback: (C, H, W), the base where no neighbour is known.
        places: (n, 2).
        block: side of the blocks.
        shown: False hides the neighbours.
        inputs: (n, context_inputs(C)), set to integers in units of 2**-INPUT_FRACTION.
        bases: (n, C), set, in grey levels.
        activity: (n,), set.
    """
    channels, _, width = plane.shape
    count, near = len(_NEIGHBOURS), np.empty(len(_NEIGHBOURS), dtype=np.bool_)
    for i in range(len(places)):
        row, column = np.int64(places[i, 0]), np.int64(places[i, 1])
        top, left = row - row % block, column - column % block
        right = min(left + block, width)
        for n in range(count):
            r, c = row + _NEIGHBOURS[n, 0], column + _NEIGHBOURS[n, 1]
            near[n] = shown and r >= top and c >= left and c < right
        known = 0
        for n in _BASE:
            known += near[n]
        for channel in range(channels):
            total = 0
            for n in _BASE:
                if near[n]:
                    total += plane[channel, row + _NEIGHBOURS[n, 0], column + _NEIGHBOURS[n, 1]]
            bases[i, channel] = (2 * total + known) // (2 * known) if known else fallback[channel, row, column]
        digits = ACTIVITY_WITHOUT
        if known:
            total = 0
            for n in _ACTIVITY:
                if near[n]:
                    for channel in range(channels):
                        value = plane[channel, row + _NEIGHBOURS[n, 0], column + _NEIGHBOURS[n, 1]]
                        total += abs(np.int64(value) - bases[i, channel])
            digits = min(max(bit_length(total * ACTIVITY_CHANNELS // channels), _ACTIVITY_LOW), _ACTIVITY_HIGH)
        activity[i] = digits
        left_shift = _INPUT_SHIFT - digits
        for n in range(count):
            for channel in range(channels):
                distance = 0
                if near[n]:
                    value = plane[channel, row + _NEIGHBOURS[n, 0], column + _NEIGHBOURS[n, 1]]
                    distance = shift(int(value) - int(bases[i, channel]), left_shift)
                    distance = min(max(distance, -ACTIVATION_MAX), ACTIVATION_MAX)
                inputs[i, n * channels + channel] = distance
        end = count * channels
        inputs[i, end] = (digits - 7) << (INPUT_FRACTION - 1)
        for channel in range(channels):
            inputs[i, end + 1 + channel] = bases[i, channel] - 128
        inputs[i, end + 1 + channels] = (1 << INPUT_FRACTION) if known else 0
