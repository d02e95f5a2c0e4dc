"""Loops over pixels that numba compiles to machine code, on first use; they release Python's lock.

The result is kept beside the module, or in the user's cache where that is not writable; where it cannot be kept or
read, say for lack of space, it is compiled anew in every process. What they compute is in integers, or in float64
without leave to reorder or to fuse operations.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

from numba import njit
from numba.core.caching import FunctionCache

F = TypeVar("F", bound=Callable[..., object])


class _Cache(FunctionCache):
    """Numba's cache on disk, which fails no call: whatever is wrong with it, the code in memory is as good."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What is kept; None where nothing is, or nothing that can be read."""
        with suppress(Exception):
            return super().load_overload(sig, target_context)
        with suppress(Exception):
            self.flush()  # so that what is damaged is replaced
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keeps it if that can be."""
        with suppress(Exception):
            super().save_overload(sig, data)


def compiled(function: F) -> F:
    """Decorator: the function as machine code."""
    made: Any = njit(nogil=True)(function)
    with suppress(RuntimeError):  # there is no place to keep the result
        made._cache = _Cache(function)  # as `cache=True` does with Numba's own
    return cast(F, made)


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
