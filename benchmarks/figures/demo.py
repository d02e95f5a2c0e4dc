"""The demo's picture: a photograph beside what every mode makes of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.models.mosaic import in_rows, mosaic

COLUMNS = 3
SIDE = 400
"""Images are drawn with so many pixels a side at most, small ones enlarged by a whole factor."""


def _shown(image: Image.Image) -> UInt8:
    """Return an image as it is drawn: opaque RGB, not too large."""
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(small)


def draw(panels: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Draw images in a grid, each above its caption."""
    captions, images = zip(*panels, strict=True)
    return mosaic(in_rows(list(map(_shown, images)), COLUMNS, captions), side=SIDE)
