"""Runs a `Graph` on integers carried in float32: the same bits on every machine (see `selfcodec.fixed_point`)."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from selfcodec import fixed_point as exact
from selfcodec.errors import InputError, ModelError
from selfcodec.networks.graph import PASS_THROUGH, Graph, Node
from selfcodec.parallel import check_wanted

WEIGHT_TYPES = (torch.int8, torch.int16)


@dataclass(frozen=True)
class Runtime:
    """How networks are run; none of it may change a bit of any file or image.

    Attributes:
        batch: tiles of equal size that go through the networks together.
        channels_last: memory format of activations.
        device: where the networks run.
        window: side of the windows that networks run in on larger images, in pixels of a network's finest resolution.
    """

    batch: int = 16
    channels_last: bool = True
    device: str = "cpu"
    window: int = 512

    def __post_init__(self) -> None:
        if self.batch < 1 or self.window < 1:
            raise InputError(f"batch and window are at least 1, not {self.batch} and {self.window}")

    def place(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) on the device, in the memory format."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return x.to(self.device).contiguous(memory_format=layout)


DEFAULT_RUNTIME = Runtime()


@cache
def prove_exact(runtime: Runtime) -> None:
    """ModelError unless a convolution of large integers is exact as this process runs it (a known answer, once)."""
    random = torch.Generator().manual_seed(0)
    x = torch.randint(-exact.ACTIVATION_MAX, exact.ACTIVATION_MAX + 1, (17, 64, 12, 12), generator=random)
    weight = torch.randint(-25, 26, (64, 64, 3, 3), generator=random)  # sums stay below 2**24
    expected = F.conv2d(x.double(), weight.double(), padding=1)
    found = F.conv2d(runtime.place(x.float()), runtime.place(weight.float()), padding=1)
    if not torch.equal(found.cpu().double(), expected):
        raise ModelError(f"convolutions are not exact on {runtime.device} with this process's precision settings")


def joined(node: Node, xs: Sequence[Tensor], planes: Container[str]) -> Tensor:
    """The result of a `concat` node: channels one after another, those of planes the same at all positions."""
    h, w = next(x.shape[2:] for name, x in zip(node.inputs, xs, strict=True) if name not in planes)
    whole = [x.expand(-1, -1, h, w) if name in planes else x for name, x in zip(node.inputs, xs, strict=True)]
    return torch.cat(whole, 1)  # (B, C, H, W)


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

    def __init__(self, graph: Graph, formats: Mapping[str, int], tensors: Mapping[str, Tensor]) -> None:
        self.graph = graph
        self._formats = dict(formats)
        self._limits = graph.limits()
        self._constants: dict[str, tuple[Tensor, ...]] = {}
        self._placed: dict[tuple[Runtime, str], tuple[Tensor, ...]] = {}
        self._channels = {node.name: node.channels for node in graph.nodes}
        self._planes = {node.name for node in graph.inputs if node.op == "plane"}
        last = {name: node.name for node in graph.nodes for name in node.inputs}
        self._spent = {node.name: [n for n, at in last.items() if at == node.name] for node in graph.nodes}
        if set(self._formats) != set(self._limits):
            raise ModelError("a network's formats do not match its nodes")
        for node in graph.nodes:
            try:
                self._prepare(node, tensors)
            except KeyError as error:
                raise ModelError(f"a network lacks tensor {error.args[0]!r}") from error
        self.bounds = self._prove()

    def _prepare(self, node: Node, tensors: Mapping[str, Tensor]) -> None:
        if node.op in ("conv", "deconv"):
            weight = tensors[f"{node.name}.weight"]
            bias, exponent = tensors[f"{node.name}.bias"], tensors[f"{node.name}.exponent"]
            source = self._channels[node.inputs[0]]
            sides = (source, node.channels) if node.op == "deconv" else (node.channels, source)
            if weight.shape != (*sides, node.kernel, node.kernel) or weight.dtype not in WEIGHT_TYPES:
                raise ModelError(f"network node {node.name!r}: weight of the wrong shape or type")
            if bias.shape != (node.channels,) or bias.dtype != torch.int32:
                raise ModelError(f"network node {node.name!r}: bias of the wrong shape or type")
            if exponent.shape != (node.channels,) or exponent.dtype != torch.int8:
                raise ModelError(f"network node {node.name!r}: exponent of the wrong shape or type")
            shift = exponent.int() + (self._formats[node.inputs[0]] - self._formats[node.name])
            if int(shift.abs().max()) > exact.SHIFT_MAX:
                raise ModelError(f"network node {node.name!r}: exponent out of range")
            self._constants[node.name] = (weight.float(), bias.float(), exact.power_of_two(-shift)[:, None, None])
        elif node.op in ("elu", "sigmoid"):
            table = tensors[f"{node.name}.table"]
            if table.shape != (2 * self._limits[node.inputs[0]] + 1,) or table.dtype != torch.int16:
                raise ModelError(f"network node {node.name!r}: table of the wrong size or type")
            if int(table.int().abs().max()) > self._limits[node.name]:
                raise ModelError(f"network node {node.name!r}: table with values beyond {self._limits[node.name]}")
            self._constants[node.name] = (table.float(),)
        elif node.op in PASS_THROUGH and any(self._formats[n] != self._formats[node.name] for n in node.inputs):
            raise ModelError(f"network node {node.name!r}: inputs of different formats")

    def _prove(self) -> dict[str, int]:
        """For every convolution the largest possible |sum|; ModelError where one could reach 2**24."""
        bounds = {}
        for node in self.graph.nodes:
            if node.op not in ("conv", "deconv"):
                continue
            weight, bias, _ = self._constants[node.name]
            rows = (weight.transpose(0, 1) if node.op == "deconv" else weight).flatten(1).double()
            bound = rows.abs().sum(1) * self._limits[node.inputs[0]] + bias.double().abs()
            bounds[node.name] = int(bound.max())
            if bounds[node.name] >= exact.EXACT_LIMIT:
                raise ModelError(f"network node {node.name!r}: sums can reach {bounds[node.name]}, 2**24 is too much")
        return bounds

    @property
    def formats(self) -> dict[str, int]:
        """Fraction bits of every node's values."""
        return self._formats

    @property
    def limits(self) -> dict[str, int]:
        """Largest magnitude of every node's values, inclusive."""
        return self._limits

    def constants(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """A convolution's integer weight and bias, and the power of two (C', 1, 1) that its sums are multiplied by."""
        weight, bias, scale = self._constants[name]
        return weight, bias, scale

    def real(self, name: str) -> tuple[Tensor, Tensor]:
        """The real weight and bias that a convolution's integers stand for, exactly."""
        weight, bias, scale = self._constants[name]
        node = next(node for node in self.graph.nodes if node.name == name)
        unit = scale.flatten() * 2.0 ** (self._formats[node.inputs[0]] - self._formats[name])  # of the weights
        shape = (1, -1, 1, 1) if node.op == "deconv" else (-1, 1, 1, 1)
        return weight * unit.view(shape), bias * unit * 2.0 ** -self._formats[node.inputs[0]]

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        convolutions = (c for c in self._constants.values() if len(c) == 3)
        return sum(weight.numel() + bias.numel() for weight, bias, _ in convolutions)

    @torch.no_grad()
    def __call__(self, *inputs: Tensor, runtime: Runtime) -> Tensor:
        """Runs the network, in float32 even where the caller is under autocast.

        Args:
            inputs: one float32 tensor of integers for each input node, in units of 2**-6: (B, C, H, W), or (B, C, 1, 1)
                for a plane.

        Returns:
            int64 (B, C, H', W'), in units of 2**-10.
        """
        return self.floats(*inputs, runtime=runtime).to(torch.int64)

    @torch.no_grad()
    def floats(self, *inputs: Tensor, runtime: Runtime) -> Tensor:
        """The same as float32, which takes half the memory."""
        check_wanted()
        # Where oneDNN is off, PyTorch hands 16 images and more to NNPACK, which convolves by Winograd and FFT: inexact.
        # Switched off for good, since restoring it would race with other threads.
        torch.backends.nnpack.set_flags(False)
        values: dict[str, Tensor] = {}
        for node, x in zip(self.graph.inputs, inputs, strict=True):
            limit = self._limits[node.name]
            values[node.name] = runtime.place(x.clamp(-limit, limit))
        with torch.autocast(torch.device(runtime.device).type, enabled=False):
            prove_exact(runtime)
            for node in self.graph.nodes:
                if node.name not in values:
                    values[node.name] = self._run(node, [values[name] for name in node.inputs], runtime)
                    for name in self._spent[node.name]:
                        del values[name]
        return values[self.graph.output.name]

    def _place(self, node: Node, runtime: Runtime) -> tuple[Tensor, ...]:
        key = (runtime, node.name)
        if key not in self._placed:
            self._placed[key] = tuple(
                runtime.place(c) if c.dim() == 4 else c.to(runtime.device) for c in self._constants[node.name]
            )
        return self._placed[key]

    def _run(self, node: Node, xs: list[Tensor], runtime: Runtime) -> Tensor:
        limit, fraction = self._limits[node.name], self._formats[node.name]
        shifts = [self._formats[name] - fraction for name in node.inputs]
        if node.op in ("conv", "deconv"):
            weight, bias, scale = self._place(node, runtime)
            if node.op == "deconv":
                out = F.conv_transpose2d(xs[0], weight, bias, stride=2, padding=1)
            elif node.kernel == 1 and node.stride == 1:  # a matrix product, without a convolution's preparations
                out = F.linear(xs[0].permute(0, 2, 3, 1), weight[:, :, 0, 0], bias).permute(0, 3, 1, 2)
            else:
                out = F.conv2d(xs[0], weight, bias, stride=node.stride, padding=node.kernel // 2)
            return exact.requantise_(_activate_(out.mul_(scale), node), 0, limit)
        if node.op == "add":
            out = (xs[0] * 2.0 ** -shifts[0]).add_(xs[1], alpha=2.0 ** -shifts[1])
            return exact.requantise_(_activate_(out, node), 0, limit)
        if node.op in ("elu", "sigmoid"):
            (table,) = self._place(node, runtime)
            return table[(xs[0] + self._limits[node.inputs[0]]).long()]
        if node.op == "mean":
            return self._mean(xs[0], shifts[0], limit)
        if node.op == "scale":
            return exact.requantise_(xs[0] * xs[1], shifts[0] + self._formats[node.inputs[1]], limit)
        if node.op == "concat":
            return joined(node, xs, self._planes)
        return F.pixel_unshuffle(xs[0], 2) if node.op == "fold" else F.pixel_shuffle(xs[0], 2)

    @staticmethod
    def _mean(x: Tensor, shift: int, limit: int) -> Tensor:
        """Round half up of sum / (positions * 2**shift), in int64."""
        total = x.to(torch.int64).sum((2, 3), keepdim=True)
        up, down = 2 ** max(0, -shift), 2 ** max(0, shift)
        divisor = x.shape[2] * x.shape[3] * down
        mean = torch.div(2 * total * up + divisor, 2 * divisor, rounding_mode="floor")
        return mean.clamp(-limit, limit).float()


def _activate_(x: Tensor, node: Node) -> Tensor:
    """The activation in front of rounding, in place; products with a power of two are exact."""
    if node.activation == "leaky":
        return F.leaky_relu_(x, exact.LEAKY_SLOPE)
    return x.clamp_min_(0) if node.activation == "relu" else x
