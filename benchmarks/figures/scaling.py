"""Throughput and peak memory by image size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from selfcodec.benchmarks.figures.plots import OWN_COLOURS, grid


def draw(sizes: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw speed and peak memory of both directions by size."""
    figure = Figure(figsize=(6.8, 2.9), layout="constrained")
    axes = figure.subplots(1, 2)
    megapixels = [size["width"] * size["height"] / 1e6 for size in sizes]
    for at, key, label in ((axes[0], "megapixels_per_second", "megapixels per second"), (axes[1], "peak_mib", "MiB")):
        for verb, colour, marker in zip(("encode", "decode"), OWN_COLOURS, "os", strict=False):
            values = [math.nan if size[verb][key] is None else size[verb][key] for size in sizes]
            at.plot(megapixels, values, color=colour, marker=marker, markersize=4.5, label=verb)
        at.set_xscale("log")
        at.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        at.set_xlabel("megapixels")
        at.set_ylabel(label)
        at.set_ylim(bottom=0)
        grid(at)
    axes[0].set_title(title, loc="left", fontsize=9)
    axes[1].set_title("peak memory", loc="left", fontsize=9)
    axes[0].legend(frameon=False)
    return figure
