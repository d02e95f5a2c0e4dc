"""How an image is cut into tiles, each a stream of its own, and which of them run together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Sample = TypeVar("Sample", bound=np.generic)

BATCH_PIXELS = 1 << 18
"""A batch of tiles has at most so many pixels, or one tile, which bounds memory."""
TILE_MULTIPLE = 16
"""Tiles' sides are multiples of it, so that y seldom has a cell that is cut off. This is part of the format."""


@dataclass(frozen=True)
class Box:
    """A tile's place: rows [top, top + height), columns [left, left + width).

    Attributes:
        index: among its picture's tiles.
        picture: its number among those that are coded together.
    """

    index: int
    top: int
    left: int
    height: int
    width: int
    picture: int = 0

    def of(self, image: npt.NDArray[Sample]) -> npt.NDArray[Sample]:
        """The tile's part of an image (H, W, C)."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def tile_boxes(width: int, height: int, tile: int, picture: int = 0) -> list[Box]:
    """Tiles in row-major order, as few as sides up to `tile` allow, and about equally large."""
    tops, lefts = range(0, height, _side(height, tile)), range(0, width, _side(width, tile))
    corners = [(top, left) for top in tops for left in lefts]
    return [
        Box(i, top, left, min(tops.step, height - top), min(lefts.step, width - left), picture)
        for i, (top, left) in enumerate(corners)
    ]


def _side(extent: int, tile: int) -> int:
    """Side of all tiles but the last, which has the rest, along an image's height or width."""
    count = -(-extent // tile)
    return min(tile, -(-extent // (TILE_MULTIPLE * count)) * TILE_MULTIPLE)


def together(size: tuple[int, int], most: int) -> int:
    """How many tiles of (height, width) run together."""
    return max(1, min(most, BATCH_PIXELS // (size[0] * size[1])))


def by_size(boxes: Sequence[Box], most: int) -> Iterator[list[Box]]:
    """Tiles of equal size together, as many as may run at once."""

    def size(box: Box) -> tuple[int, int]:
        return box.height, box.width

    for (height, width), group in groupby(sorted(boxes, key=size), key=size):
        same = list(group)
        count = together((height, width), most)
        for start in range(0, len(same), count):
            yield same[start : start + count]


def shares(boxes: Sequence[Box], most: int, workers: int) -> list[list[Box]]:
    """Tiles that are coded together, shared out evenly: for every worker some, and not too many at once."""
    pixels = sum(box.height * box.width for box in boxes)
    count = min(len(boxes), max(workers, -(-pixels // BATCH_PIXELS), -(-len(boxes) // most)))
    shared: list[list[Box]] = [[] for _ in range(count)]
    filled = [0] * count
    for box in sorted(boxes, key=lambda box: -box.height * box.width):
        least = filled.index(min(filled))
        shared[least].append(box)
        filled[least] += box.height * box.width
    return shared
