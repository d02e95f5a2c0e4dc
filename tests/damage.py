"""Damage to bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np

from selfcodec.errors import FormatError


def fuzz(data: bytes, unpack: Callable[[bytes], object], trials: int = 300) -> None:
    """Damage and cut the bytes; nothing but FormatError may come out."""
    rng = np.random.default_rng(len(data))
    for size in range(min(len(data), 200)):
        with contextlib.suppress(FormatError):
            unpack(data[:size])
    for _ in range(trials):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        with contextlib.suppress(FormatError):
            unpack(bytes(damaged))
