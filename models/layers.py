"""Runs a `Graph` in floating point with trainable weights, optionally rounding as the integer network will.

With formats set (`FloatGraph.calibrate`), every value is rounded to its fixed-point grid, and gradients pass straight
through. Such a forward pass computes exactly what the exported integer network computes.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from selfcodec.errors import ModelError
from selfcodec.fixed_point import EXACT_LIMIT, INPUT_FRACTION, WEIGHT_MAX
from selfcodec.models.formats import CLAMP_WEIGHT, least_errors, seen
from selfcodec.networks.graph import CONVOLUTIONS, PASS_THROUGH, Graph, Node
from selfcodec.networks.real import activated, convolved, evaluated


class _Round(torch.autograd.Function):
    """Round half up to a grid and clamp; the gradient passes where nothing was clamped."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fraction: int, limit: int) -> Tensor:
        scaled = torch.floor(x * 2.0**fraction + 0.5)
        ctx.save_for_backward(scaled.abs() <= limit)
        return scaled.clamp(-limit, limit) * 2.0**-fraction

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return grad[0] * inside, None, None


class _Substitute(torch.autograd.Function):
    """Returns the second argument and passes its gradient to the first (straight-through estimator)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor) -> Tensor:
        return value

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        return grad[0], None


def power_of_two(exponent: Tensor) -> Tensor:
    """2**exponent as float32, assembled from its bits, since a libm's exp2 need not be exact; exponents -126..127."""
    return ((exponent.to(torch.int32) + 127) << 23).view(torch.float32)


def fake_round(x: Tensor, fraction: int, limit: int) -> Tensor:
    """x rounded half up to multiples of 2**-fraction, at most limit * 2**-fraction in magnitude."""
    return _Round.apply(x, fraction, limit)


