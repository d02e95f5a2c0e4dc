"""Integer distributions of one byte: network outputs to CDF values, in int64 and the shipped tables only.

Every variable is coded as a byte: pixels as they are, latents as the index of a grid point within a window of 256
around the mean. A `Mixture` evaluates the CDF at the lower edge of byte b,

    F(b) = sum_m weight_m * CDF((edge_b - mean_m) / scale_m),    F(0) = 0,  F(256) = 2**30 * sum_m weight_m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from selfcodec.exact import PARAM_FRACTION
from selfcodec.layout import LATENT_LOG_SCALES, LOG_SCALE_OFFSET, LOG_SCALE_STEP, PIXEL_LOG_SCALES
from selfcodec.tables import (
    CDF_BITS,
    CDF_RANGE,
    CDF_STEP_BITS,
    INVERSE_BITS,
    WEIGHT_RANGE,
    WEIGHT_STEP_BITS,
    load_tables,
)

IntArray = npt.NDArray[np.int64]

PIXEL_BITS = 5
"""Means and edges of pixels are in units of 2**-5 grey levels."""
LATENT_BITS = 13
"""Means and edges of latents are in units of 2**-13."""
STEP_BITS = 12
"""Grid steps of latents are in units of 2**-12."""
INTERPOLATION_BITS = 12
"""Fraction bits of a position between two table entries."""
CENTRE = 128
"""The byte of the grid point nearest to a latent's mean."""


@dataclass(frozen=True)
class Mixture:
    """Mixtures of M components for N bytes of each of B images.

    Attributes:
        cdf: table of the components' CDF.
        weights, means, inverse_scales: (B, N, M); means in 2**-bits, inverse scales in 2**-16.
        bits: fraction bits of means and edges.
        first_edge, spacing: lower edge of byte 0 and distance of edges, (B, N), in 2**-bits.
        window: (B, N) the first of the `layout.WINDOW` bytes that alone can occur; None where all 256 can.
    """

    cdf: IntArray
    weights: IntArray
    means: IntArray
    inverse_scales: IntArray
    bits: int
    first_edge: IntArray
    spacing: IntArray
    window: IntArray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(B, N)."""
        return self.weights.shape[0], self.weights.shape[1]

    def part(self, start: int, stop: int) -> Mixture:
        """Bytes [start, stop) of every image."""
        return Mixture(
            self.cdf,
            self.weights[:, start:stop],
            self.means[:, start:stop],
            self.inverse_scales[:, start:stop],
            self.bits,
            self.first_edge[:, start:stop],
            self.spacing[:, start:stop],
            None if self.window is None else self.window[:, start:stop],
        )

    def cumulative(self, b: IntArray) -> IntArray:
        """F at bytes b (B, N, J), values 0..256; nondecreasing in b, (B, N, J), in units of 2**-30 weights."""
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

    def mean(self) -> IntArray:
        """The weighted mean of the components' means, (B, N), in 2**-bits, rounded down."""
        return (self.weights * self.means).sum(-1) // self.weights.sum(-1)


def _log_scale_index(raw: IntArray, offset: float, bounds: tuple[float, float]) -> IntArray:
    low, high = bounds
    unit = round(LOG_SCALE_STEP * 2**PARAM_FRACTION)
    index = (raw + round((offset - low) * 2**PARAM_FRACTION) + unit // 2) // unit
    return np.clip(index, 0, round((high - low) / LOG_SCALE_STEP) - 1)


def softmax_weights(logits: IntArray) -> IntArray:
    """Logits (B, N, M) in 2**-10 to weights in 2**-16, the largest being 2**16; not normalised."""
    below = logits.max(-1, keepdims=True) - logits
    step = 1 << (PARAM_FRACTION - WEIGHT_STEP_BITS)
    index = np.minimum((below + step // 2) // step, WEIGHT_RANGE << WEIGHT_STEP_BITS)
    return load_tables().weight[index]


def pixel_mixture(logits: IntArray, means: IntArray, log_scales: IntArray, window: IntArray | None = None) -> Mixture:
    """Discretized logistics over 0..255 (paper eq. 19).

    Args:
        logits, log_scales: (B, N, M), in 2**-10, as the network gives them.
        means: (B, N, M), in 2**-5 grey levels, base prediction and channel autoregression included.
        window: (B, N), see `Mixture`.
    """
    tables, shape = load_tables(), logits.shape[:2]
    index = _log_scale_index(log_scales, LOG_SCALE_OFFSET, PIXEL_LOG_SCALES)
    spacing = 1 << PIXEL_BITS
    return Mixture(
        tables.logistic,
        softmax_weights(logits),
        means,
        tables.pixel_inverse_scale[index],
        PIXEL_BITS,
        np.full(shape, -spacing // 2, dtype=np.int64),
        np.full(shape, spacing, dtype=np.int64),
        window,
    )


def latent_mixture(
    logits: IntArray, means: IntArray, log_scales: IntArray, steps: IntArray
) -> tuple[Mixture, IntArray]:
    """Gaussians on a grid of points index * step.

    Args:
        logits, means, log_scales: (B, N, M), in 2**-10.
        steps: (B, N), in 2**-12, at least 1.

    Returns:
        the mixture, and (B, N) the grid index of byte 128: byte = index - centre + 128.
    """
    tables = load_tables()
    weights = softmax_weights(logits)
    fine = means << (LATENT_BITS - PARAM_FRACTION)
    spacing = steps << (LATENT_BITS - STEP_BITS)
    average = (weights * fine).sum(-1) // weights.sum(-1)
    centre = (2 * average + spacing) // (2 * spacing)
    first_edge = (centre - CENTRE) * spacing - spacing // 2
    index = _log_scale_index(log_scales, 0.0, LATENT_LOG_SCALES)
    mixture = Mixture(
        tables.normal, weights, fine, tables.latent_inverse_scale[index], LATENT_BITS, first_edge, spacing
    )
    return mixture, centre
