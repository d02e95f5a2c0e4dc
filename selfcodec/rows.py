"""Runs a network that treats every position by itself, on rows of a matrix instead of images: a context head.

A wavefront has a few hundred pixels a step, so that preparing operations costs more than computing them. Here a
convolution is a matrix product, exact in any order of summation as everywhere (`selfcodec.exact`), and what follows it
is one compiled pass. The results are `IntegerGraph`'s, bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from selfcodec.compiled import Reals, compiled
from selfcodec.errors import ModelError
from selfcodec.exact import LEAKY_SLOPE
from selfcodec.graph import Node
from selfcodec.integer import IntegerGraph

ROWS_AT_ONCE = 1 << 11
"""So that what one step of a network leaves is still in a processor's cache at the next."""
_HALF = np.float32(0.5)
_SLOPES = {"none": 1.0, "relu": 0.0, "leaky": LEAKY_SLOPE}


@compiled
def _finish(x: Reals, bias: Reals, slope: np.float32, limit: np.float32) -> None:
    """x (N, C) in place: bias, activation, rounding half up, clamping; float32 operations one by one."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = x[i, j] + bias[j]
            if value < np.float32(0):
                value *= slope
            x[i, j] = min(max(np.floor(value + _HALF), -limit), limit)


@compiled
def _add(
    a: Reals, b: Reals, scale_a: np.float32, scale_b: np.float32, slope: np.float32, limit: np.float32, out: Reals
) -> None:
    """The same of the sum of two nodes, their formats aligned."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            value = a[i, j] * scale_a + b[i, j] * scale_b
            if value < np.float32(0):
                value *= slope
            out[i, j] = min(max(np.floor(value + _HALF), -limit), limit)


@dataclass(frozen=True)
class _Product:
    """A convolution of kernel 1: weight (C, C') and bias (C',) in units of the output."""

    name: str
    source: str
    weight: Tensor
    bias: Reals
    slope: np.float32
    limit: np.float32


@dataclass(frozen=True)
class _Sum:
    name: str
    sources: tuple[str, str]
    scales: tuple[np.float32, np.float32]
    slope: np.float32
    limit: np.float32


class RowNetwork:
    """An `IntegerGraph` of 1x1 convolutions and sums, for matrices of rows.

    Raises:
        ModelError: the network has other nodes.
    """

    def __init__(self, net: IntegerGraph) -> None:
        self._inputs = [(node.name, np.float32(net.limits[node.name])) for node in net.graph.inputs]
        self._steps = [self._step(net, node) for node in net.graph.nodes if node.op not in ("pixels", "latent")]
        self._output = net.graph.output.name

    @staticmethod
    def _step(net: IntegerGraph, node: Node) -> _Product | _Sum:
        slope, limit = np.float32(_SLOPES[node.activation]), np.float32(net.limits[node.name])
        if node.op == "conv" and node.kernel == node.stride == 1:
            weight, bias, scale = net.constants(node.name)  # products with a power of two are exact
            scaled = (weight * scale[..., None])[:, :, 0, 0].t().contiguous()
            return _Product(node.name, node.inputs[0], scaled, (bias * scale.flatten()).numpy(), slope, limit)
        if node.op == "add":
            shifts = [net.formats[node.name] - net.formats[source] for source in node.inputs]
            scales = (np.float32(2.0 ** shifts[0]), np.float32(2.0 ** shifts[1]))
            return _Sum(node.name, (node.inputs[0], node.inputs[1]), scales, slope, limit)
        raise ModelError(f"network node {node.name!r}: {node.op} looks beyond its own position")

    def __call__(self, *inputs: Reals) -> Reals:
        """float32 integers (N, C) for each input node to (N, C'), in units of 2**-10."""
        starts = range(0, max(1, len(inputs[0])), ROWS_AT_ONCE)
        parts = [self._run([x[start : start + ROWS_AT_ONCE] for x in inputs]) for start in starts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, inputs: Sequence[Reals]) -> Reals:
        """The same of a few rows."""
        values: dict[str, Reals] = {}
        for (name, limit), x in zip(self._inputs, inputs, strict=True):
            values[name] = np.clip(x, -limit, limit)
        for step in self._steps:
            if isinstance(step, _Product):
                out = torch.mm(torch.from_numpy(values[step.source]), step.weight).numpy()
                _finish(out, step.bias, step.slope, step.limit)
            else:
                a, b = (values[source] for source in step.sources)
                out = np.empty_like(a)
                _add(a, b, *step.scales, step.slope, step.limit, out)
            values[step.name] = out
        return values[self._output]
