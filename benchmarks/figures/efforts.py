"""Bits per dimension against speed, each coder's settings joined by a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from matplotlib.figure import Figure

from selfcodec.benchmarks.figures.plots import OWN_COLOURS, grid, logarithmic


class Point(Protocol):
    """One coder in one setting."""

    @property
    def setting(self) -> str: ...
    @property
    def bits_per_dimension(self) -> float: ...
    @property
    def encode(self) -> float: ...
    @property
    def decode(self) -> float: ...


def draw(coders: Mapping[str, Sequence[Point]], title: str) -> Figure:
    """Draw both directions; numbers beside the points are their settings'."""
    figure = Figure(figsize=(6.8, 3.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for at, verb in zip(axes, ("encode", "decode"), strict=True):
        for i, (name, points) in enumerate(coders.items()):
            speeds, bits = [getattr(p, verb) for p in points], [p.bits_per_dimension for p in points]
            colour = OWN_COLOURS[i % len(OWN_COLOURS)]
            at.plot(speeds, bits, color=colour, marker="os^Dv<"[i % 6], markersize=4, linewidth=1, label=name)
            for point, speed, bit in zip(points, speeds, bits, strict=True):
                number = point.setting.rpartition(" ")[2]
                at.annotate(number, (speed, bit), xytext=(3, 3), textcoords="offset points", fontsize=6, color=colour)
        logarithmic(at)
        at.set_xlabel(f"{verb}, megapixels per second")
        grid(at)
    axes[0].set_ylabel("bits per dimension, of whole files")
    axes[0].set_title(title, loc="left", fontsize=9)
    axes[1].legend(frameon=False, fontsize=7)
    return figure
