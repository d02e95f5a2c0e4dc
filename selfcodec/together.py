"""Which pictures are coded together, and what is done of them so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
Key = TypeVar("Key")

MOST_FILES, MOST_PIXELS = 64, 1 << 20
"""Small pictures are coded together, at most about so many and of so many pixels, which bounds memory."""


def grouped(
    items: Iterable[T], pixels: Callable[[T], int], is_picture: Callable[[T], bool] = lambda item: True
) -> Iterator[list[T]]:
    """Items one after another, in groups of few enough pictures, and of few enough pixels, to be coded together.

    Args:
        items: pictures, and others that are kept in memory with them.
        pixels: of an item, or as many as take its memory.
        is_picture: whether an item is one.
    """
    group: list[T] = []
    pictures = total = 0
    for item in items:
        group.append(item)
        pictures += is_picture(item)
        total += pixels(item)
        if pictures >= MOST_FILES or total >= MOST_PIXELS:
            yield group
            group, pictures, total = [], 0, 0
    if group:
        yield group


def done_ahead(items: Sequence[T], together: Callable[[Sequence[T]], Sequence[R | None]]) -> Sequence[R | None]:
    """What becomes of each of several items by a function of all of them.

    None for one alone, and for each where the function fails: which one that is of shows when each is done by itself.
    """
    if len(items) > 1:
        with suppress(Exception):
            return together(items)
    return [None] * len(items)


def alike(groups: list[tuple[Key, list[int]]], key: Key) -> list[int]:
    """The numbers of what has the same key, to which another may be added; keys need not be hashable."""
    for other, members in groups:
        if other == key:
            return members
    groups.append((key, []))
    return groups[-1][1]
