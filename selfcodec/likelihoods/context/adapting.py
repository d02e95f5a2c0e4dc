"""What no network can know of a picture, its grain, demosaicing or sharpening, is learned while its pixels are coded.

A channel's mixture is corrected twice. Its scales are stretched, and its means are moved by a linear filter of what was
coded around the pixel: the values, and how far they were from where the network expected them. The filter is the
weighted least squares solution over the pixels coded so far. One matrix gathers the products for all channels, since
the filter of each sees all that the one before sees, and its channel. How much of the filter's move is made, and the
stretch, follow the gradient of the coded bits, by activity.

Encoder and decoder learn the same to the last bit: this computes with float64 in the order in which it is written, with
sums, products and quotients alone, which IEEE 754 rounds correctly. No step may be fused or taken in another order.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from selfcodec.arrays import Float64, Int16, Int32, Int64
from selfcodec.coding.tables import CDF_BITS, CDF_RANGE, INVERSE_BITS
from selfcodec.compiled import compiled
from selfcodec.likelihoods.context.least_squares import (
    Samples,
    blank_samples,
    dot,
    factored,
    filled_up,
    regress,
    take_in,
)
from selfcodec.likelihoods.context.mixture import STATE
from selfcodec.likelihoods.context.neighbours import Scene, all_known, is_known
from selfcodec.likelihoods.layout import ACTIVITY_RANGE, NEIGHBOURS, PIXEL_BITS

SEEN = tuple(n for n, (row, column) in enumerate(NEIGHBOURS) if row * row + column * column <= 5)
"""The filters see these neighbours, the ten nearest."""
SOLVED_AFTER = 128
"""A plane's filters are found anew once so many of its pixels were taken in."""
KEPT = 0.975
"""The forgetting factor: each time that filters are found, what was gathered before is multiplied by it."""
VARIANCE, SQUARE, NOISE = 1.0, 0.1, 2.0
"""A pixel's weight is one by the sum of so much of its squared scale and of its squared residual, and of this."""
MOST_MOVE = 0.25
"""A filter moves means by at most the mixture's scale and so many grey levels."""
FIRST_GAIN, GAIN_RATE, MOST_GAIN = 0.5, 0.01, 2.0
"""The gain begins here, follows gradients of at most 1 at this rate, and stays between 0 and this."""
STRETCH_RATE, STRETCH_BEGIN, STRETCH_GRADIENT, MOST_STRETCH = 0.002, 50, 4.0, 1.5
"""The logarithm of the stretch begins at 0, follows gradients of at most so much at first at the rate 1 / 51, as
averages do, later at this one, and has at most this magnitude."""

_SEEN = np.array(SEEN)
_NEIGHBOURS = np.array(NEIGHBOURS, dtype=np.int64)
_LOWEST, _HIGHEST = ACTIVITY_RANGE
_EDGE = 1 << PIXEL_BITS
_STEPS = 32
"""Steps of the table of scales in a natural logarithm of 1."""
_SCALE = float(1 << INVERSE_BITS)
_DISTANCE = float(1 << (INVERSE_BITS + PIXEL_BITS))
_CERTAIN = float(1 << CDF_BITS)


class Memory(NamedTuple):
    """What was learned of some planes.

    Attributes:
        residuals: (B, H, W, C), by how much values were above the expectation, in 2**-PIXEL_BITS, where coded.
        products: (B, N, N), upper triangle: weighted sums of products of what the filters see and find.
        filters: (B, C, n).
        fresh: (B,), pixels taken in since the filters were found.
        gains, stretches, counts: (B, C, A), by activity: of the filters' moves; logarithms; values seen.
    """

    residuals: Int16
    products: Float64
    filters: Float64
    fresh: Int64
    gains: Float64
    stretches: Float64
    counts: Float64


