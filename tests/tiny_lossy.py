"""A tiny model of lossy photographs: low frequencies of blocks as a linear codec, corrected by random networks.

It is a complete one of its kind: u is a prior's, y1 a reconstruction that can be sent, z1 comes by groups of channels,
x is a reconstruction that cannot, and networks see the quality. Untrained as it is, more quality gives better pictures
in larger files, and its z has numbers of every kind: certain ones, wide ones, and some far outside.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from skimage import data as photographs
from torch import Tensor
from torch.nn import functional

from selfcodec.arrays import UInt8
from selfcodec.models import transform_coding
from selfcodec.models.export import export_network
from selfcodec.models.layers import FloatGraph
from selfcodec.models.priors import MixturePrior
from selfcodec.modes import MAX_QUALITY
from selfcodec.networks.graph import Graph, Node
from selfcodec.networks.windows import levels
from selfcodec.schedule import Shape, Variable
from selfcodec.spec import PLANE_CENTRE, PLANE_UNIT, SPEC_VERSION, Spec
from selfcodec.zoo import Model, pack_model

NAME = "tiny-lossy"
GROUPS = (2, 3, 4)
CHANNELS = sum(GROUPS)
HALVINGS, CELL = 4, 16
U_CHANNELS = 2
TRADES = (0.0003, 0.25)
"""A squared error's price in bits at quality 1 and at quality 100."""
SCALES = (256.0, 64.0, 64.0, 48.0, 96.0, 48.0, 96.0, 48.0, 48.0)
"""Of each channel in grey levels, so that coefficients divided by them are within what networks read."""
DEVIATIONS = (1100.0, 300.0, 300.0, 150.0, 400.0, 150.0, 600.0, 150.0, 8.0)
"""Of the same, as their tables expect them; those of the last channel are larger in photographs."""
Y, U, Z = (
    Variable("y1", "pixels", 3, HALVINGS),
    Variable("u", "latent", U_CHANNELS, HALVINGS + 1),
    Variable("z1", "latent", CHANNELS, HALVINGS),
)
SHAPE = Shape(levels=1, factor=CELL, y_channels=3, u_channels=U_CHANNELS, u_down=1, z_channels=CHANNELS, z_down=4)
WIDTHS, BLOCKS = (4, 6, 8), (1, 1, 1)
NO_TILES = 2**24


def basis() -> Tensor:
    """The patterns of a block's lowest frequencies, orthonormal, folded as the networks fold them, (CHANNELS, 768)."""
    cosines = [np.cos(np.pi * k * (np.arange(CELL) + 0.5) / CELL) for k in range(3)]
    grey, red, blue = np.ones(3), np.array([1.0, -1.0, 0.0]), np.array([1.0, 1.0, -2.0])
    chosen = [(grey, 0, 0), (grey, 0, 1), (grey, 1, 0), (grey, 1, 1), (red, 0, 0), (grey, 0, 2), (blue, 0, 0)]
    chosen += [(grey, 2, 0), (grey, 2, 2)]
    patterns = np.stack([np.einsum("c,i,j->cij", colour, cosines[i], cosines[j]) for colour, i, j in chosen])
    folded = torch.from_numpy(patterns).float()
    for _ in range(HALVINGS):
        folded = functional.pixel_unshuffle(folded, 2)
    return functional.normalize(folded.flatten(1), dim=1)


def graphs() -> dict[str, Graph]:
    """All networks by name."""
    edges = np.cumsum([0, *GROUPS]).tolist()
    entropies = {
        f"p_z1_{i}": transform_coding.group_entropy(8, Y, U, before, own)
        for i, (before, own) in enumerate(zip(edges, GROUPS, strict=False))
    }
    return {
        "q_u": transform_coding.thumbnail_analysis(8, 1, Y, U_CHANNELS),
        "p_y1": transform_coding.thumbnail_synthesis(8, 1, U, 3),
        "q_z1": transform_coding.analysis(WIDTHS, BLOCKS, CHANNELS, HALVINGS),
        "p_x": transform_coding.synthesis(WIDTHS, BLOCKS, Y, Z),
        **entropies,
    }


