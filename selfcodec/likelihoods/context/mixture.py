"""Joint mixtures of discretized logistics: all channels of a pixel share their components (Salimans et al. 2017).

Once a channel is known, every component's weight is multiplied by the probability that it gave that channel, so that
what one channel reveals about the kind of place sharpens the next. In integers, compiled, from the heads' outputs to
the intervals that are coded; the same tables and units as `selfcodec.coding.mixture`. A value is one symbol of 256: its
interval takes the CDF at its two edges alone, and a decoder finds it by halves.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from selfcodec.arrays import Float32, Int32, Int64, UInt32
from selfcodec.coding.ans import StackArrays, pop, quantile_of, renewed
from selfcodec.coding.mixture import INTERPOLATION_BITS
from selfcodec.coding.tables import (
    CDF_BITS,
    CDF_RANGE,
    CDF_STEP_BITS,
    INVERSE_BITS,
    LOG_SCALE_STEP,
    PIXEL_LOG_SCALES,
    PRECISION,
    WEIGHT_RANGE,
    WEIGHT_STEP_BITS,
    load_tables,
)
from selfcodec.compiled import bit_length, compiled, shift
from selfcodec.fixed_point import PARAM_FRACTION
from selfcodec.likelihoods.layout import ACTIVITY_LOG_SCALE, ACTIVITY_MEAN_UNIT, ACTIVITY_UNIT, PIXEL_BITS, PixelLayout

MIXTURE_BITS = 16
"""The largest weight of a mixture has this many binary digits and one."""
_FREE = float((1 << PRECISION) - 256)
"""So many units of 2**-24 are shared out by probability."""
_MEAN_ACTIVITY = ACTIVITY_UNIT - (ACTIVITY_MEAN_UNIT.bit_length() - 1) - PIXEL_BITS + PARAM_FRACTION
"""At this activity a mean output is in units of 2**-PIXEL_BITS grey levels."""
_COEFFICIENT_DROP = PARAM_FRACTION - PIXEL_BITS
_LOG_SCALE_UNIT = round(LOG_SCALE_STEP * 2**PARAM_FRACTION)
_LOG_SCALE_OFFSET = _LOG_SCALE_UNIT // 2 - round(PIXEL_LOG_SCALES[0] * 2**PARAM_FRACTION)
_LOG_SCALE_LAST = round((PIXEL_LOG_SCALES[1] - PIXEL_LOG_SCALES[0]) / LOG_SCALE_STEP) - 1
_CDF_DROP = INVERSE_BITS + PIXEL_BITS - CDF_STEP_BITS - INTERPOLATION_BITS
_CDF_HALF = CDF_RANGE << (CDF_STEP_BITS + INTERPOLATION_BITS)
_CDF_LAST = 2 * _CDF_HALF - 1
_CDF_MASK = (1 << INTERPOLATION_BITS) - 1
_WEIGHT_DROP = PARAM_FRACTION - WEIGHT_STEP_BITS
_WEIGHT_LAST = WEIGHT_RANGE << WEIGHT_STEP_BITS
_EDGE = 1 << PIXEL_BITS
_LOGIT_DROP = PRECISION - 8
_ODD = np.arange(1, 1 << 9, 2)
_LOGITS = np.log(_ODD / _ODD[::-1]) * (1 << (INVERSE_BITS + PIXEL_BITS))
"""By the first digits of a quantile, where the logistic has it, in the unit of `cdf`. Logarithms may differ by machine:
the search for a value begins there, and ends at the same value wherever it began."""
STATE = 5
"""So many numbers tell of a component, see `advance`."""
_WEIGHTS, _MEANS, _INVERSES, _BELOW, _ABOVE = range(STATE)


class Terms(NamedTuple):
    """What heads' outputs mean.

    Attributes:
        layout: of them, `PixelLayout.starts`.
        cdf, scales, softmax: `logistic`, `pixel_inverse_scale` and `weight` of `selfcodec.coding.tables`.
    """

    layout: Int64
    cdf: Int64
    scales: Int64
    softmax: Int64


def terms_of(layout: PixelLayout) -> Terms:
    """With this version's tables."""
    tables = load_tables()
    return Terms(layout.starts(), tables.logistic, tables.pixel_inverse_scale, tables.weight)