class Workspace(NamedTuple):
    """What is known of the pixels that are coded together, at most S.

    Attributes:
        samples: of n things, what the filters see: of each neighbour the values, relative to the base, and the
            residuals; 1; then of each channel its expectation, relative to the base, and its residual. In grey levels.
        moves: (S,), by how much the filter of the channel at hand moves means, before the gain.
        variances: (S,), the channels' squared scales, added up.
        stretches: (S,), of the channel at hand, in steps of the table of scales.
        state: (S, STATE, M), the mixtures of the channel at hand, see `mixture.advance`.
        channels: that are coded.
    """

    samples: Samples
    moves: Float64
    variances: Float64
    stretches: Int64
    state: Int64
    channels: int


def blank(planes: int, channels: int, height: int, width: int) -> Memory:
    """Nothing learned yet, of planes (B, H, W, C)."""
    n, by_activity = 2 * channels * len(SEEN) + 1 + 2 * channels, (planes, channels, _HIGHEST - _LOWEST + 1)
    return Memory(
        np.zeros((planes, height, width, channels), dtype=np.int16),
        np.zeros((planes, filled_up(n), filled_up(n))),
        np.zeros((planes, channels, n)),
        np.zeros(planes, dtype=np.int64),
        np.full(by_activity, FIRST_GAIN),
        np.zeros(by_activity),
        np.zeros(by_activity),
    )


def room(memory: Memory, pixels: int, mixtures: int) -> Workspace:
    """Room for steps of at most so many pixels."""
    return Workspace(
        blank_samples(pixels, memory.filters.shape[2]),
        np.zeros(pixels),
        np.zeros(pixels),
        np.zeros(pixels, dtype=np.int64),
        np.zeros((pixels, STATE, mixtures), dtype=np.int64),
        memory.filters.shape[1],
    )


@compiled
def look(scene: Scene, places: Int32, bases: Int64, memory: Memory, work: Workspace) -> None:
    """Begins a step: sets what the filters see of the neighbours of pixels at places (n, 3)."""
    planes, residuals, block = scene.planes, memory.residuals, scene.block
    channels = residuals.shape[3]
    for i in range(len(places)):
        b, row, column, seen, at = (
            np.int64(places[i, 0]),
            np.int64(places[i, 1]),
            np.int64(places[i, 2]),
            work.samples.seen[i],
            0,
        )
        work.variances[i] = 0.0
        whole = all_known(int(row), int(column), block, scene.widths[b])
        for n in _SEEN:
            r, c = row + _NEIGHBOURS[n, 0], column + _NEIGHBOURS[n, 1]
            if whole or is_known(int(row), int(column), n, block, scene.widths[b]):
                for channel in range(channels):
                    seen[at + channel] = float(np.int64(planes[b, r, c, channel]) - bases[i, channel])
                    seen[at + channels + channel] = residuals[b, r, c, channel] / _EDGE
            else:
                seen[at : at + 2 * channels] = 0.0
            at += 2 * channels
        seen[at] = 1.0


@compiled
def stretch(channel: int, places: Int32, activity: Int64, memory: Memory, work: Workspace) -> None:
    """Sets by how much the scales of a channel are stretched."""
    for i in range(len(places)):
        learned = memory.stretches[np.int64(places[i, 0]), channel, activity[i] - _LOWEST]
        work.stretches[i] = math.floor(_STEPS * learned + 0.5)


