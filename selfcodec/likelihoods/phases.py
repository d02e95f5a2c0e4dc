"""Pixels in phases: one pass over the whole variable, or one for each of its 2x2 sublattices."""

from __future__ import annotations

import numpy as np

from selfcodec.arrays import Int64
from selfcodec.coding.mixture import Mixture, log_scale_index, softmax_weights
from selfcodec.coding.tables import PIXEL_LOG_SCALES, load_tables
from selfcodec.likelihoods.layout import LOG_SCALE_OFFSET, PIXEL_BITS


def pixel_mixture(logits: Int64, means: Int64, log_scales: Int64, window: Int64 | None = None) -> Mixture:
    """Discretized logistics over 0..255 (paper eq. 19).

    Args:
        logits, log_scales: (B, N, M), in 2**-10, as the network gives them.
        means: (B, N, M), in 2**-5 grey levels, base prediction and channel autoregression included.
        window: (B, N), see `Mixture`.
    """
    tables, shape = load_tables(), logits.shape[:2]
    index = log_scale_index(log_scales, LOG_SCALE_OFFSET, PIXEL_LOG_SCALES)
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
