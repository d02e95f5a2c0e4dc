"""Fixed-point conventions, and arithmetic that gives the same bits on every machine.

A real number r is carried as the integer round(r * 2**fraction), and that integer as a float32, or in heads as an
int16 with sums in int32 (`selfcodec.networks.microkernel`). Sums of products of
such integers are exact in *any* order of summation while every partial sum stays below 2**24, so matrix products may
use whatever blocking, vector width or thread count the machine likes. Everything else here is one correctly rounded
IEEE operation an element, or int64.
"""

from __future__ import annotations

import numpy as np

from selfcodec.arrays import Float32

EXACT_LIMIT = 1 << 24
"""float32 holds every integer of smaller magnitude."""

INPUT_FRACTION = 6
"""Every network input has so many fraction bits: pixels are (value - 128) / 64, latents their own value."""
PARAM_FRACTION = 10
"""Every network output has so many fraction bits; a mean's unit is 32 grey levels, so its step is 1/32 of one."""
LATENT_FRACTION = 12
"""Latents and their grids' widths have so many fraction bits."""
PIXEL_MAX = 128
ACTIVATION_MAX = 1023
PARAM_MAX = (1 << 14) - 1
"""Pixel inputs, hidden activations and network outputs have at most these magnitudes."""
WEIGHT_MAX = 2047
"""A convolution's integer weight has at most this magnitude."""

FRACTION_MAX = 24
"""A node's values have at most so many fraction bits, and at most as many fewer than none."""

SHIFT_MAX = 64
"""A convolution's shift has at most this magnitude, well inside the exponents of float32."""

LEAKY_SLOPE = 0.125
"""The leaky ReLU has this slope below zero: a power of two, so that the product is exact."""


def requantise_(x: Float32, shift: int, limit: int) -> Float32:
    """x in place to floor(x / 2**shift + 1/2), clamped to [-limit, limit].

    Args:
        x: float32 integers (or exact binary fractions), any shape.
        shift: bits to drop, may be negative.
        limit: largest magnitude of the result, inclusive.
    """
    if shift:
        x *= 2.0**-shift
    x += 0.5
    np.floor(x, out=x)
    return np.clip(x, -limit, limit, out=x)
