"""How far a decoded image is from the original."""

from __future__ import annotations

import math


def decibels(error: float) -> float:
    """Peak signal-to-noise ratio of samples 0..255 in dB, 10 log10(255^2 / error), from their mean squared error.

    It is infinite where there is no error.
    """
    return 10 * math.log10(255**2 / error) if error else math.inf
