"""The compiled loops of `pointwise`: all nodes of a network for some rows."""

from __future__ import annotations

import numpy as np

from selfcodec.arrays import Float32, Int16, Int32
from selfcodec.compiled import compiled
from selfcodec.networks.microkernel import multiply_tile
from selfcodec.networks.nodes import TILE_COLUMNS, TILE_ROWS, Nodes

_SLOPE, _LIMIT, _SCALE_A, _SCALE_B = range(4)
"""Settings have these columns."""
_HALF = np.float32(0.5)


@compiled
def _take(inputs: Float32, limit: np.float32, out: Int16) -> None:
    """Sets out (N, C') to an input's values (N, C), clamped; the other columns to zero."""
    for i in range(inputs.shape[0]):
        for j in range(inputs.shape[1]):
            out[i, j] = np.int32(min(max(inputs[i, j], -limit), limit))
        out[i, inputs.shape[1] :] = 0


@compiled
def _product(x: Int16, weight: Int16, bias: Int32, scale: Float32, settings: Float32, out: Int16) -> None:
    """A convolution of kernel 1, tile by tile.

    Args:
        x: (N, C); as many rows more have to lie in memory as fill the last tile, of x and of out.
        weight: (C' / TILE_COLUMNS, C / 2, TILE_COLUMNS, 2).
        bias, scale: (C',), see `microkernel.multiply_tile`.
        settings: of the node.
        out: (N, C').
    """
    (count, channels), wide = x.shape, out.shape[1]
    size = 2 * channels * TILE_COLUMNS  # of the weights of a tile's columns, in bytes
    for block in range(wide // TILE_COLUMNS):
        column = block * TILE_COLUMNS
        for row in range(0, count, TILE_ROWS):
            multiply_tile(
                x.ctypes.data + 2 * row * channels,
                channels,
                weight.ctypes.data + size * block,
                channels // 2,
                bias.ctypes.data + 4 * column,
                scale.ctypes.data + 4 * column,
                settings[_SLOPE],
                settings[_LIMIT],
                out.ctypes.data + 2 * (row * wide + column),
                wide,
            )


@compiled
def _sum(a: Int16, b: Int16, settings: Float32, out: Int16) -> None:
    """The sum of two nodes, their formats aligned, activated, rounded half up and clamped; all (n,)."""
    slope, limit = settings[_SLOPE], settings[_LIMIT]
    of_a, of_b = settings[_SCALE_A], settings[_SCALE_B]
    for i in range(len(out)):
        value = np.float32(a[i]) * of_a + np.float32(b[i]) * of_b
        value = np.floor(max(value, value * slope) + _HALF)
        out[i] = np.int32(min(max(value, -limit), limit))


@compiled
def run(nodes: Nodes, slots: Int16, inputs: Float32, outputs: Float32) -> None:
    """Computes all nodes of a network for some rows.

    Args:
        nodes: of the network.
        slots: (K, n), room for the values of nodes, see `Nodes.room`.
        inputs: (N, C), of all inputs side by side.
        outputs: (N, C'), set to the last node's values.
    """
    count, first = len(inputs), 0
    for node in range(len(nodes.plan)):
        channels, slot, a, of_a, b, weight, column = nodes.plan[node]
        out = slots[slot, : count * channels].reshape(count, channels)
        if a < 0:
            end = first + nodes.inputs[node]
            _take(inputs[:, first:end], nodes.settings[node, _LIMIT], out)
            first = end
            continue
        x = slots[a, : count * of_a].reshape(count, of_a)
        if weight >= 0:
            own = nodes.weights[weight : weight + of_a * channels]
            bias, scale = nodes.biases[column : column + channels], nodes.scales[column : column + channels]
            _product(x, own, bias, scale, nodes.settings[node], out)
        else:
            _sum(x.ravel(), slots[b, : count * channels], nodes.settings[node], out.ravel())
    outputs[:] = out[:, : outputs.shape[1]]
