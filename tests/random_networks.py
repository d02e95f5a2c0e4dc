"""Networks of every kind with random weights, their inputs, and integer networks' outputs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from selfcodec.arrays import Int64
from selfcodec.models.export import export_network
from selfcodec.models.layers import FloatGraph
from selfcodec.models.networks import Style, coupling, encoder, phase_head, trunk
from selfcodec.networks.graph import Graph
from selfcodec.networks.integer import IntegerGraph, Runtime
from selfcodec.schedule import Variable

RUNTIMES = [Runtime(channels_last=True), Runtime(channels_last=False)]
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
    out = []
    for node, n in zip(graph.inputs, sides, strict=True):
        limit = 128 if node.op == "pixels" else 400
        out.append(rng.integers(-limit, limit, (2, node.channels, n, n)))
    return out


def trained(graph: Graph, seed: int, side: int = 8) -> FloatGraph:
    """A network with random weights and biases, and formats from what it computes."""
    torch.manual_seed(seed)
    net = FloatGraph(graph, weight_norm=False, output_scale=1.0)
    with torch.no_grad():
        for bias in net.biases.values():
            bias.normal_(0, 0.3)
        net.observe(True)
        net(*(torch.from_numpy(x).float() / 64 for x in inputs_for(graph, seed + 1000, side)))
        net.observe(False)
    net.calibrate()
    return net


def exported(net: FloatGraph) -> tuple[dict[str, int], dict[str, Tensor]]:
    _, tensors = export_network("n", net)
    return net.formats, {key.removeprefix("n/"): tensor for key, tensor in tensors.items()}


def run(net: IntegerGraph, inputs: list[Int64], runtime: Runtime = RUNTIMES[0]) -> Int64:
    return net(*(torch.from_numpy(x).float() for x in inputs), runtime=runtime).numpy()
