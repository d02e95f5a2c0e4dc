"""Linear predictions of pixels, found anew in every picture while it is coded; heads see them beside the neighbours.

A pixel's values are predicted from those around it, relative to the base, by the weighted least squares solution over
the pixels coded shortly before. It differs from what `adapting` learns, which corrects the heads' mixtures: this knows
nothing of a network, so that heads can be trained to weigh it. With the predictions heads see how a channel follows the
channels before it (slopes), and by how much the predictions of the nearest pixels were wrong. Arithmetic is as there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from selfcodec.arrays import Float32, Float64, Int16, Int32, Int64
from selfcodec.compiled import compiled
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION
from selfcodec.likelihoods.context.least_squares import (
    Samples,
    blank_samples,
    dot,
    factored,
    filled_up,
    regress,
    take_in,
)
from selfcodec.likelihoods.context.neighbours import UNITS, Scene, all_known, is_known
from selfcodec.likelihoods.layout import ACTIVITY_NEIGHBOURS, BASE_NEIGHBOURS, NEIGHBOURS, PIXEL_BITS

SEEN = tuple(n for n, (row, column) in enumerate(NEIGHBOURS) if row * row + column * column <= 10)
"""Predictions see these neighbours, the eighteen nearest."""
SOLVED_AFTER = 128
"""A plane's predictions are found anew once so many of its pixels were learned from."""
KEPT = 0.9
"""The forgetting factor: each time that filters are found, what was gathered before is multiplied by it."""
VARIANCE, SQUARE, NOISE = 0.1, 0.1, 0.5
"""A pixel's weight is one by the sum of so much of the mean square of the nearest pixels' residuals and of its own
squared residual, and of this, in squared grey levels."""
FIRST_VARIANCE = 100.0
"""The mean square where no neighbour is known."""

_SEEN, _NEAREST, _AROUND = np.array(SEEN), np.array(BASE_NEIGHBOURS), np.array(ACTIVITY_NEIGHBOURS)
_NEIGHBOURS = np.array(NEIGHBOURS, dtype=np.int64)
_EDGE = 1 << PIXEL_BITS
_MOST_VALUE, _MOST = 255.0, float(ACTIVATION_MAX)
_SLOPE_UNIT = float(1 << INPUT_FRACTION)


class Predictor(NamedTuple):
    """What predicts the pixels of some planes, and what it saw of those that are coded together, at most S.

    Attributes:
        residuals: (B, H, W, C), by how much values were above the prediction, in 2**-PIXEL_BITS, where coded.
        products: (B, N, N), upper triangle: weighted sums of products of what is seen and of values.
        filters: (B, C, n).
        slopes: (B, C, C), lower triangle: by how much a channel's residual follows that of an earlier one, beyond what
            the channels before that one tell.
        fresh: (B,), pixels learned from since the filters were found.
        samples: of n things: of each neighbour the values relative to the base; 1; then the pixel's values relative to
            it. Their weights are first the mean squares of the nearest residuals.
        predictions: (S, C), relative to the base, in grey levels.
    """

    residuals: Int16
    products: Float64
    filters: Float64
    slopes: Float64
    fresh: Int64
    samples: Samples
    predictions: Float64


def blank(planes: int, channels: int, height: int, width: int, pixels: int) -> Predictor:
    """Nothing learned yet, of planes (B, H, W, C) of which at most so many pixels are coded together."""
    n = channels * len(SEEN) + 1 + channels
    return Predictor(
        np.zeros((planes, height, width, channels), dtype=np.int16),
        np.zeros((planes, filled_up(n), filled_up(n))),
        np.zeros((planes, channels, n)),
        np.zeros((planes, channels, channels)),
        np.zeros(planes, dtype=np.int64),
        blank_samples(pixels, n),
        np.zeros((pixels, channels)),
    )


@compiled
def _look(scene: Scene, row: int, column: int, b: np.int64, bases: Int64, residuals: Int16, seen: Float64) -> float:
    """Sets what is seen around a pixel; returns the mean square of the nearest residuals."""
    planes, block, width, channels, at = scene.planes, scene.block, scene.widths[b], len(bases), 0
    whole = all_known(row, column, block, width)
    for n in _SEEN:
        if whole or is_known(row, column, n, block, width):
            r, c = row + _NEIGHBOURS[n, 0], column + _NEIGHBOURS[n, 1]
            for channel in range(channels):
                seen[at + channel] = float(np.int64(planes[b, r, c, channel]) - bases[channel])
        else:
            seen[at : at + channels] = 0.0
        at += channels
    seen[at] = 1.0
    total, count = np.int64(0), 0
    for n in _AROUND:
        if whole or is_known(row, column, n, block, width):
            r, c = row + _NEIGHBOURS[n, 0], column + _NEIGHBOURS[n, 1]
            for channel in range(channels):
                total += np.int64(residuals[b, r, c, channel]) * np.int64(residuals[b, r, c, channel])
            count += channels
    return total / (count * _EDGE * _EDGE) if count else FIRST_VARIANCE


