"""Pictures turned upright, by the orientation that EXIF gives them, 1..8; 1 is upright."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from selfcodec.arrays import UInt16
from selfcodec.images.deep import AnyImage, DeepImage

_TURNS: dict[int, Callable[[UInt16], UInt16]] = {
    2: lambda s: s[:, ::-1],
    3: lambda s: s[::-1, ::-1],
    4: lambda s: s[::-1],
    5: lambda s: s.swapaxes(0, 1),
    6: lambda s: s[::-1].swapaxes(0, 1),
    7: lambda s: s[::-1, ::-1].swapaxes(0, 1),
    8: lambda s: s[:, ::-1].swapaxes(0, 1),
}
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The same for images of Pillow's."""


def turned(samples: UInt16, orientation: int) -> UInt16:
    """Return samples (H, W, ...) as they are to be shown; themselves where the orientation is none of 2..8."""
    turn = _TURNS.get(orientation)
    return samples if turn is None else turn(samples)


def turned_image(image: AnyImage, orientation: int) -> AnyImage:
    """Return an image as it is to be shown, orientation 2..8, with the same metadata."""
    if isinstance(image, DeepImage):
        return DeepImage(image.mode, turned(image.samples, orientation), dict(image.info))
    return image.transpose(_TRANSPOSES[orientation])
