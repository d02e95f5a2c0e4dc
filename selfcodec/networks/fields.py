"""Variables' values as inputs of networks, converted box by box: a large image needs no copy as real numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from selfcodec.arrays import Integers

Span = tuple[int, int]
"""It is of positions [low, high) along height or width."""


def windows(span: Span, side: int, margin: int, extent: int) -> Iterator[tuple[Span, Span]]:
    """Cuts a span into windows: each, and the same with its margins, cropped where the image's extent ends."""
    low, high = span
    for start in range(low, high, side):
        stop = min(start + side, high)
        yield (start, stop), (max(0, start - margin), min(extent, stop + margin))


class Field:
    """Values (B, C, h, w) that a network sees as (B, C, *size).

    Args:
        values: whole numbers.
        size: the input's height and width, at least the values'.
        convert: int64 values of a box to float32 integers in 2**-6.
        edges: what lies beyond the values repeats the last row or column; otherwise the network sees zeros there.
    """

    def __init__(
        self, values: Integers, size: tuple[int, int], convert: Callable[[Tensor], Tensor], *, edges: bool = False
    ) -> None:
        self._values = values
        self._convert = convert
        self._edges = edges
        self.shape = (*values.shape[:2], *size)

    def box(self, rows: Span, columns: Span) -> Tensor:
        """The input's rows and columns, float32 (B, C, h', w')."""
        height, width = self._values.shape[2:]
        inner = self._values[:, :, rows[0] : min(rows[1], height), columns[0] : min(columns[1], width)]
        below, beside = rows[1] - rows[0] - inner.shape[2], columns[1] - columns[0] - inner.shape[3]
        if self._edges and (below or beside):
            row = np.minimum(np.arange(*rows), height - 1)
            column = np.minimum(np.arange(*columns), width - 1)
            return self._convert(torch.from_numpy(self._values[:, :, row[:, None], column].astype(np.int64)))
        found = self._convert(torch.from_numpy(inner.astype(np.int64)))
        return functional.pad(found, (0, beside, 0, below)) if below or beside else found

    def whole(self) -> Tensor:
        """All of it."""
        return self.box((0, self.shape[2]), (0, self.shape[3]))


Input = Tensor | Field
"""Networks take either; a plane, (B, C, 1, 1), is a tensor."""


def as_tensor(given: Input) -> Tensor:
    """An input as a tensor."""
    return given.whole() if isinstance(given, Field) else given
