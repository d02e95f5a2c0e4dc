"""The paper's Figure 1: one image under every transformation."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.figure import Figure

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.figures.panels import cell_shape, grid
from selfcodec.transforms import get_transform

COLUMNS = 5
PANELS = (
    ("Downscaling ×2", "downscale", 1),
    ("Downscaling ×4", "downscale", 2),
    ("Downscaling ×8", "downscale", 3),
    ("Bicubic interpolation ×2", "bicubic", 1),
    ("Bicubic interpolation ×4", "bicubic", 2),
    ("Bicubic interpolation ×8", "bicubic", 3),
    ("Gaussian blur", "blur", 1),
    ("1 bit precision", "1bit", 1),
    ("2 bits precision", "2bit", 1),
    ("3 bits precision", "3bit", 1),
    ("4 bits precision", "4bit", 1),
    ("Sketch (dodge and burn)", "sketch", 1),
    ("Sketch (edge-aware)", "pencil", 1),
    ("Gray scale", "grayscale", 1),
)
"""A panel has a title, a transformation, and the number of times that is applied."""


def panels(x: UInt8) -> Iterator[tuple[str, UInt8]]:
    """Yield titles and images of x (H, W, 3), the original first."""
    yield "Original image", x
    for title, name, times in PANELS:
        y = x
        for _ in range(times):
            y = get_transform(name)(y)
        yield title, y


def draw(x: UInt8) -> Figure:
    """Draw the panels of x (H, W, 3), lettered as in the paper; smaller images at the original's size."""
    titles, images = zip(*panels(x), strict=True)
    lettered = [f"({chr(ord('a') + i)}) {title}" for i, title in enumerate(titles)]
    figure, places = grid(lettered, COLUMNS, (3, 3 * cell_shape(*x.shape[:2]) + 0.35), font=11)
    for image, place in zip(images, places, strict=False):
        shown = image[..., 0] if image.shape[-1] == 1 else image
        place.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    return figure
