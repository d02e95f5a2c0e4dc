"""Types of NumPy arrays by what they hold, and shapes that may be misunderstood."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Bool = npt.NDArray[np.bool_]
UInt8 = npt.NDArray[np.uint8]
UInt16 = npt.NDArray[np.uint16]
UInt32 = npt.NDArray[np.uint32]
UInt64 = npt.NDArray[np.uint64]
Words = UInt32
"""An entropy-coded stream is made of such words."""
Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Integers = npt.NDArray[np.integer[Any]]
"""Whole numbers of any type."""
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def meant_as_one(shape: tuple[int, ...]) -> tuple[str, ...]:
    """A line to tell of the shape (N, H, W) of many grey pictures that looks like one in colours; none of any other."""
    if len(shape) != 3 or shape[2] not in (3, 4):
        return ()
    number, height, width = shape
    return (
        f"an array {shape} is taken as {number} grey pictures of {width}×{height}; if it is one of {height}×{number} in"
        " colours, give array[None]",
    )
