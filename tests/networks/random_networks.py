"""Networks of every kind with random weights, their inputs, and integer networks' outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from selfcodec.arrays import Float32, Int64, Integers
from selfcodec.models.export import export_network
from selfcodec.models.layers import FloatGraph
from selfcodec.models.networks import Style, coupling, encoder, phase_head, trunk
from selfcodec.networks import products
from selfcodec.networks.graph import ACTIVATIONS, Graph, GraphBuilder
from selfcodec.networks.integer import IntegerGraph
from selfcodec.parallel import set_threads
from selfcodec.schedule import Variable

WAYS = [(1, products.POSITIONS_AT_ONCE), (3, 7), (2, 1)]
"""Networks run with so many threads, and so many positions in a block."""
RESIDUAL = Style("residual", width=6, blocks=1)
DENSENET = Style("densenet", width=8, blocks=1, growth=3, layers=2)

X, Y, U, Z = (
    Variable("x", "pixels", 3, 0),
    Variable("y1", "pixels", 3, 1),
    Variable("u", "latent", 2, 2),
    Variable("z1", "latent", 2, 1),
)


def graphs(style: Style) -> dict[str, Graph]:
    """One of every kind of network that models have."""
    return {
        "trunk": trunk(style, (Y, U), 1, 7),
        "upscaling trunk": trunk(style, (U,), 0, 5),
        "folding trunk": trunk(style, (X, Z), 1, 5),
        "encoder": encoder(style, X, 2, 4),
        "head": phase_head(style, 4, 0, 9),
        "head in context": phase_head(style, 4, 7, 9),
        "coupling": coupling(style, 3),
    }


GRAPHS = {f"{style.name} {name}": graph for style in (RESIDUAL, DENSENET) for name, graph in graphs(style).items()}


def inputs_for(graph: Graph, seed: int, side: int = 8) -> list[Int64]:
    """Random network inputs, (2, C, h, w): a pixel variable of `side`, latents to match its scale."""
    rng = np.random.default_rng(seed)
    names = {"trunk": (side, side // 2), "upscaling trunk": (side // 4,), "folding trunk": (side, side // 2)}
    kind = next((n for n, g in GRAPHS.items() if g is graph), "").split(" ", 1)[-1]
    sides = names.get(kind, (side,) * len(graph.inputs))
    return inputs_of(graph, [(n, n) for n in sides], rng)


def inputs_of(graph: Graph, sizes: Sequence[tuple[int, int]], rng: np.random.Generator, batch: int = 2) -> list[Int64]:
    """Random network inputs of given (h, w), (B, C, h, w); planes are (B, C, 1, 1) whatever their size."""
    out = []
    for node, size in zip(graph.inputs, sizes, strict=True):
        limit = 128 if node.op == "pixels" else 400
        h, w = (1, 1) if node.op == "plane" else size
        out.append(rng.integers(-limit, limit, (batch, node.channels, h, w)))
    return out


COARSEST = 3


@dataclass(frozen=True)
class Convolutional:
    """A random graph, and for each of its inputs by how many halvings it is smaller than resolution 0."""

    graph: Graph
    levels: tuple[int, ...]

    def sizes(self, h: int, w: int) -> list[tuple[int, int]]:
        """Of the inputs, where resolution 0 is (h, w): multiples of 2**COARSEST."""
        return [(h >> level, w >> level) for level in self.levels]


class _Writer:
    """Writes a random graph; knows every node's resolution, and which nodes nothing has read."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.builder = GraphBuilder()
        self.level: dict[str, int] = {}
        self.unread: list[str] = []
        self.plane = ""

    def written(self, name: str, level: int, *read: str) -> str:
        self.level[name] = level
        self.unread = [other for other in self.unread if other not in read] + [name]
        return name

    def some(self, *values: str) -> str:
        return self.draw(st.sampled_from(values))

    def conv(self, x: str, channels: int, stride: int = 1) -> str:
        kernel = self.draw(st.sampled_from((1, 3, 5, 7)))
        name = self.builder.conv(x, channels, kernel, stride, self.some(*ACTIVATIONS))
        return self.written(name, self.level[x] + stride - 1, x)

    def unfolded(self, x: str) -> str:
        return self.written(self.builder.unfold(x), self.level[x] - 1, x)

    def at(self, x: str, level: int) -> str:
        """x at another resolution, whichever operations lead there."""
        while self.level[x] != level:
            how, channels = self.draw(st.integers(0, 1)), self.builder.channels(x)
            if self.level[x] > level and how:
                x = self.written(self.builder.deconv(x, 2, self.some(*ACTIVATIONS)), self.level[x] - 1, x)
            elif self.level[x] > level:
                x = self.unfolded(self.conv(x, 8))
            elif how or channels > 4:
                x = self.conv(x, channels, stride=2)
            else:
                x = self.written(self.builder.fold(x), self.level[x] + 1, x)
        return x

    def step(self, *, tables: bool) -> None:
        """One more node, or two."""
        b, x = self.builder, self.draw(st.sampled_from(list(self.level)))
        level = self.level[x]
        op = self.some("conv", "resize", "two", "concat", *(("elu", "sigmoid") if tables else ()))
        if op == "conv":
            self.conv(x, self.draw(st.integers(1, 4)))
        elif op == "resize":
            self.at(x, self.draw(st.integers(max(0, level - 1), min(COARSEST, level + 1))))
        elif op in ("two", "concat"):
            other = self.at(self.draw(st.sampled_from(list(self.level))), level)
            if op == "two":
                other = self.conv(other, b.channels(x))
                pair = b.add(x, other, self.some(*ACTIVATIONS)) if self.draw(st.booleans()) else b.scale(x, other)
                self.written(pair, level, x, other)
            else:
                planes = [self.plane] if self.plane and self.draw(st.booleans()) else []
                self.written(b.concat(*planes, x, other), level, x, other)
        else:
            self.written(b.elu(x) if op == "elu" else b.sigmoid(x), level, x)


