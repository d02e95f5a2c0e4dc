"""Joint mixtures of discretized logistics: all channels of a pixel share their components (Salimans et al. 2017).

Once a channel is known, every component's weight is multiplied by the probability that it gave that channel, so that
what one channel reveals about the kind of place sharpens the next. In integers, compiled, from the heads' outputs to
the frequencies of the symbols that are coded; the same tables and units as `selfcodec.coding.mixture`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from selfcodec.arrays import Float32, Int32, Int64, UInt32
from selfcodec.coding.ans import Streams, interval, popped, renewed
from selfcodec.coding.mixture import INTERPOLATION_BITS
from selfcodec.coding.symbols import ALPHABET
from selfcodec.coding.tables import (
    CDF_BITS,
    CDF_RANGE,
    CDF_STEP_BITS,
    INVERSE_BITS,
    LOG_SCALE_STEP,
    PIXEL_LOG_SCALES,
    WEIGHT_RANGE,
    WEIGHT_STEP_BITS,
    load_tables,
)
from selfcodec.compiled import bit_length, compiled, shift
from selfcodec.fixed_point import PARAM_FRACTION
from selfcodec.likelihoods.layout import ACTIVITY_LOG_SCALE, ACTIVITY_MEAN_UNIT, ACTIVITY_UNIT, PIXEL_BITS, PixelLayout

FREQUENCY_BITS = 16
"""Frequencies are scaled by a power of two so that, before the floor of 1, they sum to less than 2**16."""

MIXTURE_BITS = 16
"""The largest weight of a mixture has this many binary digits and one."""
_FREQUENCY_MOST = (1 << FREQUENCY_BITS) - 2
"""A frequency has at most this value, so that with the floor added it still fits into 16 bits."""
_MEAN_ACTIVITY = ACTIVITY_UNIT - (ACTIVITY_MEAN_UNIT.bit_length() - 1) - PIXEL_BITS + PARAM_FRACTION
"""At this activity a mean output is in units of 2**-PIXEL_BITS grey levels."""
_COEFFICIENT_DROP = PARAM_FRACTION - PIXEL_BITS
_LOG_SCALE_UNIT = round(LOG_SCALE_STEP * 2**PARAM_FRACTION)
_LOG_SCALE_OFFSET = _LOG_SCALE_UNIT // 2 - round(PIXEL_LOG_SCALES[0] * 2**PARAM_FRACTION)
_LOG_SCALE_LAST = round((PIXEL_LOG_SCALES[1] - PIXEL_LOG_SCALES[0]) / LOG_SCALE_STEP) - 1
_CDF_DROP = INVERSE_BITS + PIXEL_BITS - CDF_STEP_BITS - INTERPOLATION_BITS
_CDF_HALF = CDF_RANGE << (CDF_STEP_BITS + INTERPOLATION_BITS)
_CDF_LAST = 2 * _CDF_HALF - 1
_CDF_FAR = _CDF_HALF << _CDF_DROP
"""From this distance on the CDF does not change, as at most of a symbol's edges."""
_CDF_MASK = (1 << INTERPOLATION_BITS) - 1
_WEIGHT_DROP = PARAM_FRACTION - WEIGHT_STEP_BITS
_WEIGHT_LAST = WEIGHT_RANGE << WEIGHT_STEP_BITS
_EDGE = 1 << PIXEL_BITS


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
def _byte_cdf(table: Int64, byte: int, mean: int, inverse: int) -> int:
    """A component's CDF at the lower edge of a byte 0..256, in 2**-CDF_BITS; the outermost bytes have the tails."""
    if byte <= 0:
        return 0
    if byte >= 256:
        return 1 << CDF_BITS
    return cdf(table, (_EDGE * byte - _EDGE // 2 - mean) * inverse)


@compiled
def _start(logits: Float32, table: Int64, weights: Int64) -> None:
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
def _symbol(table: Int64, weights: Int64, means: Int64, inverses: Int64, start: int, width: int, out: Int64) -> None:
    """Sets the frequencies (16,) of the symbols of `width` numbers each from `start`; their sum is below 2**16 + 16."""
    out[:] = 0
    lowest, highest = table[0], cdf(table, _CDF_FAR)
    for m in range(len(weights)):
        distance, step = (_EDGE * start - _EDGE // 2 - means[m]) * inverses[m], _EDGE * width * inverses[m]
        below = _byte_cdf(table, start, means[m], inverses[m])
        for d in range(ALPHABET):
            distance += step
            if d == ALPHABET - 1 and start + ALPHABET * width == 256:
                above = 1 << CDF_BITS
            elif distance <= -_CDF_FAR:
                above = lowest
            elif distance >= _CDF_FAR:
                above = highest
            else:
                above = cdf(table, distance)
            if above != below:
                out[d] += weights[m] * (above - below)
            below = above
    drop = max(0, bit_length(out.sum()) - FREQUENCY_BITS)
    for d in range(ALPHABET):
        out[d] = min(out[d] >> drop, _FREQUENCY_MOST) + 1


@compiled
def _learn(table: Int64, weights: Int64, means: Int64, inverses: Int64, value: int) -> None:
    """Multiplies every component's weight by the probability that it gave the channel's value."""
    largest = 0
    for m in range(len(weights)):
        mass = _byte_cdf(table, value + 1, means[m], inverses[m]) - _byte_cdf(table, value, means[m], inverses[m])
        weights[m] *= mass
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
        state: (n, 3, M), each pixel's component weights, means and inverse scales: those of the channel before, and
            set to this channel's.
    """
    for i in range(len(params)):
        w, means, inverses = state[i, 0], state[i, 1], state[i, 2]
        if channel == 0:
            _start(params[i, : len(w)], terms.softmax, w)
        else:
            _learn(terms.cdf, w, means, inverses, values[i, channel - 1])
        _components(params[i], terms, channel, bases[i], activity[i], values[i], stretches[i], means, inverses)


@compiled
def read(places: Int32, channel: int, width: int, terms: Terms, state: Int64, streams: Streams, values: Int64) -> None:
    """The decoder's side: adds to the values (n, C) of one channel what its next symbols, of `width` numbers, say.

    Args:
        places: (n, 3), the first is the image.
        state: of `advance`.
        streams: the images'.
    """
    out, count, next_image = np.empty(ALPHABET, dtype=np.int64), len(places), 0
    for i in range(count):
        b = np.int64(places[i, 0])
        if i == next_image:  # the first of an image's
            while next_image < count and places[next_image, 0] == b:
                next_image += 1
            renewed(streams, int(b), next_image - i)
        _symbol(terms.cdf, state[i, 0], state[i, 1], state[i, 2], values[i, channel], width, out)
        values[i, channel] += width * popped(streams.registers[b], streams.words[b], out)


@compiled
def note(channel: int, width: int, terms: Terms, state: Int64, values: Int64, starts: UInt32, sizes: UInt32) -> None:
    """The encoder's side: sets the intervals (n,) of symbols, of `width` numbers, of one channel's values (n, C)."""
    out = np.empty(ALPHABET, dtype=np.int64)
    for i in range(len(values)):
        above = values[i, channel] // (ALPHABET * width) * (ALPHABET * width)  # what the symbols before tell
        _symbol(terms.cdf, state[i, 0], state[i, 1], state[i, 2], above, width, out)
        starts[i], sizes[i] = interval(out, (values[i, channel] - above) // width)


@compiled
def expected(
    params: Float32, terms: Terms, bases: Int64, activity: Int64, coded: int, mixtures: int, values: Int64
) -> None:
    """Sets values (n, C) to the mixtures' means, channel after channel, those of a grey image to that of the first."""
    scratch = np.empty((3, mixtures), dtype=np.int64)
    w, means, inverses = scratch[0], scratch[1], scratch[2]
    for i in range(len(params)):
        _start(params[i, :mixtures], terms.softmax, w)
        for channel in range(values.shape[1]):
            if channel >= coded:
                values[i, channel] = values[i, 0]
                continue
            _components(params[i], terms, channel, bases[i], activity[i], values[i], 0, means, inverses)
            mean = (w * means).sum() // w.sum()
            values[i, channel] = min(max((mean + _EDGE // 2) // _EDGE, 0), 255)
