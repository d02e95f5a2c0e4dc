"""Images of random samples."""

from __future__ import annotations

import numpy as np
from PIL import Image


def noise(
    mode: str, size: tuple[int, int] = (31, 33), seed: int = 0, *, levels: int = 256, grey: bool = False
) -> Image.Image:
    """An image of random samples.

    Args:
        mode: 1, L, LA, P with a palette of 200 colours that all indices are in, RGB or RGBA.
        size: width and height.
        seed: of the random numbers.
        levels: so many different samples there are at most, in modes other than 1 and P.
        grey: the colours of the palette are greys.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    if mode == "1":
        return Image.fromarray(rng.random((height, width)) < 0.5)
    if mode == "P":
        image = Image.fromarray(rng.integers(0, 200, (height, width), np.uint8))
        colours = rng.integers(0, 256, (200, 1 if grey else 3), np.uint8)
        image.putpalette(np.broadcast_to(colours, (200, 3)).tobytes())
        return image
    values = rng.permutation(256)[:levels].astype(np.uint8)
    samples = rng.choice(values, (height, width, len(mode)))
    return Image.fromarray(samples[..., 0] if mode == "L" else samples)
