"""What an encoder notes of symbols until it writes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from selfcodec.arrays import Float64, Int64, UInt8, UInt16, UInt32
from selfcodec.coding import stack
from selfcodec.coding.tables import PRECISION

Stack: TypeAlias = Any
"""An `AnsCoder`, whichever it is."""
Symbols = Sequence[Int64] | Int64 | UInt8
"""Each image has (n,) of them; an array has as many of each, (B, n)."""
Frequencies = Sequence[Float64] | Float64 | UInt16
"""They are exact integers, not normalised: of each image's symbols (n, count)."""

_COSTS_AT_ONCE = 1 << 12
"""The costs of so many symbols are computed together, in a processor's cache."""


@cache
def _up_to(count: int) -> Float64:
    """A matrix (count, count) that takes frequencies to the sums of the first 1, 2, ... of them."""
    return np.triu(np.ones((count, count)))


def _bits(frequencies: Float64 | UInt16, symbols: Int64 | UInt8) -> float:
    """-log2 of the probabilities of symbols (N,), which are multiples of 2**-24, from frequencies (N, count).

    Of n frequencies symbol i has what lies between two sums, scaled and rounded down, and one more unit.
    """
    total, count = 0.0, frequencies.shape[1]
    up_to, free = _up_to(count), 2.0**PRECISION - count
    for start in range(0, len(symbols), _COSTS_AT_ONCE):
        own = symbols[start : start + _COSTS_AT_ONCE]
        exact, at = frequencies[start : start + _COSTS_AT_ONCE].astype(np.float64), np.arange(len(own))
        sums = exact @ up_to  # of integers, and exact in any order
        scale, above = free / sums[:, -1], sums[at, own]
        ends = np.where(own == count - 1, free, np.floor(above * scale))
        total += float((PRECISION - np.log2(ends - np.floor((above - exact[at, own]) * scale) + 1)).sum())
    return total


class Notes(ABC):
    """Symbols of every image that an encoder is to code."""

    @abstractmethod
    def bits(self) -> Float64:
        """-log2 of the probability of each image's, (B,)."""

    @abstractmethod
    def onto(self, coder: Stack, image: int) -> Stack:
        """An image's coder with its symbols on top."""


@dataclass(frozen=True)
class Weighted(Notes):
    """Each image's symbols (n,) with their frequencies (n, count)."""

    symbols: Symbols
    frequencies: Frequencies

    def bits(self) -> Float64:
        return np.array([_bits(f, s) for f, s in zip(self.frequencies, self.symbols, strict=True)])

    def onto(self, coder: Stack, image: int) -> Stack:
        if len(symbols := self.symbols[image]):
            weights = np.ascontiguousarray(self.frequencies[image], dtype=np.float64)
            coder.encode_reverse(symbols.astype(np.int32), stack.MODEL, weights)
        return coder


@dataclass(frozen=True)
class Intervals(Notes):
    """Each image's symbols by where their intervals of 2**24 start, (n,), and their sizes (n,), from compiled loops."""

    starts: Sequence[UInt32]
    sizes: Sequence[UInt32]

    def bits(self) -> Float64:
        return np.array([PRECISION * len(sizes) - np.log2(sizes).sum() for sizes in self.sizes])

    def onto(self, coder: Stack, image: int) -> Stack:
        from selfcodec.coding.ans import AnsCoder as Own  # here, since only loops need numba, which takes long to load

        own = Own(coder.get_compressed())
        own.encode_intervals(self.starts[image], self.sizes[image])
        return stack.AnsCoder(own.get_compressed())