def integer_weights(
    weight: Tensor, bias: Tensor, in_limit: int, in_fraction: int, *, transposed: bool
) -> tuple[Tensor, Tensor, Tensor, float]:
    """Integer weights with a power-of-two scale for each output channel.

    A channel takes the finest scale for which |w| <= WEIGHT_MAX and sum|w| * in_limit + |b| < 2**24 hold, which proves
    that the float32 convolution of the integers is exact.

    Args:
        weight: real, (O, I, k, k), or (I, O, k, k) where transposed.
        bias: real, (O,).
        in_limit, in_fraction: format of the layer's input.

    Returns:
        weight and bias as float tensors of integers, `exponent` (O,) such that real weight = integer / 2**exponent,
        and the proof's figure: the largest sum|w| * in_limit + |b| over all channels.

    Raises:
        ModelError: a weight or bias is not finite.
    """
    if not bool(torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise ModelError("a network's weights are not finite: the training run has diverged")
    rows = (weight.transpose(0, 1) if transposed else weight).flatten(1)  # (O, I k k)
    largest = rows.abs().amax(1).clamp_min(1e-12)
    exponent = torch.floor(torch.log2((WEIGHT_MAX + 0.49) / largest)).clamp(-8, 20)
    while True:
        scale = power_of_two(exponent)
        quantised = torch.floor(rows * scale[:, None] + 0.5).clamp(-WEIGHT_MAX, WEIGHT_MAX)
        integer_bias = torch.floor(bias * scale * 2.0**in_fraction + 0.5)
        bound = quantised.abs().sum(1) * in_limit + integer_bias.abs()
        if bool((bound < EXACT_LIMIT).all()):
            break
        exponent = torch.where(bound < EXACT_LIMIT, exponent, exponent - 1)
    shape = (weight.shape[1], weight.shape[0], *weight.shape[2:]) if transposed else weight.shape
    quantised = quantised.view(shape)
    return (
        quantised.transpose(0, 1).contiguous() if transposed else quantised,
        integer_bias,
        exponent,
        float(bound.max()),
    )


class FloatGraph(nn.Module):
    """A `Graph` with parameters.

    Args:
        graph: the network.
        weight_norm: parametrise weights by direction and length (Salimans & Kingma 2016), to be initialised from the
            first batch (`initialising`).
        output_scale: initial standard deviation of the output relative to its input's.
    """

    def __init__(self, graph: Graph, *, weight_norm: bool = False, output_scale: float = 0.1) -> None:
        super().__init__()
        self.graph = graph
        self.weight_norm = weight_norm
        self.output_scale = output_scale
        self.weights = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        self.gains = nn.ParameterDict()
        self.formats: dict[str, int] = {}
        self._limits = graph.limits()
        self._initialising = False
        self._observed: dict[str, Tensor] = {}
        self._observing = False
        self._results = graph.results
        self._planes = {node.name for node in graph.inputs if node.op == "plane"}
        by_name = {node.name: node for node in graph.nodes}
        for node in graph.nodes:
            if node.op in CONVOLUTIONS:
                self._create(node, by_name[node.inputs[0]].channels)

    @staticmethod
    def _key(node: Node) -> str:
        return node.name.replace(".", "_")  # a ParameterDict allows no dots

    def _create(self, node: Node, in_channels: int) -> None:
        shape = ((in_channels, node.channels) if node.op == "deconv" else (node.channels, in_channels)) + (
            node.kernel,
            node.kernel,
        )
        fan_in = in_channels * (4 if node.op == "deconv" else node.kernel**2)
        gain = math.sqrt(2.0) if node.activation != "none" else 1.0
        if node.name in self._results:
            gain = self.output_scale
        weight = torch.randn(shape) * gain / math.sqrt(fan_in)
        self.weights[self._key(node)] = nn.Parameter(weight)
        self.biases[self._key(node)] = nn.Parameter(torch.zeros(node.channels))
        if self.weight_norm:
            self.gains[self._key(node)] = nn.Parameter(self._norm(node, weight).clone())

    @staticmethod
    def _norm(node: Node, weight: Tensor) -> Tensor:
        dims = (0, 2, 3) if node.op == "deconv" else (1, 2, 3)
        return weight.pow(2).sum(dims).sqrt().clamp_min(1e-12)

    def parameter(self, node: Node) -> nn.Parameter:
        """What is trained of a convolution's weight."""
        return self.weights[self._key(node)]

    def weight(self, node: Node) -> Tensor:
        """The effective real weight of a convolution, with weight normalisation folded in."""
        weight = self.weights[self._key(node)]
        if not self.weight_norm:
            return weight
        length = self.gains[self._key(node)] / self._norm(node, weight)
        return weight * (length[None, :, None, None] if node.op == "deconv" else length[:, None, None, None])

    def bias(self, node: Node) -> Tensor:
        return self.biases[self._key(node)]

    @torch.no_grad()
    def set_weights(self, node: Node, weight: Tensor, bias: Tensor) -> None:
        """Makes these a convolution's effective weight and bias.

        Of a narrower network's, channels that are new stay as they are, but nothing reads them: the function is the
        narrower network's (Chen et al. 2016, Net2Net, https://arxiv.org/abs/1511.05641, with zeros instead of copies).
        """
        own = self.weights[self._key(node)]
        rows, columns = weight.shape[:2]
        if node.op == "deconv":
            own[rows:, :columns] = 0
        else:
            own[:rows, columns:] = 0
        own[:rows, :columns] = weight
        self.biases[self._key(node)][: len(bias)] = bias
        if self.weight_norm:
            self.gains[self._key(node)].copy_(self._norm(node, own))

    def input_format(self, node: Node) -> tuple[int, int]:
        """(limit, fraction) of the first input of a node."""
        return self._limits[node.inputs[0]], self.formats[node.inputs[0]]

    def _convolve(self, node: Node, x: Tensor) -> Tensor:
        weight, bias = self.weight(node), self.bias(node)
        if self.formats:
            limit, fraction = self.input_format(node)
            with torch.no_grad():
                integers, integer_bias, exponent, _ = integer_weights(
                    weight, bias, limit, fraction, transposed=node.op == "deconv"
                )
                scale = power_of_two(-exponent)
                shaped = scale[None, :, None, None] if node.op == "deconv" else scale[:, None, None, None]
                real_weight, real_bias = integers * shaped, integer_bias * scale * 2.0**-fraction
            weight = _Substitute.apply(weight, real_weight)
            bias = _Substitute.apply(bias, real_bias)
        return convolved(node, x, weight, bias)

    @torch.no_grad()
    def _fit_to_data(self, node: Node, x: Tensor) -> Tensor:
        """Sets gain and bias so that each output channel has mean 0 and a chosen deviation on this batch."""
        out = self._convolve(node, x)
        mean, std = out.mean((0, 2, 3)), out.std((0, 2, 3)).clamp_min(1e-3)
        target = self.output_scale if node.name in self._results else 1.0
        self.gains[self._key(node)].mul_(target / std)
        self.biases[self._key(node)].sub_(mean).mul_(target / std)
        return (out - mean[:, None, None]) * (target / std)[:, None, None]

    def _run(self, node: Node, xs: list[Tensor]) -> Tensor:
        if node.op in CONVOLUTIONS:
            fit = self._initialising and self.weight_norm
            out = self._fit_to_data(node, xs[0]) if fit else self._convolve(node, xs[0])
        else:
            out = evaluated(node, xs, self._planes)
            if node.op in PASS_THROUGH:  # values that are only moved are on their grid already
                return out
        out = activated(node, out)
        return fake_round(out, self.formats[node.name], self._limits[node.name]) if self.formats else out

    def forward(self, *inputs: Tensor) -> Tensor:
        """Args: one tensor (B, C, H, W), or (B, C, 1, 1) for a plane, for each input node, in order.

        Returns:
            the output node's value.
        """
        values: dict[str, Tensor] = {}
        for node, x in zip(self.graph.inputs, inputs, strict=True):
            if self.formats:
                x = fake_round(x, INPUT_FRACTION, self._limits[node.name])
            values[node.name] = x
        for node in self.graph.nodes:
            if node.name not in values:
                values[node.name] = self._run(node, [values[name] for name in node.inputs])
            if self._observing:
                found = seen(values[node.name].detach(), self._limits[node.name])
                self._observed[node.name] = self._observed.get(node.name, 0) + found
        return values[self.graph.output.name]

    def initialising(self, on: bool) -> None:
        """While on, forward passes set gains and biases from their batch (no effect without weight norm)."""
        self._initialising = on

    def observe(self, on: bool) -> None:
        """Starts (forgetting what was seen) or stops recording what clamping would do to every node's values."""
        self._observing = on
        if on:
            self._observed = {}

    def calibrate(self, clamp_weight: float = CLAMP_WEIGHT) -> None:
        """Chooses every node's fraction bits by what was observed, see `least_errors`; rounds from now on."""
        self.formats = least_errors(self.graph, self._observed, clamp_weight)
