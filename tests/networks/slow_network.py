"""A second implementation of integer networks: int64, one position after another, shifts instead of scaled floats."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from selfcodec.arrays import Int64, Integers
from selfcodec.networks.graph import Graph, Node


def shifted(x: Int64, shift: Int64 | int) -> Int64:
    """floor(x / 2**shift + 1/2), shift of either sign."""
    shift = np.broadcast_to(np.asarray(shift), x.shape)
    right = np.maximum(shift, 0)
    return np.where(shift > 0, (x + (1 << right >> 1)) >> right, x << np.maximum(-shift, 0))


def conv(x: Int64, weight: Int64, bias: Int64, stride: int) -> Int64:
    k = weight.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    rows, columns = ((n + 2 * (k // 2) - k) // stride + 1 for n in x.shape[2:])
    out = np.empty((x.shape[0], len(weight), rows, columns), np.int64)
    for i in range(rows):
        for j in range(columns):
            window = padded[:, None, :, stride * i : stride * i + k, stride * j : stride * j + k]
            out[:, :, i, j] = (window * weight[None]).sum((2, 3, 4)) + bias
    return out


def deconv(x: Int64, weight: Int64, bias: Int64) -> Int64:
    """Every input position adds its 4 x 4 patch at twice its place; a border of one is cut off."""
    batch, _, h, w = x.shape
    out = np.zeros((batch, weight.shape[1], 2 * h + 2, 2 * w + 2), np.int64)
    for i in range(h):
        for j in range(w):
            out[:, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum("bi,iokl->bokl", x[:, :, i, j], weight)
    return out[:, :, 1:-1, 1:-1] + bias[:, None, None]


def activated(x: Int64, shift: Int64 | int, activation: str) -> Int64:
    """The activation of x / 2**shift, rounded half up."""
    if activation == "leaky":
        return np.where(x < 0, shifted(x, np.asarray(shift) + 3), shifted(x, shift))
    return shifted(np.maximum(x, 0) if activation == "relu" else x, shift)


def node_value(
    node: Node, xs: list[Int64], formats: Mapping[str, int], tensors: Mapping[str, Int64], limits: dict[str, int]
) -> Int64:
    shifts = [formats[name] - formats[node.name] for name in node.inputs]
    if node.op in ("conv", "deconv"):
        weight, bias = tensors[f"{node.name}.weight"], tensors[f"{node.name}.bias"]
        total = deconv(xs[0], weight, bias) if node.op == "deconv" else conv(xs[0], weight, bias, node.stride)
        return activated(total, (tensors[f"{node.name}.exponent"] + shifts[0])[:, None, None], node.activation)
    if node.op == "add":
        finest = max(0, *shifts)
        return activated(sum(x << (finest - s) for x, s in zip(xs, shifts, strict=True)), finest, node.activation)
    if node.op in ("elu", "sigmoid"):
        return tensors[f"{node.name}.table"][xs[0] + limits[node.inputs[0]]]
    if node.op == "mean":
        count = xs[0].shape[2] * xs[0].shape[3]
        mean = [math.floor(2.0 ** -shifts[0] * int(s) / count + 0.5) for s in xs[0].sum((2, 3)).ravel()]
        return np.array(mean).reshape(*xs[0].shape[:2], 1, 1)
    if node.op == "scale":
        return shifted(xs[0] * xs[1], shifts[0] + formats[node.inputs[1]])
    if node.op == "concat":
        h, w = max(x.shape[2] for x in xs), max(x.shape[3] for x in xs)  # planes are 1 x 1
        return np.concatenate([np.broadcast_to(x, (*x.shape[:2], h, w)) for x in xs], 1)
    b, c, h, w = xs[0].shape
    if node.op == "unfold":
        out = np.empty((b, c // 4, 2 * h, 2 * w), np.int64)
        for channel in range(c):
            out[:, channel // 4, channel // 2 % 2 :: 2, channel % 2 :: 2] = xs[0][:, channel]
        return out
    return xs[0].reshape(b, c, h // 2, 2, w // 2, 2).transpose(0, 1, 3, 5, 2, 4).reshape(b, 4 * c, h // 2, w // 2)


def run(graph: Graph, formats: Mapping[str, int], tensors: Mapping[str, Integers], inputs: list[Int64]) -> Int64:
    arrays = {key: tensor.astype(np.int64) for key, tensor in tensors.items()}
    limits, values = graph.limits(), {}
    for node, x in zip(graph.inputs, inputs, strict=True):
        values[node.name] = np.clip(x, -limits[node.name], limits[node.name])
    for node in graph.nodes:
        if node.name not in values:
            out = node_value(node, [values[name] for name in node.inputs], formats, arrays, limits)
            values[node.name] = np.clip(out, -limits[node.name], limits[node.name])
    return values[graph.output.name]