@compiled
def cdf(table: Int64, distance: int) -> int:
    """The logistic's CDF in 2**-CDF_BITS; distance from the mean in scales, in 2**-(INVERSE_BITS + PIXEL_BITS)."""
    t = min(max((distance >> _CDF_DROP) + _CDF_HALF, 0), _CDF_LAST)
    index = t >> INTERPOLATION_BITS
    low = table[index]
    return low + (((table[index + 1] - low) * (t & _CDF_MASK)) >> INTERPOLATION_BITS)


@compiled
def _begin(logits: Float32, table: Int64, weights: Int64) -> None:
    """Weights (M,) of the components before any channel is known, from logits (M,); the largest is 2**16."""
    largest = int(logits[0])
    for m in range(1, len(weights)):
        largest = max(largest, int(logits[m]))
    for m in range(len(weights)):
        below = (largest - int(logits[m]) + (1 << (_WEIGHT_DROP - 1))) >> _WEIGHT_DROP
        weights[m] = table[min(below, _WEIGHT_LAST)]


@compiled
def _components(
    params: Float32,
    terms: Terms,
    channel: int,
    base: Int64,
    activity: int,
    values: Int64,
    stretch: int,
    means: Int64,
    inverses: Int64,
) -> None:
    """Sets means and inverse scales (M,) of one channel, from a pixel's outputs (P,), base (C,) and earlier values.

    All scales are `stretch` steps up their table.
    """
    layout = terms.layout
    of_means, of_log_scales, of_coefficients = layout[channel, 0], layout[channel, 1], layout[channel, 2:]
    for m in range(len(means)):
        mean = _EDGE * base[channel] + shift(int(params[of_means + m]), activity - _MEAN_ACTIVITY)
        for earlier in range(channel):
            product = int(params[of_coefficients[earlier] + m]) * (values[earlier] - base[earlier])
            mean += shift(product, -_COEFFICIENT_DROP)
        raw = int(params[of_log_scales + m])
        index = (raw + (activity - ACTIVITY_UNIT) * ACTIVITY_LOG_SCALE + _LOG_SCALE_OFFSET) // _LOG_SCALE_UNIT
        means[m] = mean
        inverses[m] = terms.scales[min(max(index + stretch, 0), _LOG_SCALE_LAST)]


@compiled
def _unit(weights: Int64) -> float:
    """Units of 2**-24 for one of the weighted CDF, besides the one that each of 256 values has."""
    total = 0
    for weight in weights:
        total += weight
    return _FREE / float(total << CDF_BITS)


@compiled
def _start(table: Int64, state: Int64, unit: float, value: int, at: Int64) -> int:
    """Where the interval of a value 0..256 starts in 2**24; sets at (M,) to the components' CDFs at its lower edge.

    The outermost values have the tails.
    """
    weights, means, inverses = state[_WEIGHTS], state[_MEANS], state[_INVERSES]
    if value <= 0:
        at[:] = 0
        return 0
    if value >= 256:
        at[:] = 1 << CDF_BITS
        return 1 << PRECISION
    below, edge = 0, _EDGE * value - _EDGE // 2
    for m in range(len(at)):
        at[m] = cdf(table, (edge - means[m]) * inverses[m])
        below += weights[m] * at[m]
    return math.floor(float(below) * unit) + value


