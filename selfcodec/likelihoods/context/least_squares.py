"""Weighted least squares over what is gathered product by product, for several targets: each also sees those before.

A sample has what filters see and what they are to find, in such an order that a filter sees the first things of it.
Gathered are the sums of the products of all pairs, the lower triangle of a symmetric matrix, which is factored once for
all filters. All of it is float64 in the order in which it is written, see `adapting`.
"""

from __future__ import annotations

import numpy as np

from selfcodec.arrays import Float64, Int32, Int64
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
def take_in(places: Int32, seen: Float64, weights: Float64, products: Float64, fresh: Int64) -> None:
    """Adds samples to their planes' products, and counts them.

    Args:
        places: (n, 3), the first is the plane; samples come plane by plane.
        seen, weights: (n or more, m) and (n or more,), the samples and what they count.
        products, fresh: (B, m, m) and (B,), of every plane.
    """
    i, count = 0, len(places)
    while i < count:
        b = np.int64(places[i, 0])
        if i + 3 < count and places[i + 3, 0] == b:
            w0, w1, w2, w3 = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
            add_four(products[b], seen[i], seen[i + 1], seen[i + 2], seen[i + 3], w0, w1, w2, w3)
            taken = 4
        else:
            add(products[b], seen[i], weights[i])
            taken = 1
        fresh[b] += taken
        i += taken


@compiled
def factored(products: Float64) -> Float64:
    """The lower triangle (n, n) that makes the products, with a diagonal between it and its transpose."""
    n = len(products)
    factors = np.empty((n, n))
    for i in range(n):
        for k in range(i + 1):
            factors[i, k] = products[i, k]
        factors[i, i] += RIDGE
    _factor(factors)
    return factors


@compiled
def regress(factors: Float64, target: int, given: int, filter_: Float64) -> None:
    """Sets the filter's first numbers to those that make the target of the first `given` things in a sample.

    In the triangle the row of the target is what the transposed triangle of what is given makes of the filter.
    """
    for k in range(given):
        filter_[k] = factors[target, k]
    for k in range(given - 1, 0, -1):
        row, found = factors[k], filter_[k]
        for i in range(k):
            filter_[i] -= row[i] * found


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