def _inputs(graph: Graph) -> list[Tensor]:
    """Random ones, as large as a trained model's, (2, C, h, w)."""
    at = levels(graph)
    side = 8 << max(at.values())

    def of(node: Node) -> Tensor:
        if node.op == "plane":
            return 3.5 * torch.rand(2, node.channels, 1, 1) - 2
        shape = (2, node.channels, side >> at[node.name], side >> at[node.name])
        level = 4 * torch.rand(2, node.channels, 1, 1) - 2
        return (level + torch.randn(shape) / 4).clamp(-2, 2) if node.op == "pixels" else 4 * level + torch.randn(shape)

    return [of(node) for node in graph.inputs]


def _convolutions(graph: Graph, **attributes: int) -> list[Node]:
    return [n for n in graph.nodes if n.op == "conv" and all(getattr(n, k) == v for k, v in attributes.items())]


@torch.no_grad()
def _random(name: str, graph: Graph) -> FloatGraph:
    """A network of random weights around what is linear, with its formats."""
    net = FloatGraph(graph, output_scale={"q_u": 1.0}.get(name, 0.1))
    for bias in net.biases.values():
        bias.normal_(0, 0.05)
    scales = torch.tensor(SCALES)
    if name == "q_z1":
        linear, corrections = _convolutions(graph, channels=CHANNELS)
        net.set_weights(linear, (basis() * 64 / scales[:, None])[:, :, None, None], torch.zeros(CHANNELS))
        net.weight(corrections).mul_(0.02)
    if name == "p_x":
        (linear,) = _convolutions(graph, channels=3 * CELL**2)
        weight = (basis() * scales[:, None] / 32).T[:, :, None, None]
        net.set_weights(linear, weight, torch.zeros(3 * CELL**2))
        net.weight(_convolutions(graph, kernel=3, channels=48)[-1]).mul_(0.02)
    net.observe(True)
    for _ in range(2):
        net(*_inputs(graph))
    net.observe(False)
    net.calibrate()
    return net


def tables() -> tuple[tuple[int, ...], list[list[int]], list[list[int]]]:
    """The planes of all qualities, and z's widths and log-scales by quality and channel."""
    low, high = (math.log(trade) for trade in TRADES)
    trades = np.linspace(low, high, MAX_QUALITY)
    planes = tuple(int(p) for p in np.rint(64 * PLANE_UNIT * (trades + PLANE_CENTRE)))
    seen = np.array(planes)[:, None] / 64 / PLANE_UNIT - PLANE_CENTRE
    widths = np.rint(4096 * np.exp(math.log(5.0) - 0.5 * seen) / np.array(SCALES)).astype(int)
    deviations = np.array(DEVIATIONS) / np.array(SCALES)
    log_scales = np.rint(1024 * np.log(deviations * 4096 / widths)).astype(int)
    return planes, widths.tolist(), log_scales.tolist()


def variables() -> dict[str, dict[str, Any]]:
    """The settings of all families."""
    _, widths, log_scales = tables()
    parts = [(1024 * p.detach()).round().long().tolist() for p in MixturePrior(U_CHANNELS, 2).components()]
    density = dict(zip(("logits", "means", "log_scales"), parts, strict=True))
    return {
        "u": {"kind": "prior", "widths": [1500] * U_CHANNELS, "density": density, "couplings": 0},
        "y1": {"kind": "reconstruction", "log_scales": [1500, 1600, 1700]},
        "z1": {"kind": "groups", "groups": list(GROUPS), "widths": widths, "log_scales": log_scales},
        "x": {"kind": "reconstruction", "log_scales": []},
    }


@cache
def weights(tile: int = NO_TILES) -> bytes:
    """The weights file."""
    descriptions, tensors = {}, {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        for name, graph in graphs().items():
            descriptions[name], own = export_network(name, _random(name, graph))
            tensors.update(own)
    spec = Spec(SPEC_VERSION, NAME, "downscale16", SHAPE, tile, variables(), tables()[0])
    return pack_model(spec, descriptions, tensors)


@cache
def model(tile: int = NO_TILES) -> Model:
    """The model."""
    return Model(weights(tile))


def photo(height: int, width: int, top: int = 60, left: int = 150) -> UInt8:
    """A piece of a photograph, (height, width, 3)."""
    rows, columns = np.arange(top, top + height) % 300, np.arange(left, left + width) % 451
    piece: UInt8 = photographs.chelsea()[rows[:, None], columns]
    return piece
