"""Photographs cut into patches of one size, to train on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from selfcodec.arrays import UInt8
from selfcodec.models.datasets import read_images, resized

SCALES = (1.0, 1.4, 0.7, 0.5)
"""Whole images are cut into patches at these scales: a photograph at half the size is a sharper one, an enlarged one is
as soft as cameras' own pixels, most of which are interpolated."""


def cut(pixels: UInt8, patch: int) -> UInt8:
    """An image (H, W, 3) in patches (N, patch, patch, 3); what is left at the edges is dropped."""
    rows, columns = pixels.shape[0] // patch, pixels.shape[1] // patch
    cut = pixels[: rows * patch, : columns * patch].reshape(rows, patch, columns, patch, 3)
    return cut.transpose(0, 2, 1, 3, 4).reshape(-1, patch, patch, 3)


def load_patches(paths: Iterable[Path], patch: int, *, several: bool) -> list[UInt8]:
    """Images cut into patches, each (N, patch, patch, 3); those that are too small are left out.

    Args:
        several: at every one of SCALES, and cut twice: also from half a patch off the corner.

    Raises:
        InputError: images cannot be read.
    """
    found = []
    for _, pixels in read_images(paths):
        patches = []
        for scale in SCALES if several else SCALES[:1]:
            width, height = (max(1, round(n * scale)) for n in (pixels.shape[1], pixels.shape[0]))
            scaled = pixels if scale == 1 else resized(pixels, width, height)
            patches.append(cut(scaled, patch))
            if several:
                patches.append(cut(scaled[patch // 2 :, patch // 2 :], patch))
        if any(map(len, patches)):
            found.append(np.concatenate(patches))
    return found