@compiled
def move(channel: int, places: Int32, bases: Int64, activity: Int64, memory: Memory, work: Workspace) -> None:
    """Moves the means of a channel's mixtures, `work.state`."""
    channels = memory.filters.shape[1]
    given = memory.filters.shape[2] - 2 * (channels - channel)
    for i in range(len(places)):
        b = np.int64(places[i, 0])
        seen, w, means, inverses = work.samples.seen[i], work.state[i, 0], work.state[i, 1], work.state[i, 2]
        total, mean, inverse = 0, 0, 0
        for m in range(len(w)):
            total += w[m]
            mean += w[m] * means[m]
            inverse += w[m] * inverses[m]
        expected = min(max(mean // total, 0), 255 * _EDGE)
        seen[given] = (expected - _EDGE * bases[i, channel]) / _EDGE
        scale = float(total) / float(inverse) * _SCALE
        work.variances[i] += scale * scale
        most = scale + MOST_MOVE
        work.moves[i] = min(max(dot(memory.filters[b, channel], seen, given + 1), -most), most)
        gain = memory.gains[b, channel, activity[i] - _LOWEST]
        own = math.floor(work.moves[i] * gain * _EDGE + 0.5)
        for m in range(len(w)):
            means[m] += own


@compiled
def observe(
    channel: int, places: Int32, bases: Int64, activity: Int64, values: Int64, memory: Memory, work: Workspace
) -> None:
    """Learns gains and stretches from a channel's values (n, C), and notes the residuals."""
    channels = memory.filters.shape[1]
    given = memory.filters.shape[2] - 2 * (channels - channel)
    for i in range(len(places)):
        b, value, a = np.int64(places[i, 0]), values[i, channel], activity[i] - _LOWEST
        w, means, inverses, at_low, at_high = work.state[i]
        seen = work.samples.seen[i]
        residual = float(value - bases[i, channel]) - seen[given]
        seen[given + 1] = residual
        memory.residuals[b, np.int64(places[i, 1]), np.int64(places[i, 2]), channel] = int(residual * _EDGE)
        mass, of_move, of_stretch = 0.0, 0.0, 0.0
        for m in range(len(w)):
            low = (_EDGE * value - _EDGE // 2 - means[m]) * inverses[m]
            high = low + _EDGE * inverses[m]
            below, above = at_low[m] / _CERTAIN, at_high[m] / _CERTAIN
            rise_below, rise_above = below * (1.0 - below), above * (1.0 - above)
            low_far = min(max(low / _DISTANCE, -float(CDF_RANGE)), float(CDF_RANGE))
            high_far = min(max(high / _DISTANCE, -float(CDF_RANGE)), float(CDF_RANGE))
            mass += w[m] * (above - below)
            of_move += w[m] * ((rise_below - rise_above) * (inverses[m] / _SCALE))
            of_stretch += w[m] * (rise_below * low_far - rise_above * high_far)
        mass = max(mass, 1.0 / _CERTAIN)
        gain = memory.gains[b, channel, a] + GAIN_RATE * min(max(of_move / mass * work.moves[i], -1.0), 1.0)
        memory.gains[b, channel, a] = min(max(gain, 0.0), MOST_GAIN)
        memory.counts[b, channel, a] += 1.0
        rate = max(STRETCH_RATE, 1.0 / (memory.counts[b, channel, a] + STRETCH_BEGIN))
        steep = min(max(of_stretch / mass, -STRETCH_GRADIENT), STRETCH_GRADIENT)
        learned = memory.stretches[b, channel, a] + rate * steep
        memory.stretches[b, channel, a] = min(max(learned, -MOST_STRETCH), MOST_STRETCH)


@compiled
def conclude(places: Int32, memory: Memory, work: Workspace) -> None:
    """Ends a step: adds its pixels' products, and finds the filters of planes of which enough is new."""
    n, channels = memory.filters.shape[2], work.channels
    for i in range(len(places)):
        work.samples.weights[i] = _weight(work.samples.seen[i, :n], work.variances[i], channels)
    take_in(places, work.samples, memory.products, memory.fresh)
    for plane in range(len(memory.fresh)):
        if memory.fresh[plane] >= SOLVED_AFTER:
            memory.fresh[plane] = 0
            factors = factored(memory.products[plane], n)
            for channel in range(channels):
                of_residual = n - 1 - 2 * (channels - 1 - channel)
                regress(factors, of_residual, of_residual, memory.filters[plane, channel])
            memory.products[plane] *= KEPT


@compiled
def _weight(seen: Float64, variance: float, channels: int) -> float:
    """What a pixel counts, of what was seen of it (n,) and its channels' squared scales added up."""
    squares = 0.0
    for channel in range(channels):
        residual = seen[len(seen) - 1 - 2 * channel]
        squares += residual * residual
    return 1.0 / (VARIANCE * (variance / channels) + SQUARE * (squares / channels) + NOISE)
