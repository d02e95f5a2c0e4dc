"""Loops over pixels that numba compiles to machine code, on first use; they release Python's lock.

The result is kept beside the module, or in the user's cache where that is not writable. Only integers are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Decorator: the function as machine code."""
    try:
        return cast(F, njit(cache=True, nogil=True)(function))
    except RuntimeError:  # there is no place to keep the result
        return cast(F, njit(nogil=True)(function))


@compiled
def bit_length(value: int) -> int:
    """Binary digits of a number, 0 of 0."""
    digits = 0
    while value > 0:
        value >>= 1
        digits += 1
    return digits


@compiled
def shift(value: int, left: int) -> int:
    """value * 2**left, rounded half up."""
    return value << left if left >= 0 else (value + (1 << (-left - 1))) >> -left
