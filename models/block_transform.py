"""Networks of transform coding start as a block transform: the Karhunen-Loeve transform (KLT) of blocks of pixels.

Analysis and synthesis are sums of a linear transform and of a network that corrects it. At the start the linear ones
are the KLT of many blocks and its transpose, and the corrections are zero. Such a model codes like JPEG's cosine
transform with an entropy coder, before any training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from selfcodec.likelihoods.layout import MEAN_UNIT, NEUTRAL
from selfcodec.models.layers import FloatGraph
from selfcodec.models.likelihoods.likelihood import MOST_INPUT, pixel_input
from selfcodec.models.selfvae import SelfVAE
from selfcodec.networks.graph import PASS_THROUGH, Graph, Node

BLOCKS = 6000
"""The transform is computed of so many blocks."""
PER_IMAGE = 16
"""At most so many of them are of one image of a batch."""
HEADROOM = 1.15
"""The largest coefficient seen, times this, is the largest that networks can read."""
VALUES = 3
"""A pixel has so many values."""


@dataclass(frozen=True)
class Klt:
    """An orthonormal transform of blocks of pixels, each block's values in the order of repeated folds.

    Attributes:
        rows: (C, P), the coefficients' patterns, the strongest first.
        deviations: (C,), their standard deviations, in grey levels.
        scales: (C,): coefficients are divided by these, so that networks can read them.
    """

    rows: Tensor
    deviations: Tensor
    scales: Tensor


def blocks_of(x: Tensor, halvings: int) -> Tensor:
    """Blocks of 2**halvings x 2**halvings pixels of images (B, 3, H, W), (B, N, P), less mid-grey."""
    folded = x - NEUTRAL
    for _ in range(halvings):
        folded = F.pixel_unshuffle(folded, 2)
    return folded.flatten(2).transpose(1, 2)


def sampled_blocks(batches: Iterator[list[Tensor]], halvings: int) -> Tensor:
    """Some BLOCKS blocks of many images, (N, P)."""
    found: list[Tensor] = []
    while sum(map(len, found)) < BLOCKS:
        blocks = blocks_of(next(batches)[0], halvings)
        chosen = torch.randperm(blocks.shape[1])[:PER_IMAGE].to(blocks.device)
        found.append(blocks[:, chosen].flatten(0, 1))
    return torch.cat(found)


def klt_of(blocks: Tensor, channels: int) -> Klt:
    """The transform that decorrelates blocks (N, P), its `channels` strongest coefficients."""
    data = blocks.double()
    variances, vectors = torch.linalg.eigh(data.T @ data / len(data))
    rows, variances = vectors.flip(1)[:, :channels].T, variances.flip(0)[:channels].clamp_min(1e-6)
    largest = (data @ rows.T).abs().amax(0).clamp_min(1e-3)
    largest[0] = largest[0].clamp_min(NEUTRAL * math.sqrt(blocks.shape[1]))  # of a block that is black or white
    return Klt(rows.float(), variances.float().sqrt(), (largest * HEADROOM / MOST_INPUT).float())


def terms_of(graph: Graph) -> list[Node]:
    """The two convolutions whose values, perhaps rearranged, add up to a graph's output: linear one and correction."""
    nodes = {node.name: node for node in graph.nodes}

    def source(name: str) -> Node:
        node = nodes[name]
        while node.op in PASS_THROUGH:
            node = nodes[node.inputs[0]]
        return node

    return [source(name) for name in source(graph.output.name).inputs]


@torch.no_grad()
def _start(net: FloatGraph, linear: Tensor) -> None:
    """Makes a network the linear transform (O, I) alone, and each of its blocks the identity."""
    nodes = {node.name: node for node in net.graph.nodes}
    net.weight(terms_of(net.graph)[0]).copy_(linear[:, :, None, None])
    for node in net.graph.nodes:
        if node.op == "add" and nodes[node.inputs[1]].op == "conv":
            net.weight(nodes[node.inputs[1]]).zero_()


@torch.no_grad()
def start_as_block_transform(model: SelfVAE, batches: Iterator[list[Tensor]]) -> None:
    """Initialises a model whose networks are transforms, from batches of images [x, y_1].

    Grids have the widths D that are best at high rates. There a coefficient costs -log2 D bits and a constant, and its
    squared error is D**2 / 12 (Gish & Pierce 1968, https://doi.org/10.1109/TIT.1968.1054193). Rates are counted for
    each pixel and errors for each of its VALUES values, hence D**2 = 6 VALUES / (lambda ln 2).
    """
    nets = dict(model.graphs())
    for step in model.steps:
        family = model.latents.get(step.name)
        if not step.parents or family is None:
            continue
        halvings, channels = step.target.halvings, step.target.channels
        blocks = sampled_blocks(batches, halvings)
        klt = klt_of(blocks, channels)
        unit = float(pixel_input(torch.tensor(NEUTRAL + 1.0)))
        _start(nets[f"q_{step.name}"], klt.rows / klt.scales[:, None] / unit)
        _start(nets["p_x"], (klt.rows * klt.scales[:, None] / MEAN_UNIT).T)
        for name, net in nets.items():
            if name.startswith(f"p_{step.name}_"):
                net.weight(net.graph.output).zero_()
        family.start(0.5 * math.log(6 * VALUES / math.log(2)) - klt.scales.log(), (klt.deviations / klt.scales).log())
