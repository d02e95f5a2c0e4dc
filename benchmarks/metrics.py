"""Measures of size and fidelity."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError
from selfcodec.fidelity import decibels

MS_SSIM_SIDE = 161
"""An image needs sides of so many pixels for MS-SSIM: five scales with windows of 11 (Wang et al. 2003)."""


def psnr(image: UInt8, other: UInt8) -> float:
    """Return 10 log10(255^2 / MSE) in dB over all samples of two arrays of one shape; infinity where they are equal."""
    if image.shape != other.shape or image.dtype != np.uint8 or other.dtype != np.uint8:
        raise ValueError(f"PSNR of {image.shape} {image.dtype} and {other.shape} {other.dtype}")
    return decibels(float(np.square(image.astype(np.float64) - other).mean()))


def ms_ssim(image: UInt8, other: UInt8) -> float | None:
    """Return the structural similarity of two images (H, W, C) at five scales, 0..1; None where they are too small.

    Wang, Simoncelli and Bovik 2003, https://doi.org/10.1109/ACSSC.2003.1292216, as pytorch-msssim computes it.

    Raises:
        InputError: that package is missing.
    """
    if min(image.shape[:2]) < MS_SSIM_SIDE:
        return None
    if np.array_equal(image, other):
        return 1.0
    try:
        from pytorch_msssim import ms_ssim as of_batches
    except ImportError as error:
        raise InputError("MS-SSIM needs the package pytorch-msssim: pip install 'selfcodec[bench]'") from error
    # Copies, since PyTorch warns of arrays that cannot be written, as some codecs return.
    batches = (torch.from_numpy(np.array(x)).permute(2, 0, 1)[None].float() for x in (image, other))  # (1, C, H, W)
    return float(of_batches(*batches, data_range=255))


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def mean_finite(values: Sequence[float]) -> float | None:
    """Return the mean of what is finite; None where nothing is."""
    return mean([value for value in values if math.isfinite(value)])


def bits_per_pixel(size: float, height: int, width: int) -> float:
    """Return the bits per pixel of `size` bytes."""
    return 8 * size / (height * width)


def bits_per_dim(size: float, shape: tuple[int, ...]) -> float:
    """Return the bits per dimension of `size` bytes for an image of shape (H, W, C)."""
    return 8 * size / math.prod(shape)
