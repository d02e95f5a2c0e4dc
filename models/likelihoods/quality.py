"""The quality as networks see it: a plane of one value, log lambda shifted and scaled.

lambda is what a squared error of one grey level is worth in bits for each pixel of x; its logarithm is natural.
"""

from __future__ import annotations

from torch import Tensor

CENTRE = -4.0
UNIT = 2.0
"""A plane is (log lambda - CENTRE) / UNIT, so that usual lambdas are about -2 to 1.5."""
PLANE_FRACTION = 6
"""A specification holds planes in 2**-6."""


def planes_of(log_lambda: Tensor) -> Tensor:
    """Planes (B, 1, 1, 1) of images' log lambda, (B,)."""
    return ((log_lambda - CENTRE) / UNIT)[:, None, None, None]


def log_lambda_of(planes: Tensor) -> Tensor:
    """The inverse of `planes_of`."""
    return planes[:, 0, 0, 0] * UNIT + CENTRE