@compiled
def _as_input(number: float) -> np.float32:
    """A number in units of a head's inputs, rounded half up."""
    return np.float32(min(max(math.floor(number + 0.5), -_MOST), _MOST))


@compiled
def predict(scene: Scene, places: Int32, bases: Int64, activity: Int64, p: Predictor, inputs: Float32) -> None:
    """Predicts the pixels at places (n, 3), which are coded together.

    Args:
        scene: the planes.
        places: (n, 3), plane, row and column.
        bases, activity: as from `neighbours.gather`.
        p: predicts.
        inputs: (n, prediction_inputs(C)), set to integers in the units of a head's inputs: predictions, residuals of
            the nearest neighbours, both relative as distances are, and slopes.
    """
    _, channels, n = p.filters.shape
    given, seen, weights = n - channels, p.samples.seen, p.samples.weights
    for i in range(len(places)):
        b, row, column = np.int64(places[i, 0]), np.int64(places[i, 1]), np.int64(places[i, 2])
        out, unit, at = inputs[i], float(UNITS[activity[i]]), channels
        weights[i] = _look(scene, int(row), int(column), b, bases[i], p.residuals, seen[i])
        for channel in range(channels):
            found = dot(p.filters[b, channel], seen[i], given)
            p.predictions[i, channel] = min(max(found, -_MOST_VALUE), _MOST_VALUE)
            out[channel] = _as_input(p.predictions[i, channel] * unit)
        for near in _NEAREST:
            known = is_known(int(row), int(column), near, scene.block, scene.widths[b])
            r, c = row + _NEIGHBOURS[near, 0], column + _NEIGHBOURS[near, 1]
            for channel in range(channels):
                out[at + channel] = _as_input(p.residuals[b, r, c, channel] / _EDGE * unit) if known else 0.0
            at += channels
        for channel in range(channels):
            for earlier in range(channel):
                out[at] = _as_input(p.slopes[b, channel, earlier] * _SLOPE_UNIT)
                at += 1


@compiled
def learn(places: Int32, bases: Int64, values: Int64, p: Predictor) -> None:
    """Learns from the values (n, C) of the pixels that were predicted last, at places (n, 3) with bases (n, C)."""
    _, channels, n = p.filters.shape
    given, seen, weights = n - channels, p.samples.seen, p.samples.weights
    for i in range(len(places)):
        b, row, column, square = np.int64(places[i, 0]), np.int64(places[i, 1]), np.int64(places[i, 2]), 0.0
        for channel in range(channels):
            value = float(values[i, channel] - bases[i, channel])
            residual = value - p.predictions[i, channel]
            square += residual * residual
            seen[i, given + channel] = value
            p.residuals[b, row, column, channel] = int(residual * _EDGE)
        weights[i] = 1.0 / (VARIANCE * weights[i] + SQUARE * (square / channels) + NOISE)
    take_in(places, p.samples, p.products, p.fresh)
    for plane in range(len(p.fresh)):
        if p.fresh[plane] >= SOLVED_AFTER:
            p.fresh[plane] = 0
            factors = factored(p.products[plane], n)
            for channel in range(channels):
                regress(factors, given + channel, given, p.filters[plane, channel])
                p.slopes[plane, channel, :channel] = factors[given + channel, given : given + channel]
            p.products[plane] *= KEPT


@compiled
def foresee(
    scene: Scene,
    places: Int32,
    starts: Int64,
    bases: Int64,
    activity: Int64,
    values: Int64,
    known: bool,
    p: Predictor,
    inputs: Float32,
) -> None:
    """Predicts the pixels of some steps one after another, and learns from their values where they are known.

    Args:
        scene: the planes.
        places: (N, 3), of all pixels in coding order.
        starts: (T + 1,), where each of these T steps begins in it; it is one step where values are not known.
        bases, activity, values, inputs: of the pixels of these steps, see `predict`.
        known: whether values are.
        p: predicts.
    """
    for step in range(len(starts) - 1):
        here, a, b = places[starts[step] : starts[step + 1]], starts[step] - starts[0], starts[step + 1] - starts[0]
        predict(scene, here, bases[a:b], activity[a:b], p, inputs[a:b])
        if known:
            learn(here, bases[a:b], values[a:b], p)
