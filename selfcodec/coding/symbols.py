"""Numbers as symbols of small alphabets, and their frequencies under integer distributions.

A number 0..255 is coded as two 16-way symbols, its high and its low half, so that the CDF is evaluated at 17 + 17
points instead of 257, and one of four possible numbers as one 4-way symbol.

Where a distribution is unbounded, 0 and 255 are followed by an escape, which tells how far beyond them the number lies:
in hexadecimal, first how many digits that takes, then the digits.
"""

from __future__ import annotations

import numpy as np

from selfcodec.arrays import Float64, Int64
from selfcodec.coding.mixture import Mixture

ALPHABET = 16
"""A number is coded as two symbols of this many values, the high one first."""
CHUNK = 8192
"""So many numbers of an image are coded together: all high symbols, then all low ones, then escapes. This is part of
the format."""
ESCAPE_DIGITS = 7
"""An escape has at most so many hexadecimal digits."""
LENGTHS = np.ldexp(1.0, np.arange(ESCAPE_DIGITS)[::-1])
"""An escape's number of digits less one has these frequencies: each is half as frequent as the one before."""
UNIFORM = np.ones(ALPHABET)


def frequencies_of(mixture: Mixture, start: Int64, width: int, count: int = ALPHABET) -> Float64:
    """Frequencies (B, N, count) of the symbols of `width` numbers each from `start` (B, N); integers, at least 1.

    Numbers in a row that are alike, as all of a latent that carries nothing, are looked at once.
    """
    change = mixture.changes() | (start[:, 1:] != start[:, :-1]).any(0)
    firsts = np.flatnonzero(np.append(True, change))
    if alike := 2 * len(firsts) < start.shape[1]:
        mixture, start = mixture.part(firsts), start[:, firsts]
    edges = start[..., None] + width * np.arange(count + 1)
    found = (np.diff(mixture.cumulative(edges), axis=-1) + 1).astype(np.float64)
    return found.repeat(np.diff(firsts, append=len(change) + 1), axis=1) if alike else found


def repeated(frequencies: Float64, count: int) -> Float64:
    """The same frequencies (K,) for `count` symbols, (count, K)."""
    return np.tile(frequencies, (count, 1))
