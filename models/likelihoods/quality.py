"""The quality as networks see it: a plane of one value, log lambda shifted and scaled.

lambda is what a squared error of one grey level is worth in bits for each pixel of x, see `selfcodec.spec.trade_of`.
"""

from __future__ import annotations

from torch import Tensor

from selfcodec.fixed_point import INPUT_FRACTION
from selfcodec.spec import PLANE_CENTRE, PLANE_UNIT

PLANE_FRACTION = INPUT_FRACTION
"""A specification holds planes in 2**-6."""


def planes_of(log_lambda: Tensor) -> Tensor:
    """Planes (B, 1, 1, 1) of images' log lambda, (B,)."""
    return (PLANE_UNIT * (log_lambda + PLANE_CENTRE))[:, None, None, None]


def log_lambda_of(planes: Tensor) -> Tensor:
    """The inverse of `planes_of`."""
    return planes[:, 0, 0, 0] / PLANE_UNIT - PLANE_CENTRE
