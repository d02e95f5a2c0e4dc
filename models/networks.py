"""The architectures: functions that write a `Graph`.

Two styles share one skeleton. `residual` is cheap and made for integers: 3x3 convolutions, leaky ReLU, identity
shortcuts. `densenet` follows appendix A.1 of the paper: DenseNet blocks with 1x1 bottlenecks of 4 x growth, ELU,
channel attention at the end of every block (reduction 8), transposed convolutions for upscaling; trained with weight
normalisation and data-dependent initialisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfcodec.models.config import BlocksConfig, DenseNetConfig
from selfcodec.networks.graph import Graph, GraphBuilder
from selfcodec.schedule import Variable

ATTENTION_REDUCTION = 8
BOTTLENECK = 4
STYLES = ("residual", "densenet")


@dataclass(frozen=True)
class Style:
    """Which blocks a network is made of.

    Attributes:
        name: one of STYLES.
        width: feature channels.
        blocks: blocks at the network's main resolution.
        finest: feature channels at the finest resolution of a trunk; each coarser one has twice as many, at most
            `width`. 0: `width` everywhere.
        growth, layers: growth rate of a DenseNet block and its number of dense layers; unused by `residual`.
    """

    name: str
    width: int
    blocks: int
    growth: int = 32
    layers: int = 3
    finest: int = 0

    def __post_init__(self) -> None:
        if self.name not in STYLES or min(self.width, self.growth, self.layers) < 1 or self.blocks < 0:
            raise ValueError(f"unknown network style or a size out of range: {self}")

    def above(self, steps: int) -> Style:
        """The style `steps` resolutions above the finest one."""
        return replace(self, width=min(self.width, self.finest << steps)) if self.finest else self

    @staticmethod
    def of(network: BlocksConfig, width: int, blocks: int, finest: int = 0) -> Style:
        """The blocks that a recipe names, in the sizes of one network."""
        if isinstance(network, DenseNetConfig):
            return Style(network.kind, width, blocks, network.growth, network.layers, finest)
        return Style(network.kind, width, blocks, finest=finest)


def _activated(b: GraphBuilder, style: Style, x: str, channels: int, kernel: int, stride: int = 1) -> str:
    if style.name == "densenet":
        return b.elu(b.conv(x, channels, kernel, stride))
    return b.conv(x, channels, kernel, stride, activation="leaky")


def _block(b: GraphBuilder, style: Style, x: str) -> str:
    if style.name == "residual":
        return b.add(x, b.conv(b.conv(x, style.width, activation="leaky"), style.width))
    features = x
    for _ in range(style.layers):
        new = b.elu(b.conv(features, BOTTLENECK * style.growth, 1))
        features = b.concat(features, b.elu(b.conv(new, style.growth)))
    out = b.conv(features, style.width, 1)
    squeezed = b.conv(b.mean(out), max(1, style.width // ATTENTION_REDUCTION), 1, activation="relu")
    gate = b.sigmoid(b.conv(squeezed, style.width, 1))
    return b.add(x, b.scale(out, gate))


def _upscale(b: GraphBuilder, style: Style, x: str, start: int, stop: int, scale: int) -> str:
    """Features from resolution 2**start to 2**stop, of a network whose finest resolution is 2**scale."""
    for at in range(start, stop, -1):
        x, width = _block(b, style.above(at - scale), x), style.above(at - 1 - scale).width
        dense = style.name == "densenet"
        x = b.elu(b.deconv(x, width)) if dense else b.deconv(x, width, activation="leaky")
    return x


def _at_scale(b: GraphBuilder, style: Style, parent: Variable, joined: int, scale: int) -> str:
    """Features of one parent at the scale where all are joined."""
    x = b.pixels(parent.channels) if parent.kind == "pixels" else b.latent(parent.channels)
    for _ in range(parent.halvings, joined):
        x = b.fold(x)
    start = max(parent.halvings, joined)
    x = _activated(b, style, x, style.above(start - scale).width, 3)
    return _upscale(b, style, x, start, joined, scale)


def trunk(style: Style, parents: Sequence[Variable], scale: int, out_channels: int) -> Graph:
    """Parents of any resolution to (B, out_channels, H / 2**scale, W / 2**scale).

    They are joined at the finest parent's resolution, or at the output's where that is coarser.
    """
    b = GraphBuilder()
    joined = max(scale, min(parent.halvings for parent in parents))
    x = _at_scale(b, style, parents[0], joined, scale)
    for parent in parents[1:]:
        x = b.add(x, _at_scale(b, style, parent, joined, scale))
    x = _upscale(b, style, x, joined, scale, scale)
    for _ in range(style.blocks):
        x = _block(b, style.above(0), x)
    x = _activated(b, style, x, style.above(0).width, 1)
    b.conv(x, out_channels, 1)
    return b.build()


def encoder(style: Style, source: Variable, scale: int, out_channels: int, folds: int = 1) -> Graph:
    """q's network: a variable to (B, out_channels, H / 2**scale, W / 2**scale), folded, then strided convolutions."""
    b = GraphBuilder()
    x = b.pixels(source.channels)
    position = source.halvings
    for _ in range(min(folds, scale - source.halvings)):
        x, position = b.fold(x), position + 1
    x = _block(b, style, _activated(b, style, x, style.width, 3))
    while position < scale:
        x = _block(b, style, _activated(b, style, x, style.width, 3, stride=2))
        position += 1
    for _ in range(style.blocks - 1):
        x = _block(b, style, x)
    x = _activated(b, style, x, style.width, 1)
    b.conv(x, out_channels, 1)
    return b.build()


def phase_head(style: Style, features: int, context: int, out_channels: int) -> Graph:
    """Features, and where `context` > 0 the decoded phases with a flag, to mixture parameters; no resizing.

    Inputs: features (B, features, h, w); context (B, context, h, w), all zero where it is withheld.
    """
    b = GraphBuilder()
    x = b.conv(b.latent(features), style.width, 1)
    if context:
        x = b.add(x, b.conv(b.pixels(context), style.width, 3), activation="leaky")
    for _ in range(style.blocks):
        x = b.add(x, b.conv(_activated(b, style, x, style.width, 1), style.width, 1), activation="leaky")
    b.conv(x, out_channels, 1)
    return b.build()


def context_head(style: Style, features: int, inputs: int, out_channels: int) -> Graph:
    """Features of (y, z) and a causal context to mixture parameters, pixel by pixel.

    Inputs: features (B, features, h, w); context (B, inputs, h, w), see `selfcodec.likelihoods.context.neighbours`.
    """
    b = GraphBuilder()
    x = b.conv(b.latent(features), style.width, 1)
    x = b.add(x, b.conv(b.latent(inputs), style.width, 1), activation="leaky")
    for _ in range(style.blocks):
        x = b.add(x, b.conv(_activated(b, style, x, style.width, 1), style.width, 1), activation="leaky")
    b.conv(x, out_channels, 1)
    return b.build()


def coupling(style: Style, channels: int) -> Graph:
    """Half of a latent's channels to log-scale and translation of the other half: (B, 2 channels, h, w)."""
    b = GraphBuilder()
    x = _activated(b, style, b.latent(channels), style.width, 3)
    x = _activated(b, style, x, style.width, 1)
    b.conv(x, 2 * channels, 3)
    return b.build()
