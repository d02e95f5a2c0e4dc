"""Integer distributions of whole numbers: network outputs to CDF values, in int64 and the shipped tables only.

Every variable is coded as numbers 0..255: pixels as they are, latents as grid points around the mean. A `Mixture`
evaluates the CDF at the lower edge of number b,

    F(b) = sum_m weight_m * CDF((edge_b - mean_m) / scale_m),    F(0) = 0,  F(256) = 2**30 * sum_m weight_m.

Where it is `unbounded`, 0 and 255 stand for everything at and beyond them, and the coder adds how far beyond.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from selfcodec.arrays import Bool, Int64
from selfcodec.coding.tables import (
    CDF_BITS,
    CDF_RANGE,
    CDF_STEP_BITS,
    INVERSE_BITS,
    LOG_SCALE_STEP,
    WEIGHT_RANGE,
    WEIGHT_STEP_BITS,
    load_tables,
)
from selfcodec.fixed_point import PARAM_FRACTION

INTERPOLATION_BITS = 12
"""A position between two table entries has so many fraction bits."""
WINDOW = 4
"""A `window` leaves so many numbers possible."""


@dataclass(frozen=True)
class Mixture:
    """Mixtures of M components for N numbers of each of B images.

    Attributes:
        cdf: table of the components' CDF.
        weights, means, inverse_scales: (B, N, M); means in 2**-bits, inverse scales in 2**-16.
        bits: fraction bits of means and edges.
        first_edge, spacing: lower edge of number 0 and distance of edges, (B, N), in 2**-bits.
        window: (B, N) the first of the WINDOW numbers that alone can occur; None where all 256 can.
        unbounded: numbers below 0 and above 255 occur, too.
    """

    cdf: Int64
    weights: Int64
    means: Int64
    inverse_scales: Int64
    bits: int
    first_edge: Int64
    spacing: Int64
    window: Int64 | None = None
    unbounded: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(B, N)."""
        return self.weights.shape[0], self.weights.shape[1]

    def part(self, own: slice | Int64) -> Mixture:
        """Some of the numbers of every image."""
        return replace(
            self,
            weights=self.weights[:, own],
            means=self.means[:, own],
            inverse_scales=self.inverse_scales[:, own],
            first_edge=self.first_edge[:, own],
            spacing=self.spacing[:, own],
            window=None if self.window is None else self.window[:, own],
        )

    def changes(self) -> Bool:
        """Where a number's distribution is not that of the number before it, in any image, (N - 1,)."""
        each = [self.first_edge, self.spacing, *([] if self.window is None else [self.window])]
        each += [np.moveaxis(values, 2, 0) for values in (self.weights, self.means, self.inverse_scales)]
        found = [np.any(values[..., 1:] != values[..., :-1], axis=tuple(range(values.ndim - 1))) for values in each]
        return np.logical_or.reduce(found)

    def cumulative(self, b: Int64) -> Int64:
        """F at numbers b (B, N, J), 0..256; nondecreasing in b, (B, N, J), in units of 2**-30 weights."""
        edge = self.first_edge[..., None] + self.spacing[..., None] * b
        drop = INVERSE_BITS + self.bits - CDF_STEP_BITS - INTERPOLATION_BITS
        half = CDF_RANGE << (CDF_STEP_BITS + INTERPOLATION_BITS)
        slopes = np.diff(self.cdf)
        total = np.zeros(b.shape, dtype=np.int64)
        t, index, rise = (np.empty_like(total) for _ in range(3))
        for m in range(self.weights.shape[2]):  # in place: memory traffic is what this costs
            np.subtract(edge, self.means[..., m : m + 1], out=t)
            t *= self.inverse_scales[..., m : m + 1]
            t >>= drop
            np.clip(t, -half, half - 1, out=t)
            t += half
            np.right_shift(t, INTERPOLATION_BITS, out=index)
            t &= (1 << INTERPOLATION_BITS) - 1
            np.take(slopes, index, out=rise, mode="clip")  # never clips; other modes buffer
            rise *= t
            rise >>= INTERPOLATION_BITS
            np.take(self.cdf, index, out=t, mode="clip")
            t += rise
            t *= self.weights[..., m : m + 1]
            total += t
        total[b <= 0] = 0
        return np.where(b >= 256, self.weights.sum(-1)[..., None] << CDF_BITS, total)

    def mean(self) -> Int64:
        """The weighted mean of the components' means, (B, N), in 2**-bits, rounded down."""
        return (self.weights * self.means).sum(-1) // self.weights.sum(-1)

    def expected(self) -> Int64:
        """The number 0..255 whose bin holds the mean, (B, N)."""
        return np.clip((self.mean() - self.first_edge) // self.spacing, 0, 255)


def log_scale_index(raw: Int64, offset: float, bounds: tuple[float, float]) -> Int64:
    """Where a raw log-scale, in 2**-10, plus an offset stands in a table of scales that goes over `bounds`."""
    low, high = bounds
    unit = round(LOG_SCALE_STEP * 2**PARAM_FRACTION)
    index = (raw + round((offset - low) * 2**PARAM_FRACTION) + unit // 2) // unit
    return np.clip(index, 0, round((high - low) / LOG_SCALE_STEP) - 1)


def softmax_weights(logits: Int64) -> Int64:
    """Logits (B, N, M) in 2**-10 to weights in 2**-16, the largest being 2**16; not normalised."""
    below = logits.max(-1, keepdims=True) - logits
    step = 1 << (PARAM_FRACTION - WEIGHT_STEP_BITS)
    index = np.minimum((below + step // 2) // step, WEIGHT_RANGE << WEIGHT_STEP_BITS)
    return load_tables().weight[index]
