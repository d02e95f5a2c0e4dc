"""The compiled loops of `pointwise`: all nodes of a network for some rows."""

from __future__ import annotations

import numpy as np

from selfcodec.arrays import Float32
from selfcodec.compiled import compiled
from selfcodec.networks import blas
from selfcodec.networks.nodes import Nodes
from selfcodec.parallel import one_thread_each

_SLOPE, _LIMIT, _SCALE_A, _SCALE_B = range(4)
"""Settings have these columns."""
_HALF = np.float32(0.5)
blas.load()
one_thread_each.renew()  # Numba's matrix products are to keep to their thread as NumPy's


@compiled
def _rounded(value: np.float32, slope: np.float32, limit: np.float32) -> np.float32:
    """Activation, rounding half up, clamping; float32 operations one by one."""
    if value < np.float32(0):
        value *= slope
    return min(max(np.floor(value + _HALF), -limit), limit)


@compiled
def _product(x: Float32, weight: Float32, bias: Float32, settings: Float32, out: Float32) -> None:
    """A convolution of kernel 1: x (N, C), weight (C, C') and bias (C',) in units of the output; out (N, C')."""
    np.dot(x, weight, out)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = _rounded(out[i, j] + bias[j], settings[_SLOPE], settings[_LIMIT])


@compiled
def _sum(a: Float32, b: Float32, settings: Float32, out: Float32) -> None:
    """The sum of two nodes, their formats aligned; all (N, C)."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            value = a[i, j] * settings[_SCALE_A] + b[i, j] * settings[_SCALE_B]
            out[i, j] = _rounded(value, settings[_SLOPE], settings[_LIMIT])


@compiled
def run(nodes: Nodes, slots: Float32, inputs: Float32, outputs: Float32) -> None:
    """Computes all nodes of a network for some rows.

    Args:
        nodes: of the network.
        slots: (K, n), room for the values of nodes, see `Nodes.room`.
        inputs: (N, C), of all inputs side by side.
        outputs: (N, C'), set to the last node's values.
    """
    plan, settings, weights = nodes.plan, nodes.settings, nodes.weights
    count, first = len(inputs), 0
    for node in range(len(plan)):
        channels, slot, a, of_a, b, of_b = plan[node]
        out = slots[slot, : count * channels].reshape(count, channels)
        if a < 0:
            limit = settings[node, _LIMIT]
            for i in range(count):
                for j in range(channels):
                    out[i, j] = min(max(inputs[i, first + j], -limit), limit)
            first += channels
            continue
        x = slots[a, : count * of_a].reshape(count, of_a)
        if b < 0:
            end = of_b + of_a * channels
            weight, bias = weights[of_b:end].reshape(of_a, channels), weights[end : end + channels]
            _product(x, weight, bias, settings[node], out)
        else:
            _sum(x, slots[b, : count * of_b].reshape(count, of_b), settings[node], out)
    outputs[:] = out
