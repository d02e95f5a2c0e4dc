"""Pictures side by side in a grid, each under its title."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def grid(titles: Sequence[str], columns: int, cell: tuple[float, float], font: int) -> tuple[Figure, Iterator[Axes]]:
    """Return a figure with a place for every title, and those places.

    Args:
        titles: what stands over the pictures.
        columns: pictures side by side.
        cell: width and height of one of them with its title, inches.
        font: size of the titles.
    """
    lines = -(-len(titles) // columns)
    figure = Figure(figsize=(cell[0] * columns, cell[1] * lines), dpi=100, layout="constrained")
    places = figure.subplots(lines, columns, squeeze=False).ravel()
    for place in places:
        place.set_axis_off()
    for place, title in zip(places, titles, strict=False):
        place.set_title(title, fontsize=font, linespacing=1.3)
    return figure, iter(places)


def cell_shape(height: int, width: int) -> float:
    """Return a picture's height over its width, within what a grid can show."""
    return min(max(height / width, 1 / 4), 4)
