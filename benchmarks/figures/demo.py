"""One photograph beside what every mode makes of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.figures.panels import cell_shape, grid

COLUMNS = 3
CELL_WIDTH = 5
"""One image is drawn so many inches wide."""
SHOWN_SIDE = 1024
"""An image's longer side is drawn with so many pixels at most."""
SMALL = 256
"""Images with smaller sides are drawn pixel by pixel."""


def _shown(image: Image.Image) -> UInt8:
    """Return an image as it is drawn: opaque RGB, not too large."""
    small = image.convert("RGB")
    small.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(small)


def draw(panels: Sequence[tuple[str, Image.Image]]) -> Figure:
    """Draw titles and images in a grid."""
    width, height = panels[0][1].size
    cell = (CELL_WIDTH, CELL_WIDTH * cell_shape(height, width) + 0.65)
    figure, places = grid([title for title, _ in panels], COLUMNS, cell, font=14)
    for (_, image), place in zip(panels, places, strict=False):
        place.imshow(_shown(image), interpolation="nearest" if max(image.size) < SMALL else "antialiased")
    return figure