@st.composite
def convolutional(draw: st.DrawFn, tables: bool = True) -> Convolutional:
    """Graphs that look at neighbourhoods only; `tables`: with ELU and sigmoid too."""
    writer = _Writer(draw)
    b = writer.builder
    for _ in range(draw(st.integers(1, 3))):
        x = b.pixels(3) if draw(st.booleans()) else b.latent(draw(st.integers(1, 3)))
        writer.written(x, draw(st.integers(0, COARSEST)))
    if draw(st.booleans()):
        writer.plane = b.plane(draw(st.integers(1, 2)))
    for _ in range(draw(st.integers(0, 5))):
        writer.step(tables=tables)
    level = draw(st.integers(0, COARSEST))
    while len(writer.unread) > 1:
        a, c = (writer.conv(writer.at(x, level), 3) for x in writer.unread[:2])
        writer.written(b.add(a, c), level, a, c)
    out = writer.conv(writer.unread[0], 4)
    if writer.level[out] > 0 and draw(st.booleans()):
        writer.unfolded(out)
    graph = b.build()
    return Convolutional(graph, tuple(writer.level.get(node.name, 0) for node in graph.inputs))


def trained(graph: Graph, seed: int, side: int = 8, inputs: list[Int64] | None = None) -> FloatGraph:
    """A network with random weights and biases, and formats from what it computes on some inputs, or on these."""
    torch.manual_seed(seed)
    net = FloatGraph(graph, weight_norm=False, output_scale=1.0)
    with torch.no_grad():
        for bias in net.biases.values():
            bias.normal_(0, 0.3)
        net.observe(True)
        net(*(torch.from_numpy(x).float() / 64 for x in inputs or inputs_for(graph, seed + 1000, side)))
        net.observe(False)
    net.calibrate()
    return net


def exported(net: FloatGraph) -> tuple[dict[str, int], dict[str, Integers]]:
    _, tensors = export_network("n", net)
    return net.formats, {key.removeprefix("n/"): tensor for key, tensor in tensors.items()}


def floats(inputs: list[Int64]) -> list[Float32]:
    """Inputs as networks take them."""
    return [x.astype(np.float32) for x in inputs]


@contextmanager
def running(way: tuple[int, int]) -> Iterator[None]:
    """Has networks run in one of `WAYS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "POSITIONS_AT_ONCE", way[1])
        set_threads(way[0])
        try:
            yield
        finally:
            set_threads(None)


def run(net: IntegerGraph, inputs: list[Int64], way: tuple[int, int] = WAYS[0]) -> Int64:
    with running(way):
        return net(*floats(inputs))
