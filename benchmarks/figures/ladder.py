"""Figures 5, A3 and A4 of the paper: what every mode makes of the same images, above the size of its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.measure import Measured
from selfcodec.benchmarks.reports.tables import number
from selfcodec.models.mosaic import Row, mosaic

PICTURED = 8
"""A picture shows so many images at most."""
SIDE = 96
"""Images are enlarged by a whole factor to at most so many pixels."""


def _caption(image: UInt8, found: Measured) -> str:
    quality = "identical" if found.exact else f"{number(found.psnr, 1)} dB"
    return f"{found.size:,} bytes\n{image.size / found.size:.1f} : 1\n{quality}"


def draw(
    images: Sequence[UInt8], files: Mapping[str, Sequence[Measured]], beside: Mapping[str, Sequence[UInt8]]
) -> Image.Image:
    """Draw a row an image: it, what else belongs beside it, and what came back of its files with bytes and ratios.

    Args:
        images: originals, each (H, W, 3); the first PICTURED are drawn.
        files: what was measured of all of them by column; with what came back at least of those that are drawn.
        beside: more images by column.
    """
    rows = []
    for i, image in enumerate(images[:PICTURED]):
        measured = [found[i] for found in files.values()]
        shown = [image, *(column[i] for column in beside.values()), *(found.returned().planes for found in measured)]
        captions = [f"{image.size:,} bytes", *("" for _ in beside), *(_caption(image, found) for found in measured)]
        rows.append(Row(shown, captions=captions))
    raw = sum(image.size for image in images)
    means = (f"{title}\n{raw / sum(f.size for f in found):.1f} : 1" for title, found in files.items())
    return mosaic(rows, ["original\n1 : 1", *beside, *means], SIDE)
