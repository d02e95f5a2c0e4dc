"""Joint mixtures of discretized logistics: all channels of a pixel share their components (Salimans et al. 2017).

Once a channel is known, every component's weight is multiplied by the probability that it gave that channel, so that
what one channel reveals about the kind of place sharpens the next. In integers, compiled, from the heads' outputs to
the frequencies of the symbols that are coded; the same tables and units as `selfcodec.coding.mixture`.
"""

from __future__ import annotations

import numpy as np

from selfcodec.arrays import Float32, Int16, Int32, Int64, UInt8, UInt16, UInt64, Words
from selfcodec.coding.ans import popped
from selfcodec.coding.coder import ALPHABET
from selfcodec.coding.mixture import INTERPOLATION_BITS
from selfcodec.coding.tables import (
    CDF_BITS,
    CDF_RANGE,
    CDF_STEP_BITS,
    INVERSE_BITS,
    LOG_SCALE_STEP,
    PIXEL_LOG_SCALES,
    WEIGHT_RANGE,
    WEIGHT_STEP_BITS,
)
from selfcodec.compiled import bit_length, compiled, shift
from selfcodec.fixed_point import PARAM_FRACTION
from selfcodec.likelihoods.layout import ACTIVITY_LOG_SCALE, ACTIVITY_MEAN_UNIT, ACTIVITY_UNIT, PIXEL_BITS

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
    layout: Int64,
    channel: int,
    base: Int64,
    activity: int,
    values: Int64,
    move: int,
    stretch: int,
    scales: Int64,
    means: Int64,
    inverses: Int64,
) -> None:
    """Sets means and inverse scales (M,) of one channel, from a pixel's outputs (P,), base (C,) and earlier values.

    All means are moved by `move`, in 2**-PIXEL_BITS grey levels, and all scales `stretch` steps up their table.
    """
    of_means, of_log_scales, of_coefficients = layout[channel, 0], layout[channel, 1], layout[channel, 2:]
    for m in range(len(means)):
        mean = _EDGE * base[channel] + move + shift(int(params[of_means + m]), activity - _MEAN_ACTIVITY)
        for earlier in range(channel):
            product = int(params[of_coefficients[earlier] + m]) * (values[earlier] - base[earlier])
            mean += shift(product, -_COEFFICIENT_DROP)
        raw = int(params[of_log_scales + m])
        index = (raw + (activity - ACTIVITY_UNIT) * ACTIVITY_LOG_SCALE + _LOG_SCALE_OFFSET) // _LOG_SCALE_UNIT
        means[m] = mean
        inverses[m] = scales[min(max(index + stretch, 0), _LOG_SCALE_LAST)]


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
def symbols_of(
    params: Float32,
    layout: Int64,
    bases: Int64,
    activity: Int64,
    values: Int64,
    corrections: Int16,
    coded: int,
    mixtures: int,
    table: Int64,
    scales: Int64,
    softmax: Int64,
    starts: Int64,
    symbols: UInt8,
    frequencies: UInt16,
) -> None:
    """The encoder's side: symbols and their frequencies of whole steps, in coding order.

    Args:
        params: (n, P), the heads' outputs; bases (n, C) and activity (n,) as from `gather`.
        layout: of params, `PixelLayout.starts`.
        values: (n, C), the true values.
        corrections: (n, C, 2), by how much a channel's means are moved and its scales stretched.
        coded: channels that are coded; 1 for a grey image.
        mixtures: M.
        table, scales, softmax: `logistic`, `pixel_inverse_scale` and `weight` of `selfcodec.coding.tables`.
        starts: (T + 1,), the steps' beginnings among the n pixels.
        symbols: (2 coded n,), set: of each step, for each channel, the high ones of its pixels, then the low ones.
        frequencies: (2 coded n, 16), set.
    """
    scratch = np.empty((3, mixtures), dtype=np.int64)
    w, means, inverses = scratch[0], scratch[1], scratch[2]
    out = np.empty(ALPHABET, dtype=np.int64)
    for t in range(len(starts) - 1):
        first, count = starts[t], starts[t + 1] - starts[t]
        for i in range(first, first + count):
            _start(params[i, :mixtures], softmax, w)
            for channel in range(coded):
                value, move, stretch = values[i, channel], corrections[i, channel, 0], corrections[i, channel, 1]
                _components(
                    params[i], layout, channel, bases[i], activity[i], values[i], move, stretch, scales, means, inverses
                )
                at = 2 * coded * first + 2 * channel * count + i - first
                high = value // ALPHABET
                _symbol(table, w, means, inverses, 0, ALPHABET, out)
                symbols[at] = high
                for d in range(ALPHABET):
                    frequencies[at, d] = out[d]
                _symbol(table, w, means, inverses, ALPHABET * high, 1, out)
                symbols[at + count] = value % ALPHABET
                for d in range(ALPHABET):
                    frequencies[at + count, d] = out[d]
                if channel + 1 < coded:
                    _learn(table, w, means, inverses, value)


@compiled
def advance(
    params: Float32,
    layout: Int64,
    bases: Int64,
    activity: Int64,
    values: Int64,
    channel: int,
    stretches: Int64,
    table: Int64,
    scales: Int64,
    softmax: Int64,
    state: Int64,
) -> None:
    """The decoder's side: the mixtures of one channel, the channels before it being known.

    Args:
        stretches: (n,), of the scales.
        state: (n, 3, M), each pixel's component weights, means and inverse scales: those of the channel before, and
            set to this channel's.
    """
    for i in range(len(params)):
        w, means, inverses = state[i, 0], state[i, 1], state[i, 2]
        if channel == 0:
            _start(params[i, : len(w)], softmax, w)
        else:
            _learn(table, w, means, inverses, values[i, channel - 1])
        _components(
            params[i], layout, channel, bases[i], activity[i], values[i], 0, stretches[i], scales, means, inverses
        )


@compiled
def read(
    places: Int32,
    channel: int,
    width: int,
    table: Int64,
    state: Int64,
    registers: UInt64,
    words: Words,
    values: Int64,
) -> None:
    """The decoder's side: adds to the values (n, C) of one channel what its next symbols, of `width` numbers, say.

    Args:
        places: (n, 3), the first is the image.
        state: of `advance`.
        registers, words: the images' streams, see `selfcodec.coding.ans.Stacks`.
    """
    out = np.empty(ALPHABET, dtype=np.int64)
    for i in range(len(places)):
        b = np.int64(places[i, 0])
        _symbol(table, state[i, 0], state[i, 1], state[i, 2], values[i, channel], width, out)
        values[i, channel] += width * popped(registers[b], words[b], out)


@compiled
def expected(
    params: Float32,
    layout: Int64,
    bases: Int64,
    activity: Int64,
    coded: int,
    mixtures: int,
    scales: Int64,
    softmax: Int64,
    values: Int64,
) -> None:
    """Sets values (n, C) to the mixtures' means, channel after channel, those of a grey image to that of the first."""
    scratch = np.empty((3, mixtures), dtype=np.int64)
    w, means, inverses = scratch[0], scratch[1], scratch[2]
    for i in range(len(params)):
        _start(params[i, :mixtures], softmax, w)
        for channel in range(values.shape[1]):
            if channel >= coded:
                values[i, channel] = values[i, 0]
                continue
            _components(params[i], layout, channel, bases[i], activity[i], values[i], 0, 0, scales, means, inverses)
            mean = (w * means).sum() // w.sum()
            values[i, channel] = min(max((mean + _EDGE // 2) // _EDGE, 0), 255)
