"""Runs a network that treats every position by itself, on rows of a matrix instead of images: a context head.

A wavefront has a few hundred pixels a step, so that preparing operations costs more than computing them, and threads
that wait for Python's lock between operations lose more still. Here a convolution is a matrix product, exact in any
order of summation as everywhere (`selfcodec.fixed_point`), and the whole network is one compiled call without the
lock. The results are `IntegerGraph`'s, bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selfcodec.arrays import Float32, Int64
from selfcodec.compiled import compiled
from selfcodec.errors import ModelError
from selfcodec.fixed_point import LEAKY_SLOPE
from selfcodec.networks.graph import Node
from selfcodec.networks.integer import IntegerGraph
from selfcodec.parallel import check_wanted

POSITIONS_AT_ONCE = 1 << 11
"""So many positions run together: what one step of a network leaves is still in a processor's cache at the next."""
_HALF = np.float32(0.5)
_SLOPES = {"none": 1.0, "relu": 0.0, "leaky": LEAKY_SLOPE}
_SLOPE, _LIMIT, _SCALE_A, _SCALE_B = range(4)
"""Settings have these columns."""


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
def _run(plan: Int64, settings: Float32, weights: Float32, width: int, inputs: Float32, outputs: Float32) -> None:
    """Computes all nodes of a network for some rows.

    Args:
        plan: (nodes, 6), of each node: its channels; its slot; of two sources slot and channels, the first slot -1 for
            an input and the second for a product, which has instead the place where its weights begin.
        settings: (nodes, 4).
        weights: of each product weight (C, C') and bias (C',), one after another.
        width: of a slot, a place for one node's values.
        inputs: (N, C), of all inputs side by side.
        outputs: (N, C'), set to the last node's values.
    """
    count, first = len(inputs), 0
    slots = np.empty((plan[:, 1].max() + 1, count * width), dtype=np.float32)
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


class PointwiseNetwork:
    """An `IntegerGraph` of 1x1 convolutions and sums, for matrices of rows.

    Raises:
        ModelError: the network has other nodes.
    """

    def __init__(self, net: IntegerGraph) -> None:
        nodes = [*net.graph.inputs, *(node for node in net.graph.nodes if node.inputs)]
        slots, channels = _slots(nodes), {node.name: node.channels for node in nodes}
        self._plan = np.full((len(nodes), 6), -1, dtype=np.int64)
        self._settings = np.zeros((len(nodes), 4), dtype=np.float32)
        weights: list[Float32] = []
        for node, plan, settings in zip(nodes, self._plan, self._settings, strict=True):
            settings[_SLOPE], settings[_LIMIT] = _SLOPES[node.activation], net.limits[node.name]
            plan[:2] = node.channels, slots[node.name]
            for i, source in enumerate(node.inputs):
                plan[2 + 2 * i : 4 + 2 * i] = slots[source], channels[source]
            if node.op == "conv" and node.kernel == node.stride == 1:
                plan[5] = sum(map(len, weights))
                weight, bias, scale = net.constants(node.name)  # products with a power of two are exact
                scaled = (weight * scale[..., None])[:, :, 0, 0].t()
                weights += [scaled.flatten().numpy(), (bias * scale.flatten()).numpy()]
            elif node.op == "add":
                settings[_SCALE_A:] = [2.0 ** (net.formats[node.name] - net.formats[source]) for source in node.inputs]
            elif node.inputs:
                raise ModelError(f"network node {node.name!r}: {node.op} looks beyond its own position")
        self._weights = np.concatenate(weights)
        self._width, self._channels = max(channels.values()), nodes[-1].channels

    def __call__(self, inputs: Float32) -> Float32:
        """float32 integers (N, C), the input nodes' side by side, to (N, C') in units of 2**-10."""
        check_wanted()
        outputs = np.empty((len(inputs), self._channels), dtype=np.float32)
        for start in range(0, len(inputs), POSITIONS_AT_ONCE):
            part = slice(start, start + POSITIONS_AT_ONCE)
            _run(self._plan, self._settings, self._weights, self._width, inputs[part], outputs[part])
        return outputs


def _slots(nodes: Sequence[Node]) -> dict[str, int]:
    """A place for every node's values, taken again once nobody needs them: what fits into the cache is faster."""
    needed = {source: i for i, node in enumerate(nodes) for source in node.inputs}
    slots: dict[str, int] = {}
    for i, node in enumerate(nodes):
        taken = {slots[other.name] for other in nodes[:i] if needed.get(other.name, -1) >= i}
        slots[node.name] = next(slot for slot in range(len(nodes)) if slot not in taken)
    return slots
