"""The prior's invertible map u = f(v) in int64 fixed point: RealNVP coupling layers (paper eq. 5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from selfcodec.coding.tables import COUPLING_BITS, COUPLING_STEP_BITS, load_tables
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION, LATENT_FRACTION, PARAM_FRACTION
from selfcodec.networks.integer import Runtime
from selfcodec.networks.windows import Network

LIMIT = 1 << 24
"""v and u have at most this magnitude in 2**-12: 4096."""


def latent_input(z: Tensor) -> Tensor:
    """A latent in 2**-12, int64, to a network's input in 2**-6, float32, rounded half up."""
    drop = LATENT_FRACTION - INPUT_FRACTION
    return ((z + (1 << (drop - 1))) >> drop).clamp(-ACTIVATION_MAX, ACTIVATION_MAX).float()


def _scale_shift(net: Network, a: Tensor, runtime: Runtime) -> tuple[Tensor, Tensor]:
    """exp(s) in 2**-16 and t in 2**-12 from the untouched half."""
    s, t = net(latent_input(a), runtime=runtime).cpu().chunk(2, 1)
    table = torch.from_numpy(load_tables().coupling)
    drop, half = PARAM_FRACTION - COUPLING_STEP_BITS, len(table) // 2
    index = ((s + (1 << (drop - 1))) >> drop).clamp(-half, half) + half
    return table[index], t << (LATENT_FRACTION - PARAM_FRACTION)


def forward_map(v: Tensor, couplings: Sequence[Network], runtime: Runtime) -> Tensor:
    """u = f(v); int64 (B, C, H, W) in 2**-12."""
    for net in couplings:
        a, b = v.chunk(2, 1)
        scale, shift = _scale_shift(net, a, runtime)
        moved = ((b * scale + (1 << (COUPLING_BITS - 1))) >> COUPLING_BITS) + shift
        v = torch.cat([a, moved.clamp(-LIMIT, LIMIT)], 1).flip(1)
    return v


def inverse_map(u: Tensor, couplings: Sequence[Network], runtime: Runtime) -> Tensor:
    """v = f^-1(u) to within rounding: only the encoder needs it, and transmits the result."""
    for net in reversed(couplings):
        a, b = u.flip(1).chunk(2, 1)
        scale, shift = _scale_shift(net, a, runtime)
        moved = torch.div((b - shift) << COUPLING_BITS, scale, rounding_mode="floor")
        u = torch.cat([a, moved.clamp(-LIMIT, LIMIT)], 1)
    return u
