"""Variables' values as inputs of networks, converted box by box: a large image needs no copy as real numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from selfcodec.arrays import Float32, Int64, Integers

Span = tuple[int, int]
"""It is of positions [low, high) along height or width."""


class Field:
    """Values (B, C, h, w) that a network sees as (B, C, *size).

    Args:
        values: whole numbers.
        size: the input's height and width, at least the values'.
        convert: int64 values of a box to float32 integers in 2**-6.
        edges: what lies beyond the values repeats the last row or column; otherwise the network sees zeros there.
    """

    def __init__(
        self, values: Integers, size: tuple[int, int], convert: Callable[[Int64], Float32], *, edges: bool = False
    ) -> None:
        self._values = values
        self._convert = convert
        self._edges = edges
        self.shape = (*values.shape[:2], *size)

    def box(self, rows: Span, columns: Span) -> Float32:
        """The input's rows and columns, float32 (B, C, h', w')."""
        height, width = self._values.shape[2:]
        inner = self._values[:, :, rows[0] : min(rows[1], height), columns[0] : min(columns[1], width)]
        below, beside = rows[1] - rows[0] - inner.shape[2], columns[1] - columns[0] - inner.shape[3]
        if self._edges and (below or beside):
            row = np.minimum(np.arange(*rows), height - 1)
            column = np.minimum(np.arange(*columns), width - 1)
            return self._convert(self._values[:, :, row[:, None], column].astype(np.int64))
        found = self._convert(inner.astype(np.int64))
        return np.pad(found, ((0, 0), (0, 0), (0, below), (0, beside))) if below or beside else found

    def whole(self) -> Float32:
        """All of it."""
        return self.box((0, self.shape[2]), (0, self.shape[3]))


Input = Float32 | Field
"""Networks take either; a plane, (B, C, 1, 1), is an array."""


def as_array(given: Input) -> Float32:
    """An input as an array."""
    return given.whole() if isinstance(given, Field) else given
