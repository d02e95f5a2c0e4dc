"""Crops side by side: the original, our version of it, and AVIF's of equal bytes."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from selfcodec.benchmarks.figures.panels import cell_shape, grid
from selfcodec.benchmarks.reports.looks import Look, Version
from selfcodec.benchmarks.reports.tables import number

CELL_WIDTH = 4
"""One crop is drawn so many inches wide."""


def _title(name: str, version: Version) -> str:
    return (
        f"{name}: {version.bytes:,} bytes\n{number(version.psnr, 2)} dB, SSIMULACRA 2 {number(version.ssimulacra2, 1)}"
    )


def draw(looks: Sequence[Look], ours: str, avif: str) -> Figure:
    """Draw one row of crops a look; `ours` and `avif` name the coders."""
    titles = [
        title
        for look in looks
        for title in (f"{look.image}\n{look.rate:g} bits per pixel", _title(ours, look.ours), _title(avif, look.avif))
    ]
    height, width = looks[0].crops[0].shape[:2]
    figure, places = grid(titles, 3, (CELL_WIDTH, CELL_WIDTH * cell_shape(height, width) + 0.55), font=10)
    for look in looks:
        for crop, place in zip(look.crops, places, strict=False):
            place.imshow(crop, interpolation="nearest")
    return figure
