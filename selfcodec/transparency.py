"""Colours under full transparency, which nobody sees: in lossy files they are whatever costs least."""

from __future__ import annotations

import numpy as np

from selfcodec.arrays import Bool, Float32, UInt8


def hidden_filled(planes: UInt8, alpha: UInt8) -> UInt8:
    """The colours with what is hidden replaced by smooth continuations of what is seen.

    A pyramid of averages of the visible pixels gives every hidden one the finest average that there is around it
    (push-pull, Gortler et al. 1996, https://doi.org/10.1145/237170.237200).

    Args:
        planes: (H, W, C).
        alpha: (H, W); 0 hides a pixel.

    Returns:
        (H, W, C); the same array where nothing is hidden.
    """
    seen = alpha > 0
    if seen.all():
        return planes
    filled = planes.copy()
    filled[~seen] = np.rint(_continued(planes.astype(np.float32), seen)[~seen])
    return filled


def _continued(colours: Float32, seen: Bool) -> Float32:
    """Colours (H, W, C), those that are not seen continued from those that are; mid-grey where none is."""
    height, width, _ = colours.shape
    if seen.all():
        return colours
    if not seen.any():
        return np.full_like(colours, 128)
    padded = np.pad(colours * seen[..., None], ((0, height % 2), (0, width % 2), (0, 0)))
    weight = np.pad(seen, ((0, height % 2), (0, width % 2)))
    total, count = (
        part.reshape(part.shape[0] // 2, 2, part.shape[1] // 2, 2, -1).sum((1, 3), dtype=np.float32)
        for part in (padded, weight)
    )
    coarse = _continued(total / np.maximum(count, 1), count[..., 0] > 0)
    fine = coarse.repeat(2, 0).repeat(2, 1)[:height, :width]
    return np.where(seen[..., None], colours, fine)
