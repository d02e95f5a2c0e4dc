"""The innermost loop of products of matrices of 16-bit integers: one tile of the result, for compiled loops.

Its sums stay in vector registers, as in BLIS (https://doi.org/10.1145/2764454). They are below 2**24
(`selfcodec.fixed_point`) and so exact in int32, and processors of the x86 kind add twice as many products of int16 in
a time as of float32, which BLAS multiplies: two to a sum by one instruction (`vpdpwssd`) or two (`pmaddwd`, `paddd`).
Arm adds as many (`smlal`).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from selfcodec.networks.nodes import TILE_COLUMNS, TILE_ROWS
from selfcodec.vectors import F32, I16, I32, Value, intrinsic, load, looped, moved, spread, store, undefined, vector

_LANES = 8
"""A vector has so many columns, so that a tile's sums are 12 of the 16 registers of AVX2."""
_PLACES = [4 * _LANES * v for v in range(TILE_COLUMNS // _LANES)]
"""Where a tile's vectors of 4 bytes a column lie."""
_NUMBERS, _SUMS, _REALS = (vector(kind, _LANES) for kind in (I16, I32, F32))
_PAIRS, _PRODUCTS = (vector(kind, 2 * _LANES) for kind in (I16, I32))
_EVEN, _ODD = (_SUMS(list(range(first, 2 * _LANES, 2))) for first in (0, 1))


@intrinsic
def multiply_tile(
    _typing: Any,
    x: Any,
    stride: Any,
    weight: Any,
    pairs: Any,
    bias: Any,
    scale: Any,
    slope: Any,
    limit: Any,
    out: Any,
    out_stride: Any,
) -> Any:
    """Sets a tile of the result to x @ weight + bias, then scaled, activated, rounded half up and clamped.

    What follows the sum are float32 operations, one by one. Rows that only fill the tile may hold anything: their sums
    may wrap. Compiled loops leave out the first argument.

    Args:
        x: address of the first of TILE_ROWS rows of int16, so small that no sum of the others reaches 2**24.
        stride, out_stride: numbers from a row of x, and of the result, to the next.
        weight: address of int16 (pairs, TILE_COLUMNS, 2), rows 2 i and 2 i + 1 of the matrix side by side.
        pairs: half as many as x has columns, at least 1.
        bias, scale: addresses of int32 and float32 (TILE_COLUMNS,).
        slope: what numbers below zero are multiplied by, at most 1.
        limit: largest magnitude of the result, below 2**15.
        out: address of the result, int16.
    """
    whole, real = types.intp, types.float32
    return types.void(whole, whole, whole, whole, whole, whole, real, real, whole, whole), _write


def _write(_context: Any, builder: Any, _signature: Any, values: list[Value]) -> None:
    """Writes the code of `multiply_tile`."""
    x, stride, weight, pairs, bias, scale, slope, limit, out, out_stride = values
    rows = [moved(builder, x, stride, 2 * row) for row in range(TILE_ROWS)]
    add = _pairs_added if "86" in builder.module.triple else _products_added

    def step(pair: Value, sums: list[Value]) -> list[Value]:
        of_pair = moved(builder, weight, pair, 4 * TILE_COLUMNS)
        weights, own = [load(builder, _PAIRS, of_pair, place) for place in _PLACES], iter(sums)
        return [
            add(builder, moved(builder, row, pair, 4), of_columns, next(own)) for row in rows for of_columns in weights
        ]

    biases = [load(builder, _SUMS, bias, place) for place in _PLACES]
    sums = iter(looped(builder, pairs, biases * TILE_ROWS, step))
    scales = [load(builder, _REALS, scale, place) for place in _PLACES]
    slopes, limits, lower = (spread(builder, number, _LANES) for number in (slope, limit, builder.fneg(limit)))
    for row in range(TILE_ROWS):
        to = moved(builder, out, out_stride, 2 * row)
        for place, of_columns in zip(_PLACES, scales, strict=True):
            value = builder.fmul(builder.sitofp(next(sums), _REALS), of_columns)
            value = _chosen(builder, ">", value, builder.fmul(value, slopes))
            value = _floor(builder, builder.fadd(value, _REALS([0.5] * _LANES)))
            value = _chosen(builder, "<", _chosen(builder, ">", value, lower), limits)
            store(builder, builder.trunc(builder.fptosi(value, _SUMS), _NUMBERS), to, place // 2)


def _pairs_added(builder: Any, x: Value, weights: Value, total: Value) -> Value:
    """A sum and the products of two numbers at x and their weights, in x86's way."""
    numbers = builder.bitcast(spread(builder, load(builder, I32, x), _LANES), _PAIRS)
    products = builder.mul(builder.sext(numbers, _PRODUCTS), builder.sext(weights, _PRODUCTS))
    halves = (builder.shuffle_vector(products, undefined(_PRODUCTS), half) for half in (_EVEN, _ODD))
    return builder.add(total, builder.add(*halves))


def _products_added(builder: Any, x: Value, weights: Value, total: Value) -> Value:
    """The same in Arm's way."""
    for at, half in ((0, _EVEN), (2, _ODD)):
        number = builder.sext(spread(builder, load(builder, I16, x, at), _LANES), _SUMS)
        weight = builder.sext(builder.shuffle_vector(weights, undefined(_PAIRS), half), _SUMS)
        total = builder.add(total, builder.mul(number, weight))
    return total


def _chosen(builder: Any, sign: str, a: Value, b: Value) -> Value:
    """The larger (">") or the smaller ("<") of each two numbers."""
    return builder.select(builder.fcmp_ordered(sign, a, b), a, b)


def _floor(builder: Any, value: Value) -> Value:
    kind = ir.FunctionType(_REALS, [_REALS])
    return builder.call(builder.module.declare_intrinsic(f"llvm.floor.v{_LANES}f32", (), kind), [value])
