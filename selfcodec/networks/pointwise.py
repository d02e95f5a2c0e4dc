"""Runs a network that treats every position by itself, on rows of a matrix instead of images: a context head.

A wavefront has a few hundred pixels a step, so that preparing operations costs more than computing them, and threads
that wait for Python's lock between operations lose more still. Here the whole network is one compiled call without the
lock, and a convolution a product of matrices of 16-bit integers (`microkernel`). The results are `IntegerGraph`'s, bit
by bit, since its sums are exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selfcodec.arrays import Float32
from selfcodec.errors import ModelError
from selfcodec.fixed_point import LEAKY_SLOPE
from selfcodec.networks.graph import Node
from selfcodec.networks.integer import IntegerGraph
from selfcodec.networks.nodes import TILE_COLUMNS, Nodes, filled_up

_SLOPES = {"none": 1.0, "relu": 0.0, "leaky": LEAKY_SLOPE}
"""What values below zero are multiplied by."""


class PointwiseNetwork:
    """An `IntegerGraph` of 1x1 convolutions and sums, for matrices of rows.

    Attributes:
        nodes: for compiled loops.
        inputs, outputs: channels, of all input nodes together and of the last node.

    Raises:
        ModelError: the network has other nodes, or no convolution.
    """

    def __init__(self, net: IntegerGraph) -> None:
        nodes = [*net.graph.inputs, *(node for node in net.graph.nodes if node.inputs)]
        slots, channels = _slots(nodes), {node.name: filled_up(node.channels, TILE_COLUMNS) for node in nodes}
        plans = np.full((len(nodes), 7), -1, dtype=np.int64)
        every = np.zeros((len(nodes), 4), dtype=np.float32)
        weights, biases, scales = list[Float32](), list[Float32](), list[Float32]()
        for node, plan, settings in zip(nodes, plans, every, strict=True):
            settings[:2] = _SLOPES[node.activation], net.limits[node.name]
            plan[:2] = channels[node.name], slots[node.name]
            if node.inputs:
                plan[2:4] = slots[node.inputs[0]], channels[node.inputs[0]]
            if node.op == "conv" and node.kernel == node.stride == 1:
                plan[5:] = sum(map(len, weights)), sum(map(len, biases))
                weight, *of_columns = net.constants(node.name)
                weights.append(_tiled(weight[:, :, 0, 0].T, channels[node.inputs[0]], channels[node.name]))
                bias, scale = (_with_zeros(constant, channels[node.name]) for constant in of_columns)
                biases.append(bias)
                scales.append(scale)
            elif node.op == "add":
                plan[4] = slots[node.inputs[1]]
                settings[2:] = [2.0 ** (net.formats[node.name] - net.formats[source]) for source in node.inputs]
            elif node.inputs:
                raise ModelError(f"network node {node.name!r}: {node.op} looks beyond its own position")
        if not weights:
            raise ModelError("a network on rows has no convolution")
        inputs = np.array([node.channels for node in net.graph.inputs], dtype=np.int64)
        self.nodes = Nodes(
            plans,
            every,
            np.concatenate(weights).astype(np.int16),
            np.concatenate(biases).astype(np.int32),
            np.concatenate(scales),
            inputs,
            max(channels.values()),
        )
        self.inputs, self.outputs = int(inputs.sum()), nodes[-1].channels


def _with_zeros(array: Float32, *shape: int) -> Float32:
    return np.pad(array, [(0, wanted - size) for size, wanted in zip(array.shape, shape, strict=True)])


def _tiled(weight: Float32, rows: int, columns: int) -> Float32:
    """A matrix, filled up to (rows, columns), as tiles take it (`microkernel.multiply_tile`), flat."""
    pairs = _with_zeros(weight, rows, columns).reshape(rows // 2, 2, columns // TILE_COLUMNS, TILE_COLUMNS)
    return pairs.transpose(2, 0, 3, 1).ravel()


def _slots(nodes: Sequence[Node]) -> dict[str, int]:
    """A place for every node's values, taken again once nobody needs them: what fits into the cache is faster."""
    needed = {source: i for i, node in enumerate(nodes) for source in node.inputs}
    slots: dict[str, int] = {}
    for i, node in enumerate(nodes):
        taken = {slots[other.name] for other in nodes[:i] if needed.get(other.name, -1) >= i}
        slots[node.name] = next(slot for slot in range(len(nodes)) if slot not in taken)
    return slots
