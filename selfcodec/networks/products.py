"""Convolutions as matrix products, on images with channels last.

For every position the values around it, of all channels, are gathered into the row of a matrix, and rows times weights
are the sums. They are exact in any order of summation (`selfcodec.fixed_point`), so that whatever NumPy multiplies
matrices with gives the same bits. Positions go through in blocks, from gathering to rounding: what one step leaves is
still in a processor's cache at the next. Blocks are shared out among threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from selfcodec.arrays import Float32
from selfcodec.parallel import shared_out

POSITIONS_AT_ONCE = 1 << 9
"""A block has about so many positions, if a row has no more."""

Finish = Callable[[Float32], object]
"""What is done with sums (n, C'), in place."""
_Block = tuple[slice, slice]
"""Some rows of an image, or all of several images."""


def _blocks(images: int, height: int, width: int) -> Iterator[_Block]:
    rows = max(1, POSITIONS_AT_ONCE // width)
    if rows >= height:
        step = max(1, POSITIONS_AT_ONCE // (width * height))
        yield from ((slice(image, image + step), slice(0, height)) for image in range(0, images, step))
    else:
        for image in range(images):
            yield from ((slice(image, image + 1), slice(row, row + rows)) for row in range(0, height, rows))


def _neighbourhoods(x: Float32, kernel: int, border: int) -> Float32:
    """A view of x (B, H, W, C) with a border of zeros around it: (B, H', W', kernel, kernel, C)."""
    if border:
        b, h, w, c = x.shape
        padded = np.zeros((b, h + 2 * border, w + 2 * border, c), dtype=np.float32)
        padded[:, border:-border, border:-border] = x
        x = padded
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
    return windows.transpose(0, 1, 2, 4, 5, 3)


def _fill(out: Float32, around: Float32, matrix: Float32, finish: Finish) -> None:
    """Sums over neighbourhoods (B, H, W, k, k, C), given a matrix (k k C, C'), into `out` (B, H, W, C')."""

    def fill(block: _Block) -> None:
        rows = around[block].reshape(-1, len(matrix))
        own = out[block]
        if own.flags.c_contiguous:
            sums = np.matmul(rows, matrix, out=own.reshape(len(rows), -1))
            finish(sums)
        else:
            sums = rows @ matrix
            finish(sums)
            own[...] = sums.reshape(own.shape)

    shared_out([partial(fill, block) for block in _blocks(*out.shape[:3])])


def convolution(x: Float32, weight: Float32, stride: int, finish: Finish) -> Float32:
    """A convolution that pads with zeros.

    Args:
        x: (B, H, W, C).
        weight: (k, k, C, C').
        stride: 1 or more.
        finish: is given all sums, some of them at a time.

    Returns:
        (B, H', W', C').
    """
    kernel, channels = len(weight), weight.shape[3]
    around = _neighbourhoods(x, kernel, kernel // 2)[:, ::stride, ::stride]
    out = np.empty((*around.shape[:3], channels), dtype=np.float32)
    _fill(out, around, weight.reshape(-1, channels), finish)
    return out


def deconvolution(x: Float32, weight: Float32, finish: Finish) -> Float32:
    """A transposed convolution of kernel 4 and stride 2, less a border of one.

    An output at an even row sees the inputs of two rows, the one above and its own, and one at an odd row its own and
    the one below; columns likewise. So the four kinds of outputs are a convolution of kernel 2 each.

    Args:
        x: (B, H, W, C).
        weight: (4, 4, C, C').
        finish: see `convolution`.

    Returns:
        (B, 2 H, 2 W, C').
    """
    b, h, w, c = x.shape
    channels, around = weight.shape[3], _neighbourhoods(x, 2, 1)
    out = np.empty((b, 2 * h, 2 * w, channels), dtype=np.float32)
    for row in (0, 1):
        for column in (0, 1):
            taps = weight[3 - row :: -2, 3 - column :: -2].reshape(4 * c, channels)
            _fill(out[:, row::2, column::2], around[:, row : row + h, column : column + w], taps, finish)
    return out


def combination(a: Float32, b: Float32, scales: tuple[float, float], finish: Finish) -> Float32:
    """a and b (B, H, W, C), each times a number, added."""
    out = np.empty_like(a)

    def fill(block: _Block) -> None:
        own = np.multiply(a[block], scales[0], out=out[block])
        own += b[block] * scales[1]
        finish(own)

    shared_out([partial(fill, block) for block in _blocks(*out.shape[:3])])
    return out
