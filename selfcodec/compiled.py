"""Loops over pixels that numba compiles to machine code, on first use; they release Python's lock.

The result is kept beside the module, or in the user's cache where that is not writable, as long as no file of the codec
changes; where it cannot be kept or read, say for lack of space, it is compiled anew in every process. What they compute
is in integers, or in floating point without leave to reorder or to fuse operations.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.runtime.nrt import rtsys

F = TypeVar("F", bound=Callable[..., object])

_SOURCES = ("*.py", "coding/*.py", "likelihoods/**/*.py", "networks/*.py")
"""Code and constants that loops are made of lie in these files."""


@cache
def _tell() -> None:
    """Tells once in a process why it takes so long."""
    logging.getLogger(__package__).info("compiling loops for this processor, which takes up to a minute the first time")


@cache
def _sources_stamp() -> tuple[tuple[str, int, int], ...]:
    """Name, time and size of the sources: another version of any of them makes other loops."""
    root = Path(__file__).parent
    files = sorted(file for pattern in _SOURCES for file in root.glob(pattern))
    return tuple((str(file.relative_to(root)), (at := file.stat()).st_mtime_ns, at.st_size) for file in files)


class _Cache(FunctionCache):
    """Numba's cache on disk, which fails no call: whatever is wrong with it, the code in memory is as good.

    Numba itself looks at the file of a function only, though its code has that of the functions which it calls.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)
        own = self._impl.locator.get_source_stamp()
        name = self._impl.filename_base
        self._cache_file = IndexDataCacheFile(self._cache_path, name, (own, _sources_stamp()))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What is kept; None where nothing is, or nothing that can be read.

        Numba itself would first load all that it compiles with, for 0.2 s. To run what is kept its memory manager does.
        """
        found = None
        try:
            rtsys.initialize(target_context)
            with self._guard_against_spurious_io_errors():
                found = self._load_overload(sig, target_context)
        except Exception:  # whatever it is
            with suppress(Exception):
                self.flush()  # so that what is damaged is replaced
        if found is None:
            _tell()
        return found

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
    """Binary digits of a number of 0 to 2**63 - 1, 0 of 0: the exponent of one half of it as a float, exactly."""
    high = value >> 32
    half = high if high > 0 else value
    if half == 0:
        return 0
    exponent = (np.float64(half).view(np.int64) >> 52) - 1022
    return int(exponent + 32 if high > 0 else exponent)


@compiled
def shift(value: int, left: int) -> int:
    """value * 2**left, rounded half up."""
    return value << left if left >= 0 else (value + (1 << (-left - 1))) >> -left
