"""Runs a `Graph` on integers carried in float32: the same bits on every machine (see `selfcodec.fixed_point`)."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from selfcodec import fixed_point as exact
from selfcodec.arrays import Float32, Int64, Integers
from selfcodec.errors import InputError, ModelError
from selfcodec.networks.graph import CONVOLUTIONS, PASS_THROUGH, TABLED, Graph, Node
from selfcodec.networks.products import combination, convolution, deconvolution
from selfcodec.parallel import check_wanted

WEIGHT_TYPES = (np.int8, np.int16)
Crops = Mapping[tuple[str, str], tuple[slice, slice]]


@dataclass(frozen=True)
class Runtime:
    """How networks are run; none of it may change a bit of any file or image.

    Attributes:
        batch: tiles of equal size that go through the networks together.
        window: side of the windows that networks run in on larger images, in pixels of a network's finest resolution.
    """

    batch: int = 16
    window: int = 1024

    def __post_init__(self) -> None:
        if self.batch < 1 or self.window < 1:
            raise InputError(f"batch and window are at least 1, not {self.batch} and {self.window}")


DEFAULT_RUNTIME = Runtime()


@cache
def prove_exact() -> None:
    """ModelError unless products of large integers are exact as this process computes them (a known answer, once)."""
    random = np.random.default_rng(0)
    x = random.integers(-exact.ACTIVATION_MAX, exact.ACTIVATION_MAX + 1, (1, 9, 70, 64))
    weight = random.integers(-25, 26, (3, 3, 64, 24))  # sums stay below 2**24
    around = np.lib.stride_tricks.sliding_window_view(x[0], (3, 3), axis=(0, 1))  # (7, 68, 64, 3, 3)
    expected = np.tensordot(around.astype(np.float64), weight.astype(np.float64), ((3, 4, 2), (0, 1, 2)))
    found = convolution(x.astype(np.float32), weight.astype(np.float32), 1, lambda sums: None)
    if not np.array_equal(found[0, 1:-1, 1:-1], expected):
        raise ModelError("matrix products are not exact with this process's precision settings")


class IntegerGraph:
    """A network with its integers.

    Args:
        graph: the nodes.
        formats: fraction bits of every node's values.
        tensors: for a convolution `NODE.weight` int8 or int16, `NODE.bias` int32, `NODE.exponent` int8 (weight =
            integer / 2**exponent, by output channel); for `elu` and `sigmoid` nodes `NODE.table` int16, the result
            for every input integer from -limit to limit.

    Raises:
        ModelError: a tensor is missing or misshapen, or sums could reach 2**24.
    """

    def __init__(self, graph: Graph, formats: Mapping[str, int], tensors: Mapping[str, Integers]) -> None:
        self.graph = graph
        self._formats = dict(formats)
        self._limits = graph.limits()
        self._constants: dict[str, tuple[Float32, ...]] = {}
        self._placed: dict[str, tuple[Float32, Float32]] = {}
        self._channels = {node.name: node.channels for node in graph.nodes}
        self._planes = {node.name for node in graph.inputs if node.op == "plane"}
        last = {name: node.name for node in graph.nodes for name in node.inputs}
        self._spent = {node.name: [n for n, at in last.items() if at == node.name] for node in graph.nodes}
        if set(self._formats) != set(self._limits):
            raise ModelError("a network's formats do not match its nodes")
        if any(type(bits) is not int or abs(bits) > exact.FRACTION_MAX for bits in self._formats.values()):
            raise ModelError(f"a network's formats are not whole numbers of at most {exact.FRACTION_MAX} bits")
        for node in graph.nodes:
            try:
                self._prepare(node, tensors)
            except KeyError as error:
                raise ModelError(f"a network lacks tensor {error.args[0]!r}") from error
        self.bounds = self._prove()

    def _prepare(self, node: Node, tensors: Mapping[str, Integers]) -> None:
        if node.op in CONVOLUTIONS:
            weight = tensors[f"{node.name}.weight"]
            bias, exponent = tensors[f"{node.name}.bias"], tensors[f"{node.name}.exponent"]
            source = self._channels[node.inputs[0]]
            sides = (source, node.channels) if node.op == "deconv" else (node.channels, source)
            if weight.shape != (*sides, node.kernel, node.kernel) or weight.dtype not in WEIGHT_TYPES:
                raise ModelError(f"network node {node.name!r}: weight of the wrong shape or type")
            if bias.shape != (node.channels,) or bias.dtype != np.int32:
                raise ModelError(f"network node {node.name!r}: bias of the wrong shape or type")
            if exponent.shape != (node.channels,) or exponent.dtype != np.int8:
                raise ModelError(f"network node {node.name!r}: exponent of the wrong shape or type")
            shift = exponent.astype(np.int64) + (self._formats[node.inputs[0]] - self._formats[node.name])
            if int(np.abs(shift).max()) > exact.SHIFT_MAX:
                raise ModelError(f"network node {node.name!r}: exponent out of range")
            scale = np.ldexp(np.float32(1), -shift)
            self._constants[node.name] = (weight.astype(np.float32), bias.astype(np.float32), scale)
        elif node.op in TABLED:
            table = tensors[f"{node.name}.table"]
            if table.shape != (2 * self._limits[node.inputs[0]] + 1,) or table.dtype != np.int16:
                raise ModelError(f"network node {node.name!r}: table of the wrong size or type")
            if int(np.abs(table.astype(np.int64)).max()) > self._limits[node.name]:
                raise ModelError(f"network node {node.name!r}: table with values beyond {self._limits[node.name]}")
            self._constants[node.name] = (table.astype(np.float32),)
        elif node.op in PASS_THROUGH and any(self._formats[n] != self._formats[node.name] for n in node.inputs):
            raise ModelError(f"network node {node.name!r}: inputs of different formats")

    def _prove(self) -> dict[str, int]:
        """For every convolution the largest possible |sum|; ModelError where one could reach 2**24."""
        bounds = {}
        for node in self.graph.nodes:
            if node.op not in CONVOLUTIONS:
                continue
            weight, bias, _ = self._constants[node.name]
            others = (0, 2, 3) if node.op == "deconv" else (1, 2, 3)
            sums = np.abs(weight).sum(others, dtype=np.float64)
            bound = sums * self._limits[node.inputs[0]] + np.abs(bias.astype(np.float64))
            bounds[node.name] = int(bound.max())
            if bounds[node.name] >= exact.EXACT_LIMIT:
                raise ModelError(f"network node {node.name!r}: sums can reach {bounds[node.name]}, 2**24 is too much")
        return bounds

    def check_inputs(self, channels: list[int]) -> None:
        """ModelError where arrays of so many channels each are not what the input nodes take."""
        if channels != (wanted := [node.channels for node in self.graph.inputs]):
            raise ModelError(f"a network takes inputs of {wanted} channels, not of {channels}")

    @property
    def formats(self) -> dict[str, int]:
        """Fraction bits of every node's values."""
        return self._formats

    @property
    def limits(self) -> dict[str, int]:
        """Largest magnitude of every node's values, inclusive."""
        return self._limits

    def constants(self, name: str) -> tuple[Float32, Float32, Float32]:
        """A convolution's integer weight and bias, and the powers of two (C',) that its sums are multiplied by."""
        weight, bias, scale = self._constants[name]
        return weight, bias, scale

    def real(self, name: str) -> tuple[Float32, Float32]:
        """The real weight and bias that a convolution's integers stand for, exactly."""
        weight, bias, scale = self._constants[name]
        node = next(node for node in self.graph.nodes if node.name == name)
        unit = scale * np.float32(2.0 ** (self._formats[node.inputs[0]] - self._formats[name]))  # of the weights
        shape = (1, -1, 1, 1) if node.op == "deconv" else (-1, 1, 1, 1)
        return weight * unit.reshape(shape), bias * unit * np.float32(2.0 ** -self._formats[node.inputs[0]])

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        convolutions = (c for c in self._constants.values() if len(c) == 3)
        return sum(weight.size + bias.size for weight, bias, _ in convolutions)

    @cached_property
    def constant(self) -> Float32 | None:
        """Its output (C',) at every position where it is that of a convolution of nothing but zeros; otherwise None."""
        node = self.graph.output
        if node.op != "conv" or self.constants(node.name)[0].any():
            return None
        nothing = np.zeros((1, 1, 1, self._channels[node.inputs[0]]), dtype=np.float32)
        return self._run(node, [nothing])[0, 0, 0]

    def __call__(self, *inputs: Float32) -> Int64:
        """Runs the network.

        Args:
            inputs: one float32 array of integers for each input node, in units of 2**-6: (B, C, H, W), or (B, C, 1, 1)
                for a plane.

        Returns:
            int64 (B, C, H', W'), in units of 2**-10.
        """
        return self.floats(*inputs).astype(np.int64)

    def floats(self, *inputs: Float32, crops: Crops | None = None) -> Float32:
        """The same as float32, which takes half the memory.

        Args:
            inputs: of `__call__`.
            crops: by node and by its input, which rows and columns of the input's values the node is computed from;
                all where they are not named.
        """
        check_wanted()
        prove_exact()
        self.check_inputs([x.shape[1] for x in inputs])
        values: dict[str, Float32] = {}
        for node, x in zip(self.graph.inputs, inputs, strict=True):
            limit, channels_last = self._limits[node.name], x.transpose(0, 2, 3, 1)
            out = np.empty(channels_last.shape, dtype=np.float32)
            values[node.name] = np.clip(channels_last, -limit, limit, out=out)
        for node in self.graph.nodes:
            if node.name not in values:
                xs = [_cropped(values[name], crops, (node.name, name)) for name in node.inputs]
                values[node.name] = self._run(node, xs)
                for name in self._spent[node.name]:
                    del values[name]
        return values[self.graph.output.name].transpose(0, 3, 1, 2)

    def _place(self, node: Node) -> tuple[Float32, Float32]:
        """A convolution's weight (k, k, C, C') and bias (C',), in units of the output.

        Products with powers of two are exact, so that sums are as they would be of the integers.
        """
        if node.name not in self._placed:
            weight, bias, scale = self._constants[node.name]
            ordered = weight.transpose(2, 3, 0, 1) if node.op == "deconv" else weight.transpose(2, 3, 1, 0)
            self._placed[node.name] = np.ascontiguousarray(ordered * scale), bias * scale
        return self._placed[node.name]

    def _run(self, node: Node, xs: list[Float32]) -> Float32:
        """A node's values (B, H, W, C), given those of its inputs."""
        limit, fraction = self._limits[node.name], self._formats[node.name]
        shifts = [self._formats[name] - fraction for name in node.inputs]

        def finish(sums: Float32) -> None:
            exact.requantise_(_activate_(sums, node), 0, limit)

        if node.op in CONVOLUTIONS:
            weight, bias = self._place(node)

            def finish_with_bias(sums: Float32) -> None:
                sums += bias
                finish(sums)

            if node.op == "deconv":
                return deconvolution(xs[0], weight, finish_with_bias)
            return convolution(xs[0], weight, node.stride, finish_with_bias)
        if node.op == "add":
            return combination(xs[0], xs[1], (2.0 ** -shifts[0], 2.0 ** -shifts[1]), finish)
        if node.op in TABLED:
            (table,) = self._constants[node.name]
            return table[(xs[0] + self._limits[node.inputs[0]]).astype(np.int64)]
        if node.op == "mean":
            return self._mean(xs[0], shifts[0], limit)
        if node.op == "scale":
            return exact.requantise_(xs[0] * xs[1], shifts[0] + self._formats[node.inputs[1]], limit)
        if node.op == "concat":
            return _joined(node, xs, self._planes)
        b, h, w, c = xs[0].shape
        if node.op == "fold":
            return xs[0].reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(b, h // 2, w // 2, -1)
        return xs[0].reshape(b, h, w, -1, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(b, 2 * h, 2 * w, -1)

    @staticmethod
    def _mean(x: Float32, shift: int, limit: int) -> Float32:
        """Round half up of sum / (positions * 2**shift), in int64."""
        total = x.astype(np.int64).sum((1, 2), keepdims=True)
        up, down = 2 ** max(0, -shift), 2 ** max(0, shift)
        divisor = x.shape[1] * x.shape[2] * down
        return np.clip((2 * total * up + divisor) // (2 * divisor), -limit, limit).astype(np.float32)


def _cropped(x: Float32, crops: Crops | None, edge: tuple[str, str]) -> Float32:
    return x[:, *crops[edge]] if crops and edge in crops else x


def _joined(node: Node, xs: Sequence[Float32], planes: Container[str]) -> Float32:
    """The result of a `concat` node: channels one after another, those of planes the same at all positions."""
    shape = next(x.shape[:3] for name, x in zip(node.inputs, xs, strict=True) if name not in planes)
    return np.concatenate([np.broadcast_to(x, (*shape, x.shape[3])) for x in xs], 3)


def _activate_(x: Float32, node: Node) -> Float32:
    """The activation in front of rounding, in place; products with a power of two are exact."""
    if node.activation == "leaky":
        return np.maximum(x, x * np.float32(exact.LEAKY_SLOPE), out=x)
    return np.maximum(x, np.float32(0), out=x) if node.activation == "relu" else x
