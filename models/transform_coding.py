"""The networks of lossy photographs: an analysis, a synthesis, and the entropies of groups of a latent's channels.

Transform coding (Goyal 2001, https://doi.org/10.1109/79.952802) with transforms that are learned (Ballé et al. 2021,
https://arxiv.org/abs/2007.03034). Each transform is the sum of a linear one, of blocks of pixels, and of a network that
corrects it, with few channels where pixels are many.
"""

from __future__ import annotations

from collections.abc import Sequence

from selfcodec.networks.graph import Graph, GraphBuilder
from selfcodec.schedule import Variable


def _activated(b: GraphBuilder, x: str, channels: int, kernel: int = 1) -> str:
    return b.conv(x, channels, kernel, activation="leaky")


def _bottleneck(b: GraphBuilder, x: str, channels: int) -> str:
    """A residual block: through fewer channels and back (He et al. 2016, https://arxiv.org/abs/1512.03385)."""
    width = b.channels(x)
    return b.add(x, b.conv(_activated(b, _activated(b, x, channels), channels, 3), width, 1))


def _blocks(b: GraphBuilder, x: str, count: int, *, finest: bool) -> str:
    """Blocks of half as many channels inside; at the finest resolution, which has the fewest, of all."""
    for _ in range(count):
        x = _bottleneck(b, x, b.channels(x) // (1 if finest else 2))
    return x


def _folded(b: GraphBuilder, x: str, times: int) -> str:
    for _ in range(times):
        x = b.fold(x)
    return x


def _unfolded(b: GraphBuilder, x: str, times: int) -> str:
    for _ in range(times):
        x = b.unfold(x)
    return x


def analysis(widths: Sequence[int], blocks: Sequence[int], channels: int, halvings: int) -> Graph:
    """Pixels (B, 3, H, W) and a plane of the quality to a latent (B, channels, H / 2**halvings, W / 2**halvings).

    Args:
        widths: features at every resolution, the finest first; the coarsest is the latent's.
        blocks: residual blocks at every resolution.
        channels, halvings: of the latent.
    """
    b = GraphBuilder()
    pixels, quality = b.pixels(3), b.plane(1)
    cells = _folded(b, pixels, halvings - len(widths) + 1)  # at the networks' finest resolution
    linear = b.conv(_folded(b, cells, len(widths) - 1), channels, 1)
    x = b.concat(cells, quality)
    for i, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        x = b.conv(b.fold(x) if i else x, width, 1)
        x = _blocks(b, x, count, finest=i == 0)
    b.add(linear, b.conv(x, channels, 1))
    return b.build()


def synthesis(widths: Sequence[int], blocks: Sequence[int], y: Variable, z: Variable) -> Graph:
    """y and z of the same resolution, and a plane of the quality, to pixels (B, 3, H, W).

    Args:
        widths, blocks: as of `analysis`, the finest first.
        y, z: what the pixels depend on.
    """
    b = GraphBuilder()
    thumbnail, latent, quality = b.pixels(y.channels), b.latent(z.channels), b.plane(1)
    finest = z.halvings - len(widths) + 1
    x = b.concat(latent, thumbnail, quality)
    for i in reversed(range(len(widths))):
        coarsest = i == len(widths) - 1
        x = b.conv(x, widths[i] if coarsest else 4 * widths[i], 1)
        x = _blocks(b, x if coarsest else b.unfold(x), blocks[i], finest=i == 0)
    cells = 3 * 4**finest
    linear = _unfolded(b, b.conv(latent, 3 * 4**z.halvings, 1), len(widths) - 1)
    _unfolded(b, b.add(linear, b.conv(x, cells, 3)), finest)
    return b.build()


def group_entropy(width: int, y: Variable, u: Variable, before: int, own: int) -> Graph:
    """Means and log-scales of a group of a latent's channels, (B, 2 own, h, w).

    Inputs: y; u at half the resolution; the channels of the groups before, if any; this group's own, where they are
    known, else 0; 1 where they are known; a plane of the quality.
    """
    b = GraphBuilder()
    parents = [b.pixels(y.channels), b.unfold(b.conv(b.latent(u.channels), 4 * u.channels, 1))]
    known = [b.latent(before)] if before else []
    x = b.concat(*parents, *known, b.latent(own), b.latent(1), b.plane(1))
    x = _activated(b, _activated(b, _activated(b, x, width), width, 3), width, 3)
    b.conv(x, 2 * own, 1)
    return b.build()


def thumbnail_analysis(width: int, blocks: int, y: Variable, channels: int) -> Graph:
    """y to u at half its resolution."""
    b = GraphBuilder()
    x = _blocks(b, b.conv(b.fold(_activated(b, b.pixels(y.channels), width // 4, 3)), width, 1), blocks, finest=True)
    b.conv(x, channels, 1)
    return b.build()


def thumbnail_synthesis(width: int, blocks: int, u: Variable, channels: int) -> Graph:
    """u to y at twice its resolution."""
    b = GraphBuilder()
    x = _blocks(b, b.conv(b.latent(u.channels), width, 1), blocks, finest=True)
    b.unfold(b.conv(x, 4 * channels, 1))
    return b.build()
