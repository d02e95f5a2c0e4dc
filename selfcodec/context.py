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
Features = npt.NDArray[np.int16]

_NEIGHBOURS = np.array(NEIGHBOURS, dtype=np.int64)
_BASE, _ACTIVITY = np.array(BASE_NEIGHBOURS), np.array(ACTIVITY_NEIGHBOURS)
_ACTIVITY_LOW, _ACTIVITY_HIGH = ACTIVITY_RANGE
_INPUT_SHIFT = INPUT_FRACTION + ACTIVITY_UNIT


@dataclass(frozen=True)
class Wavefront:
    """The order in which the pixels of some planes are coded together.

    Attributes:
        places: (N, 3) plane, row and column of every pixel, in coding order, int32.
        starts: (T + 1,) where each step begins; step t is places[starts[t] : starts[t + 1]], plane by plane.
        counts: (T, B) pixels of every plane in every step.
    """

    places: Places
    starts: Ints
    counts: Ints


@lru_cache(maxsize=4)
def wavefront(sizes: tuple[tuple[int, int], ...], block: int) -> Wavefront:
    """By step, then by plane, block and row, for planes of (height, width) in blocks of block x block pixels."""
    orders = {size: _of_plane(size, block) for size in set(sizes)}
    steps = np.concatenate([orders[size][0] for size in sizes])
    order = np.argsort(steps, kind="stable")
    places = np.concatenate([np.insert(orders[size][1], 0, i, axis=1) for i, size in enumerate(sizes)])
    counts = np.stack([np.bincount(orders[size][0], minlength=steps.max() + 1) for size in sizes], 1)
    starts = np.append(0, np.cumsum(counts.sum(1)))
    return Wavefront(places[order], starts, counts)


def _of_plane(size: tuple[int, int], block: int) -> tuple[Ints, Places]:
    """Number of its step, (N,), and row and column, (N, 2), of every pixel of one plane, in coding order."""
    rows, columns = np.divmod(np.arange(size[0] * size[1], dtype=np.int32), size[1])
    times = columns % block + (CONTEXT_REACH + 1) * (rows % block)
    order = np.lexsort((columns, rows, columns // block, rows // block, times))
    steps = np.unique(times[order], return_inverse=True)[1]  # in narrow planes no pixel has some times
    return steps, np.stack([rows[order], columns[order]], 1)


@compiled
def gather(
    plane: Bytes,
    widths: Ints,
    fallback: Bytes,
    features: Features,
    places: Places,
    block: int,
    shown: bool,
    inputs: Reals,
    bases: Ints,
    activity: Ints,
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
    count, near = len(_NEIGHBOURS), np.empty(len(_NEIGHBOURS), dtype=np.bool_)
    for i in range(len(places)):
        b, row, column = np.int64(places[i, 0]), np.int64(places[i, 1]), np.int64(places[i, 2])
        for f in range(given):
            inputs[i, f] = features[b, row, column, f]
        top, left = row - row % block, column - column % block
        right = min(left + block, widths[b])
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
                    total += plane[b, channel, row + _NEIGHBOURS[n, 0], column + _NEIGHBOURS[n, 1]]
            bases[i, channel] = (2 * total + known) // (2 * known) if known else fallback[b, channel, row, column]
        digits = ACTIVITY_WITHOUT
        if known:
            total = 0
            for n in _ACTIVITY:
                if near[n]:
                    for channel in range(channels):
                        value = plane[b, channel, row + _NEIGHBOURS[n, 0], column + _NEIGHBOURS[n, 1]]
                        total += abs(np.int64(value) - bases[i, channel])
            digits = min(max(bit_length(total * ACTIVITY_CHANNELS // channels), _ACTIVITY_LOW), _ACTIVITY_HIGH)
        activity[i] = digits
        left_shift = _INPUT_SHIFT - digits
        for n in range(count):
            for channel in range(channels):
                distance = 0
                if near[n]:
                    value = plane[b, channel, row + _NEIGHBOURS[n, 0], column + _NEIGHBOURS[n, 1]]
                    distance = shift(int(value) - int(bases[i, channel]), left_shift)
                    distance = min(max(distance, -ACTIVATION_MAX), ACTIVATION_MAX)
                inputs[i, given + n * channels + channel] = distance
        end = given + count * channels
        inputs[i, end] = (digits - 7) << (INPUT_FRACTION - 1)
        for channel in range(channels):
            inputs[i, end + 1 + channel] = bases[i, channel] - 128
        inputs[i, end + 1 + channels] = (1 << INPUT_FRACTION) if known else 0
