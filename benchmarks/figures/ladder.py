"""Figure 5 of the paper: what every mode makes of the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.reports.ladder import Rung
from selfcodec.modes import Mode

PICTURED = 8
"""The picture shows so many images at most."""
CELL = 128
"""One image is drawn about so many pixels wide."""
GAP = 6
DPI = 150
TOP, BOTTOM = 50, 55
"""So many pixels are left for titles above, and for ratios below."""
TITLES = {
    Mode.RS1: "reconstruction 1\n(rs1)",
    Mode.RS2: "reconstruction 2\n(rs2)",
    Mode.CG: "conditional\ngeneration (cg)",
    Mode.CR: "conditional\nreconstruction (cr)",
    Mode.LOSSLESS: "lossless\n",
}


def _mosaic(columns: Sequence[Sequence[UInt8]], zoom: int) -> UInt8:
    """Return columns of images (h, w, 3) side by side on white, every pixel `zoom` wide."""
    h, w = (zoom * side for side in columns[0][0].shape[:2])
    out = np.full((len(columns[0]) * (h + GAP) - GAP, len(columns) * (w + GAP) - GAP, 3), 255, np.uint8)
    for j, column in enumerate(columns):
        for i, image in enumerate(column):
            top, left = i * (h + GAP), j * (w + GAP)
            out[top : top + h, left : left + w] = image.repeat(zoom, 0).repeat(zoom, 1)
    return out


def draw(images: Sequence[UInt8], rungs: Mapping[Mode, Rung]) -> Figure:
    """Draw the originals (H, W, 3) in the first column, then the modes, compression ratios beneath."""
    shape = images[0].shape
    zoom = max(1, CELL // max(shape[:2]))
    mosaic = _mosaic([images[:PICTURED], *(rung.pictured for rung in rungs.values())], zoom)
    pitch = zoom * shape[1] + GAP
    titles = ["original\n", *(TITLES[mode] for mode in rungs)]
    ratios = ["1", *(f"{math.prod(shape) / rung.size:.1f}" for rung in rungs.values())]
    width, height = mosaic.shape[1] + 2 * GAP, mosaic.shape[0] + TOP + BOTTOM
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    figure.figimage(mosaic, GAP, BOTTOM)
    for i, (title, ratio) in enumerate(zip(titles, ratios, strict=True)):
        x = (GAP + i * pitch + (pitch - GAP) / 2) / width
        figure.text(x, 1 - TOP / 2 / height, title, ha="center", va="center", fontsize=5.6)
        figure.text(x, 36 / height, ratio, ha="center", va="center", fontsize=8)
    note = f"compression ratio: raw bytes over bytes of the file, mean of {len(images)} images"
    figure.text(0.5, 11 / height, note, ha="center", va="center", fontsize=6)
    return figure