@compiled
def _find(table: Int64, state: Int64, quantile: np.int64, at: Int64) -> tuple[int, int, int]:
    """The value that has a quantile in its interval, where that starts and ends; sets the CDFs at its edges in `state`.

    It is looked for from where the heaviest component has the quantile, in steps that double, then by halves.

    Args:
        at: (M,), scratch.
    """
    weights, below, above, heaviest = state[_WEIGHTS], state[_BELOW], state[_ABOVE], 0
    unit = _unit(weights)
    for m in range(1, len(weights)):
        if weights[m] > weights[heaviest]:
            heaviest = m
    low, high, start, end, step = 0, 256, 0, 1 << PRECISION, 1
    for m in range(len(at)):
        below[m], above[m] = 0, 1 << CDF_BITS
    away = int(_LOGITS[quantile >> _LOGIT_DROP] / float(state[_INVERSES, heaviest]))
    middle = min(max((state[_MEANS, heaviest] + away + _EDGE // 2) >> PIXEL_BITS, 1), 255)
    while high - low > 1:
        found = _start(table, state, unit, middle, at)
        if found <= quantile:
            low, start = middle, found
            for m in range(len(at)):
                below[m] = at[m]
            middle = low + step
        else:
            high, end = middle, found
            for m in range(len(at)):
                above[m] = at[m]
            middle = high - step
        if (low > 0 and high < 256) or middle <= low or middle >= high:
            middle = (low + high) >> 1
        step *= 2
    return low, start, end


@compiled
def _learn(weights: Int64, below: Int64, above: Int64) -> None:
    """Multiplies every component's weight by the probability that it gave the channel's value."""
    largest = 0
    for m in range(len(weights)):
        weights[m] *= above[m] - below[m]
        largest = max(largest, weights[m])
    drop = bit_length(largest) - MIXTURE_BITS - 1
    for m in range(len(weights)):
        weights[m] = max(1, weights[m] >> drop if drop >= 0 else weights[m] << -drop)


@compiled
def advance(
    params: Float32,
    terms: Terms,
    bases: Int64,
    activity: Int64,
    values: Int64,
    channel: int,
    stretches: Int64,
    state: Int64,
) -> None:
    """The mixtures of one channel of some pixels, the channels before it being known.

    Args:
        params: (n, P), the heads' outputs; bases (n, C) and activity (n,) as from `gather`.
        values: (n, C), those of the channels before.
        stretches: (n,), of the scales.
        state: (n, STATE, M), of each pixel's components: weights, means and inverse scales, and where a value is known
            the CDFs at its lower and at its upper edge; those of the channel before, and set to this channel's.
    """
    for i in range(len(params)):
        own = state[i]
        if channel == 0:
            _begin(params[i, : own.shape[1]], terms.softmax, own[_WEIGHTS])
        else:
            _learn(own[_WEIGHTS], own[_BELOW], own[_ABOVE])
        _components(
            params[i], terms, channel, bases[i], activity[i], values[i], stretches[i], own[_MEANS], own[_INVERSES]
        )


@compiled
def read(places: Int32, channel: int, terms: Terms, state: Int64, streams: StackArrays, values: Int64) -> None:
    """The decoder's side: sets the values (n, C) of one channel.

    Args:
        places: (n, 3), the first is the image.
        state: of `advance`.
        streams: the images'.
    """
    count, next_image, at = len(places), 0, np.empty(state.shape[2], dtype=np.int64)
    for i in range(count):
        b = np.int64(places[i, 0])
        if i == next_image:  # the first of an image's
            while next_image < count and places[next_image, 0] == b:
                next_image += 1
            renewed(streams, int(b), next_image - i)
        registers = streams.registers[b]
        value, start, end = _find(terms.cdf, state[i], quantile_of(registers), at)
        pop(registers, streams.words[b], start, end - start)
        values[i, channel] = value


@compiled
def note(channel: int, terms: Terms, state: Int64, values: Int64, starts: UInt32, sizes: UInt32) -> None:
    """The encoder's side: sets the intervals (n,) of one channel's values (n, C)."""
    for i in range(len(values)):
        own, unit, value = state[i], _unit(state[i, _WEIGHTS]), values[i, channel]
        start = _start(terms.cdf, own, unit, value, own[_BELOW])
        starts[i], sizes[i] = start, _start(terms.cdf, own, unit, value + 1, own[_ABOVE]) - start


@compiled
def expected(
    params: Float32, terms: Terms, bases: Int64, activity: Int64, coded: int, mixtures: int, values: Int64
) -> None:
    """Sets values (n, C) to the mixtures' means, channel after channel, those of a grey image to that of the first."""
    scratch = np.empty((3, mixtures), dtype=np.int64)
    w, means, inverses = scratch[0], scratch[1], scratch[2]
    for i in range(len(params)):
        _begin(params[i, :mixtures], terms.softmax, w)
        for channel in range(values.shape[1]):
            if channel >= coded:
                values[i, channel] = values[i, 0]
                continue
            _components(params[i], terms, channel, bases[i], activity[i], values[i], 0, means, inverses)
            total, weighted = 0, 0
            for m in range(mixtures):
                total += w[m]
                weighted += w[m] * means[m]
            values[i, channel] = min(max((weighted // total + _EDGE // 2) // _EDGE, 0), 255)
