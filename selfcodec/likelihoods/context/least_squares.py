"""Weighted least squares over what is gathered product by product, for several targets: each also sees those before.

A sample has what all filters see, and then for every channel one more thing that it sees and its target. Gathered are
the sums of the products of all pairs, the lower triangle of a symmetric matrix. All of it is float64 in the order in
which it is written, see `adapting`.
"""

from __future__ import annotations

import numpy as np

from selfcodec.arrays import Float64
from selfcodec.compiled import compiled

RIDGE = 40.0
"""It is added to the diagonal, which keeps filters small that little speaks for."""


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


@compiled
def add(products: Float64, seen: Float64, weight: float) -> None:
    """Adds the products of one sample (n,) to the lower triangle (n, n)."""
    for row in range(len(products)):
        own, factor = products[row], weight * seen[row]
        for k in range(row + 1):
            own[k] += factor * seen[k]


@compiled
def add_four(
    products: Float64,
    s0: Float64,
    s1: Float64,
    s2: Float64,
    s3: Float64,
    w0: float,
    w1: float,
    w2: float,
    w3: float,
) -> None:
    """The same of four samples, one after another, to every number while it is at hand."""
    for row in range(len(products)):
        own, f0, f1, f2, f3 = products[row], w0 * s0[row], w1 * s1[row], w2 * s2[row], w3 * s3[row]
        for k in range(row + 1):
            own[k] = (((own[k] + f0 * s0[k]) + f1 * s1[k]) + f2 * s2[k]) + f3 * s3[k]


@compiled
def solve(products: Float64, filters: Float64) -> None:
    """Sets the filters (C, n) that the products (n, n) make.

    The matrix is factored once, without square roots, into lower triangle, diagonal and the transposed triangle. In
    the triangle the row of a channel's residual is what the transposed triangle of what it sees makes of its filter.
    """
    n, channels = len(products), len(filters)
    factors = np.empty((n, n))
    for i in range(n):
        for k in range(i + 1):
            factors[i, k] = products[i, k]
        factors[i, i] += RIDGE
    _factor(factors)
    for channel in range(channels):
        of_residual, own = n - 1 - 2 * (channels - 1 - channel), filters[channel]
        for k in range(of_residual):
            own[k] = factors[of_residual, k]
        for k in range(of_residual - 1, 0, -1):
            row, found = factors[k], own[k]
            for i in range(k):
                own[i] -= row[i] * found


@compiled
def _factor(factors: Float64) -> None:
    """Factors a symmetric matrix (n, n) of which the lower triangle is set to that of the factor.

    A column is taken from all that are right of it, once it is known: four one after another from every number while
    it is at hand, but from the four themselves one by one.
    """
    n, columns = len(factors), np.empty((4, len(factors)))
    for first in range(0, n, 4):
        last = min(first + 4, n)
        for j in range(first, last):
            pivot, column = max(factors[j, j], 0.5 * RIDGE), columns[j - first]  # exactly it would be at least RIDGE
            for i in range(j + 1, n):
                row = factors[i]
                column[i] = row[j]
                row[j] /= pivot
                for k in range(j + 1, min(last, i + 1)):
                    row[k] -= row[j] * column[k]
        c0, c1, c2, c3 = columns[0], columns[1], columns[2], columns[3]
        for i in range(last, n):  # there are none after a last part of fewer than four
            row = factors[i]
            f0, f1, f2, f3 = row[first], row[first + 1], row[first + 2], row[first + 3]
            for k in range(last, i + 1):
                row[k] = (((row[k] - f0 * c0[k]) - f1 * c1[k]) - f2 * c2[k]) - f3 * c3[k]
