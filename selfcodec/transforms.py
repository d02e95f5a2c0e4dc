"""Self-supervised transformations d of an image: y = d(x) (the paper's section 3 and Figure 1).

    x (..., H, W, C) uint8  --d-->  y (..., ceil(H / factor), ceil(W / factor), channels) uint8

Training and the encoder evaluate d; the decoder never does, since y is transmitted. All of them but `pencil`
are computed in integers, so that x has the same y, and hence the same file, on every machine.

Every spatial filter here is one separable weighted sum with integer taps w, edges replicated:

    y[i, j] = clamp((sum_a sum_b w[a] w[b] x[s i + a - o, s j + b - o] + 2^(shift - 1)) >> shift, 0, 255)

with stride s, o = (len(w) - s) / 2 and 2^shift = (sum w)^2: one rounding (half up), after both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfcodec.errors import InputError

Pixels = NDArray[np.uint8]

# Keys' cubic with a = -1/2, stretched by two against aliasing, at the distances 1/4, 3/4, 5/4 and 7/4 of the
# output's centre from the pixels around it: the weights are whole multiples of 1/256, so nothing is lost.
BICUBIC_TAPS = (-3, -9, 29, 111, 111, 29, -9, -3)

# round(256 g(i)) of a Gaussian with a standard deviation of 3 pixels, cut at 8 pixels and normalised.
GAUSSIAN_TAPS = (1, 2, 5, 9, 14, 21, 27, 32, 34, 32, 27, 21, 14, 9, 5, 2, 1)

BAND_SAMPLES = 1 << 24
"""Filters take about so many samples at a time."""

# ITU-R BT.601 luma in 256ths; they sum to 256, so that a grey pixel keeps its value.
GREY_WEIGHTS = (77, 150, 29)


@dataclass(frozen=True)
class Transform:
    """One transformation d.

    Attributes:
        name: what `get_transform` knows it by.
        factor: by how much each side shrinks: a power of two, 1 to 16.
        channels: channels of y for an RGB x: 3 or 1. A grey x has a grey y.
        apply: d itself, on a checked array.
    """

    name: str
    factor: int
    channels: int
    apply: Callable[[Pixels], Pixels]

    def __call__(self, x: Pixels) -> Pixels:
        """d(x).

        Args:
            x: uint8 (..., H, W, C), H and W at least 1, C 3 (RGB) or 1 (grey); the rest is a batch.

        Returns:
            uint8 (..., ceil(H / factor), ceil(W / factor), channels), or 1 channel where C is 1.

        Raises:
            InputError: x has another type or shape.
        """
        if x.dtype != np.uint8:
            raise InputError(f"transformation {self.name!r} takes 8-bit pixels, not {x.dtype}")
        if x.ndim < 3 or x.shape[-1] not in (1, 3) or min(x.shape[-3:-1]) < 1:
            raise InputError(f"transformation {self.name!r} takes pixels (..., H >= 1, W >= 1, 1 or 3), not {x.shape}")
        return self.apply(x)


def _filtered_axis(
    x: NDArray[np.integer[Any]], taps: Sequence[int], stride: int, axis: int, start: int, stop: int
) -> NDArray[np.int32]:
    """sum_a taps[a] x[stride i + a - o] along `axis`, for i in start .. stop - 1."""
    first = stride * start - (len(taps) - stride) // 2
    places = np.arange(first, first + stride * (stop - start - 1) + len(taps))
    inside = np.clip(places, 0, x.shape[axis] - 1)  # edges are replicated
    near = np.moveaxis(x.take(inside, axis).astype(np.int32), axis, 0)
    span = stride * (stop - start - 1) + 1
    total = taps[0] * near[0:span:stride]
    for offset, tap in enumerate(taps[1:], start=1):
        total += tap * near[offset : offset + span : stride]
    return np.moveaxis(total, 0, axis)


def _filtered(x: Pixels, taps: Sequence[int], stride: int = 1) -> Pixels:
    """The module's formula on (..., H, W, C); a partial sum stays below 255 (sum |taps|)^2 < 2^25."""
    shift = 2 * (sum(taps).bit_length() - 1)
    rows, columns = (-(-size // stride) for size in x.shape[-3:-1])
    out = np.empty((*x.shape[:-3], rows, columns, x.shape[-1]), dtype=np.uint8)
    band = max(1, BAND_SAMPLES * x.shape[-3] // max(1, x.size * stride))
    for start in range(0, rows, band):  # a large image's sums would take four times as much memory as the image
        stop = min(start + band, rows)
        total = _filtered_axis(x, taps, stride, x.ndim - 3, start, stop)
        total = _filtered_axis(total, taps, stride, x.ndim - 2, 0, columns)
        rounded = (total + (1 << (shift - 1))) >> shift
        out[..., start:stop, :, :] = np.clip(rounded, 0, 255)
    return out


def box_mean(factor: int) -> Callable[[Pixels], Pixels]:
    """y = (sum of the block + n / 2) >> log2(n) over each block of n = factor x factor; `factor` a power of two."""

    def mean(x: Pixels) -> Pixels:
        return _filtered(x, (1,) * factor, stride=factor)

    return mean


def bicubic(x: Pixels) -> Pixels:
    """Half size by antialiased bicubic interpolation, 8 taps a direction: the downscaling of the paper."""
    return _filtered(x, BICUBIC_TAPS, stride=2)


def blur(x: Pixels) -> Pixels:
    """Gaussian blur, standard deviation 3 pixels."""
    return _filtered(x, GAUSSIAN_TAPS)


def grayscale(x: Pixels) -> Pixels:
    """y = (77 R + 150 G + 29 B + 128) >> 8; a grey x is its own y."""
    if x.shape[-1] == 1:
        return x.copy()
    wide = x.astype(np.int32)
    red, green, blue = GREY_WEIGHTS
    luma = (red * wide[..., 0] + green * wide[..., 1] + blue * wide[..., 2] + 128) >> 8
    return luma.astype(np.uint8)[..., None]


def sketch(x: Pixels) -> Pixels:
    """Dodge and burn: the grey image g blended with its blurred inverse b (the paper's appendix A.3).

    y = min(255, floor((255 g + (n >> 1)) / n)) with n = 255 - b, and 255 where n = 0: paper white wherever a
    pixel is at least as light as its neighbourhood, a line where it is darker.
    """
    grey = grayscale(x)
    neighbourhood = 255 - blur(255 - grey).astype(np.int32)
    divisor = np.maximum(neighbourhood, 1)
    dodged = (255 * grey.astype(np.int32) + (divisor >> 1)) // divisor
    y = np.where(neighbourhood == 0, 255, np.minimum(dodged, 255))
    return y.astype(np.uint8)


def pencil(x: Pixels) -> Pixels:
    """OpenCV's pencil sketch, by the edge-aware filter that the paper's experiments use (its reference 44).

    It computes in floating point inside OpenCV, so that y may depend on the machine and on OpenCV's version.
    It is only for models whose files carry y: the decoder then reads y and never evaluates d.

    Raises:
        InputError: OpenCV is missing or cannot be loaded.
    """
    try:
        import cv2  # here, because nothing else needs it, and on a bare server it may fail to load
    except ImportError as error:
        raise InputError(f"transformation 'pencil' needs OpenCV, which does not load: {error}") from error
    height, width, channels = x.shape[-3:]
    images = x.reshape(-1, height, width, channels)
    y = np.empty((*images.shape[:3], 1), dtype=np.uint8)
    for image, out in zip(images, y, strict=True):
        bgr = np.ascontiguousarray(np.broadcast_to(image[..., ::-1], (height, width, 3)))
        grey, _ = cv2.pencilSketch(bgr, sigma_s=60, sigma_r=0.07, shade_factor=0.1)
        out[..., 0] = grey
    return y.reshape(*x.shape[:-1], 1)


def n_bit(bits: int) -> Callable[[Pixels], Pixels]:
    """The map that keeps the high `bits` (1..7) of a value and repeats them below, so that 0 and 255 stay."""
    high = np.arange(256) >> (8 - bits)
    table = np.zeros(256, dtype=np.int64)
    for shift in range(8 - bits, -bits, -bits):
        table |= high << shift if shift >= 0 else high >> -shift
    lookup = table.astype(np.uint8)

    def quantised(x: Pixels) -> Pixels:
        return lookup[x]

    return quantised


TRANSFORMS: dict[str, Transform] = {
    transform.name: transform
    for transform in (
        Transform("downscale", factor=2, channels=3, apply=box_mean(2)),
        *(Transform(f"downscale{n}", factor=n, channels=3, apply=box_mean(n)) for n in (4, 8, 16)),
        Transform("bicubic", factor=2, channels=3, apply=bicubic),
        Transform("sketch", factor=1, channels=1, apply=sketch),
        Transform("pencil", factor=1, channels=1, apply=pencil),
        Transform("grayscale", factor=1, channels=1, apply=grayscale),
        Transform("blur", factor=1, channels=3, apply=blur),
        *(Transform(f"{bits}bit", factor=1, channels=3, apply=n_bit(bits)) for bits in (1, 2, 3, 4)),
    )
}


def get_transform(name: str) -> Transform:
    """The transformation of that name.

    Raises:
        InputError: there is none; the message lists the names.
    """
    try:
        return TRANSFORMS[name]
    except KeyError:
        raise InputError(f"no transformation {name!r}; there are {', '.join(TRANSFORMS)}") from None
