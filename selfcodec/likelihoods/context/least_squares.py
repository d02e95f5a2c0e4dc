"""Weighted least squares over what is gathered product by product, for several targets: each also sees those before.

A sample has what filters see and what they are to find, in such an order that a filter sees the first things of it.
Gathered are the sums of the products of all pairs, the upper triangle of a symmetric matrix, which is factored once for
all filters. All of it is float64 in the order in which it is written, see `adapting`. Samples and matrices are filled
up to whole tiles (`rank_update`); what is below the diagonal or beyond a sample's things is not looked at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from selfcodec.arrays import Float64, Int32, Int64
from selfcodec.compiled import compiled
from selfcodec.likelihoods.context.rank_update import TILE_COLUMNS, TILE_ROWS, add_to_tile

RIDGE = 40.0
"""It is added to the diagonal, which keeps filters small that little speaks for."""


class Samples(NamedTuple):
    """Samples of at most S pixels.

    Attributes:
        seen: (S, N), N as of `filled_up`; the numbers of a sample, then zeros.
        weights: (S,), what they count.
        weighted: (S, N), their numbers times what they count.
    """

    seen: Float64
    weights: Float64
    weighted: Float64


def blank_samples(pixels: int, things: int) -> Samples:
    """Samples of so many pixels, each of so many things: zeros."""
    size = filled_up(things)
    return Samples(np.zeros((pixels, size)), np.zeros(pixels), np.zeros((pixels, size)))


@compiled
def dot(a: Float64, b: Float64, n: int) -> float:
    """The sum of the first n products, in four sums that are added in the end."""
    s0, s1, s2, s3, whole = 0.0, 0.0, 0.0, 0.0, n - n % 4
    for k in range(0, whole, 4):
        s0 += a[k] * b[k]
        s1 += a[k + 1] * b[k + 1]
        s2 += a[k + 2] * b[k + 2]
        s3 += a[k + 3] * b[k + 3]
    for k in range(whole, n):
        s0 += a[k] * b[k]
    return (s0 + s1) + (s2 + s3)


def filled_up(things: int) -> int:
    """So many numbers, and those that fill the last tile."""
    return -(-things // TILE_COLUMNS) * TILE_COLUMNS


@compiled
def _add(upper: Float64, first: int, left: Float64, right: Float64) -> None:
    """Adds left[s, i] * right[s, j] to upper[i, j] for all samples s in order, from the first row on, j at least i.

    Args:
        upper: (N, N).
        first: a multiple of TILE_ROWS.
        left, right: (n, N), at least one sample.
    """
    size = len(upper)
    for row in range(first, size, TILE_ROWS):
        for column in range(row - row % TILE_COLUMNS, size, TILE_COLUMNS):
            add_to_tile(
                upper.ctypes.data + 8 * (row * size + column),
                size,
                left.ctypes.data + 8 * row,
                right.ctypes.data + 8 * column,
                size,
                len(left),
            )


@compiled
def take_in(places: Int32, samples: Samples, products: Float64, fresh: Int64) -> None:
    """Adds samples to their planes' products, and counts them.

    Args:
        places: (n, 3), the first is the plane; samples come plane by plane.
        samples: the first n of them.
        products, fresh: (B, N, N) and (B,), of every plane.
    """
    first, count = 0, len(places)
    while first < count:
        b, last = np.int64(places[first, 0]), first
        while last < count and places[last, 0] == b:
            for k in range(samples.seen.shape[1]):
                samples.weighted[last, k] = samples.weights[last] * samples.seen[last, k]
            last += 1
        _add(products[b], 0, samples.seen[first:last], samples.weighted[first:last])
        fresh[b] += last - first
        first = last


@compiled
def factored(products: Float64, n: int) -> Float64:
    """L (n, n) of the factorisation L D L^T of the products with a ridge on their diagonal; its diagonal of ones is 0.

    A row of the upper triangle, of D L^T, is taken from all rows below it, once it is
    known: from those of its own TILE_ROWS at once, from the others by `_add` with these together. What `columns` has of
    rows before these reaches nothing but what is below the diagonal.
    """
    upper, factors, columns = products.copy(), np.zeros((n, n)), np.zeros((TILE_ROWS, len(products)))
    for i in range(n):
        upper[i, i] += RIDGE
    for first in range(0, n, TILE_ROWS):
        last = min(first + TILE_ROWS, n)
        for j in range(first, last):
            own, column = upper[j], columns[j - first]
            pivot = max(own[j], 0.5 * RIDGE)  # exactly it would be at least RIDGE
            for i in range(j + 1, n):
                factors[i, j] = own[i] / pivot
                column[i] = -factors[i, j]
            for k in range(j + 1, last):
                row, factor = upper[k], own[k]
                for i in range(k, n):
                    row[i] += factor * column[i]
        if last < n:
            _add(upper, last, upper[first:last], columns)
    return factors


@compiled
def regress(factors: Float64, target: int, given: int, filter_: Float64) -> None:
    """Sets the filter's first numbers to the regression of thing `target` of a sample on its first `given` ones.

    With l the target's row of L and L' the triangle of what is given, it is the solution w of L'^T w = l, found by
    back substitution.
    """
    for k in range(given):
        filter_[k] = factors[target, k]
    for k in range(given - 1, 0, -1):
        row, found = factors[k], filter_[k]
        for i in range(k):
            filter_[i] -= row[i] * found
