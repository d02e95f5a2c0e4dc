"""The prior's invertible map u = f(v) in int64 fixed point: RealNVP coupling layers (paper eq. 5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selfcodec.arrays import Float32, Int64
from selfcodec.coding.tables import COUPLING_BITS, COUPLING_STEP_BITS, load_tables
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION, LATENT_FRACTION, PARAM_FRACTION
from selfcodec.networks.integer import Runtime
from selfcodec.networks.windows import Network

LIMIT = 1 << 24
"""v and u have at most this magnitude in 2**-12: 4096."""


def latent_input(z: Int64) -> Float32:
    """A latent in 2**-12, int64, to a network's input in 2**-6, float32, rounded half up."""
    drop = LATENT_FRACTION - INPUT_FRACTION
    return ((z + (1 << (drop - 1))) >> drop).clip(-ACTIVATION_MAX, ACTIVATION_MAX).astype(np.float32)


def _scale_shift(net: Network, a: Int64, runtime: Runtime) -> tuple[Int64, Int64]:
    """exp(s) in 2**-16 and t in 2**-12 from the untouched half."""
    s, t = np.split(net(latent_input(a), runtime=runtime), 2, 1)
    table = load_tables().coupling
    drop, half = PARAM_FRACTION - COUPLING_STEP_BITS, len(table) // 2
    index = ((s + (1 << (drop - 1))) >> drop).clip(-half, half) + half
    return table[index], t << (LATENT_FRACTION - PARAM_FRACTION)


def forward_map(v: Int64, couplings: Sequence[Network], runtime: Runtime) -> Int64:
    """u = f(v); int64 (B, C, H, W) in 2**-12."""
    for net in couplings:
        a, b = np.split(v, 2, 1)
        scale, shift = _scale_shift(net, a, runtime)
        moved = ((b * scale + (1 << (COUPLING_BITS - 1))) >> COUPLING_BITS) + shift
        v = np.concatenate([a, moved.clip(-LIMIT, LIMIT)], 1)[:, ::-1]
    return v


def inverse_map(u: Int64, couplings: Sequence[Network], runtime: Runtime) -> Int64:
    """v = f^-1(u) to within rounding: only the encoder needs it, and transmits the result."""
    for net in reversed(couplings):
        a, b = np.split(u[:, ::-1], 2, 1)
        scale, shift = _scale_shift(net, a, runtime)
        moved = ((b - shift) << COUPLING_BITS) // scale
        u = np.concatenate([a, moved.clip(-LIMIT, LIMIT)], 1)
    return u
