"""The innermost loop of what is added to a matrix product by product: one tile of it, for compiled loops.

The sums are in the order of the samples, each product rounded before it is added; but a tile stays in vector registers
for all samples, where it would else be loaded and stored for each.
"""

from __future__ import annotations

from typing import Any

from numba import types

from selfcodec.vectors import F64, Value, intrinsic, load, looped, moved, spread, store, vector

TILE_ROWS, TILE_COLUMNS = 4, 8
_REALS = vector(F64, TILE_COLUMNS)


@intrinsic
def add_to_tile(_typing: Any, out: Any, out_stride: Any, left: Any, right: Any, stride: Any, count: Any) -> Any:
    """Adds left[s, i] * right[s, j] to out[i, j], for one sample s after another.

    Compiled loops leave out the first argument.

    Args:
        out: address of float64, the first of TILE_ROWS rows of TILE_COLUMNS numbers.
        left, right: addresses of float64, of the first sample's numbers for the tile's rows and columns.
        out_stride, stride: numbers from a row of the matrix to the next, and from a sample to the next.
        count: samples, at least 1.
    """
    return types.void(*(types.intp,) * 6), _write


def _write(_context: Any, builder: Any, _signature: Any, values: list[Value]) -> None:
    """Writes the code of `add_to_tile`."""
    out, out_stride, left, right, stride, count = values
    rows = [moved(builder, out, out_stride, 8 * row) for row in range(TILE_ROWS)]

    def step(sample: Value, sums: list[Value]) -> list[Value]:
        of_rows, of_columns = (moved(builder, at, builder.mul(sample, stride), 8) for at in (left, right))
        columns = load(builder, _REALS, of_columns)
        numbers = (spread(builder, load(builder, F64, of_rows, 8 * row), TILE_COLUMNS) for row in range(TILE_ROWS))
        return [builder.fadd(total, builder.fmul(number, columns)) for number, total in zip(numbers, sums, strict=True)]

    sums = looped(builder, count, [load(builder, _REALS, row) for row in rows], step)
    for row, total in zip(rows, sums, strict=True):
        store(builder, total, row)
