"""Runs a `Graph` on real numbers, differentiably: what training does, and encoders that search by gradient."""

from __future__ import annotations

from collections.abc import Container, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from selfcodec.fixed_point import LEAKY_SLOPE
from selfcodec.networks.graph import CONVOLUTIONS, Node
from selfcodec.networks.integer import IntegerGraph


def convolved(node: Node, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The sums of a convolution, before its activation."""
    if node.op == "deconv":
        return F.conv_transpose2d(x, weight, bias, stride=2, padding=1)
    if node.kernel == 1 and node.stride == 1:  # a matrix product, which saves copies
        return F.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0], bias).permute(0, 3, 1, 2)
    return F.conv2d(x, weight, bias, stride=node.stride, padding=node.kernel // 2)


def evaluated(node: Node, xs: Sequence[Tensor], planes: Container[str]) -> Tensor:
    """A node's value before its activation.

    Args:
        node: any but an input or a convolution.
        xs: the values of its inputs.
        planes: names of the nodes that are planes.
    """
    if node.op == "add":
        return xs[0] + xs[1]
    if node.op == "elu":
        return F.elu(xs[0])
    if node.op == "sigmoid":
        return torch.sigmoid(xs[0])
    if node.op == "mean":
        return xs[0].mean((2, 3), keepdim=True)
    if node.op == "scale":
        return xs[0] * xs[1]
    if node.op == "concat":
        return _joined(node, xs, planes)
    return F.pixel_unshuffle(xs[0], 2) if node.op == "fold" else F.pixel_shuffle(xs[0], 2)


def _joined(node: Node, xs: Sequence[Tensor], planes: Container[str]) -> Tensor:
    """Channels one after another, those of planes the same at all positions."""
    h, w = next(x.shape[2:] for name, x in zip(node.inputs, xs, strict=True) if name not in planes)
    whole = [x.expand(-1, -1, h, w) if name in planes else x for name, x in zip(node.inputs, xs, strict=True)]
    return torch.cat(whole, 1)  # (B, C, H, W)


def activated(node: Node, x: Tensor) -> Tensor:
    """The value after the activation."""
    if node.activation == "leaky":
        return F.leaky_relu(x, LEAKY_SLOPE)
    return F.relu(x) if node.activation == "relu" else x


class RealGraph:
    """An integer network without its rounding."""

    def __init__(self, net: IntegerGraph) -> None:
        self._graph = net.graph
        self._planes = {node.name for node in net.graph.inputs if node.op == "plane"}
        convolutions = (node.name for node in net.graph.nodes if node.op in CONVOLUTIONS)
        self._parameters = {name: [torch.from_numpy(values) for values in net.real(name)] for name in convolutions}

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The output for one real tensor (B, C, H, W), or (B, C, 1, 1) for a plane, for each input node, in order."""
        values = {node.name: x for node, x in zip(self._graph.inputs, inputs, strict=True)}
        for node in self._graph.nodes:
            if node.name not in values:
                xs = [values[name] for name in node.inputs]
                if node.op in CONVOLUTIONS:
                    out = convolved(node, xs[0], *self._parameters[node.name])
                else:
                    out = evaluated(node, xs, self._planes)
                values[node.name] = activated(node, out)
        return values[self._graph.output.name]
