"""What the families of pixel variables share."""

from __future__ import annotations

import numpy as np

from selfcodec.arrays import Float32, Int64
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION, PARAM_FRACTION, requantise_
from selfcodec.likelihoods.layout import NEUTRAL
from selfcodec.likelihoods.likelihood import Condition


def as_input(features: Float32) -> Float32:
    """A network's float32 output, in place, as another one's input."""
    return requantise_(features, PARAM_FRACTION - INPUT_FRACTION, ACTIVATION_MAX)


def pixel_base(at: Condition, size: tuple[int, int], cell: int) -> Int64:
    """What means are relative to: y where it is the variable downscaled, else mid-grey.

    Args:
        at: what is known.
        size: (h, w) of the result, positions of `cell` x `cell` pixels.
        cell: 1 or 2.

    Returns:
        int64 (B, C, h, w).
    """
    base = np.full((at.count, at.step.target.channels, *size), NEUTRAL, dtype=np.int64)
    factor = at.step.shrunk_by
    if factor == 1:
        return base
    y = at.parents[0].repeat(factor // cell, 2).repeat(factor // cell, 3)[:, :, : size[0], : size[1]]
    base[:, :, : y.shape[2], : y.shape[3]] = y
    return base
