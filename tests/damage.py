"""Images of random samples, and damage to their bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from selfcodec.errors import FormatError


def noise(mode: str, size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Return an image of random samples; for P with a random palette of 200 colours that all are in range."""
    rng = np.random.default_rng(seed)
    width, height = size
    if mode == "1":
        return Image.fromarray(rng.random((height, width)) < 0.5)
    if mode == "P":
        image = Image.fromarray(rng.integers(0, 200, (height, width), np.uint8))
        image.putpalette(rng.integers(0, 256, 600, np.uint8).tobytes())
        return image
    channels = len(mode)
    samples = rng.integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(samples[..., 0] if channels == 1 else samples)


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
