"""How many pictures are coded together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

MOST_FILES, MOST_PIXELS = 64, 1 << 20
"""Small pictures are coded together, at most about so many and of so many pixels, which bounds memory."""


def grouped(items: Iterable[T], pixels: Callable[[T], int]) -> Iterator[list[T]]:
    """Items one after another, in groups of few enough, and of few enough pixels, to be coded together."""
    group: list[T] = []
    total = 0
    for item in items:
        group.append(item)
        total += pixels(item)
        if len(group) >= MOST_FILES or total >= MOST_PIXELS:
            yield group
            group, total = [], 0
    if group:
        yield group
