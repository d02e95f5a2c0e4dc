"""Runs a network that treats every position by itself, on rows of a matrix instead of images: a context head.

A wavefront has a few hundred pixels a step, so that preparing operations costs more than computing them, and threads
that wait for Python's lock between operations lose more still. Here a convolution is a matrix product, exact in any
order of summation as everywhere (`selfcodec.fixed_point`), and the whole network is one compiled call without the
lock. The results are `IntegerGraph`'s, bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selfcodec.arrays import Float32
from selfcodec.errors import ModelError
from selfcodec.fixed_point import LEAKY_SLOPE
from selfcodec.networks.graph import Node
from selfcodec.networks.integer import IntegerGraph
from selfcodec.networks.nodes import Nodes

_SLOPES = {"none": 1.0, "relu": 0.0, "leaky": LEAKY_SLOPE}
"""What values below zero are multiplied by."""


class PointwiseNetwork:
    """An `IntegerGraph` of 1x1 convolutions and sums, for matrices of rows.

    Attributes:
        nodes: for compiled loops.
        inputs, outputs: channels, of all input nodes together and of the last node.

    Raises:
        ModelError: the network has other nodes.
    """

    def __init__(self, net: IntegerGraph) -> None:
        nodes = [*net.graph.inputs, *(node for node in net.graph.nodes if node.inputs)]
        slots, channels = _slots(nodes), {node.name: node.channels for node in nodes}
        plans = np.full((len(nodes), 6), -1, dtype=np.int64)
        every = np.zeros((len(nodes), 4), dtype=np.float32)
        weights: list[Float32] = []
        for node, plan, settings in zip(nodes, plans, every, strict=True):
            settings[:2] = _SLOPES[node.activation], net.limits[node.name]
            plan[:2] = node.channels, slots[node.name]
            for i, source in enumerate(node.inputs):
                plan[2 + 2 * i : 4 + 2 * i] = slots[source], channels[source]
            if node.op == "conv" and node.kernel == node.stride == 1:
                plan[5] = sum(map(len, weights))
                weight, bias, scale = net.constants(node.name)  # products with a power of two are exact
                scaled = weight[:, :, 0, 0].T * scale
                weights += [scaled.ravel(), bias * scale]
            elif node.op == "add":
                settings[2:] = [2.0 ** (net.formats[node.name] - net.formats[source]) for source in node.inputs]
            elif node.inputs:
                raise ModelError(f"network node {node.name!r}: {node.op} looks beyond its own position")
        self.nodes = Nodes(plans, every, np.concatenate(weights), max(channels.values()))
        self.inputs, self.outputs = sum(node.channels for node in net.graph.inputs), nodes[-1].channels


def _slots(nodes: Sequence[Node]) -> dict[str, int]:
    """A place for every node's values, taken again once nobody needs them: what fits into the cache is faster."""
    needed = {source: i for i, node in enumerate(nodes) for source in node.inputs}
    slots: dict[str, int] = {}
    for i, node in enumerate(nodes):
        taken = {slots[other.name] for other in nodes[:i] if needed.get(other.name, -1) >= i}
        slots[node.name] = next(slot for slot in range(len(nodes)) if slot not in taken)
    return slots
