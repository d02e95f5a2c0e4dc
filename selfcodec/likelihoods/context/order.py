"""In which order the pixels of a variable are coded.

The image is cut into blocks that do not see each other. Within a block a pixel at (r, c) needs those at t' < t with
t = c + (CONTEXT_REACH + 1) r, so that all pixels of one t, in all blocks, are coded together: a wavefront.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from selfcodec.arrays import Int32, Int64
from selfcodec.likelihoods.layout import CONTEXT_REACH


@dataclass(frozen=True)
class Wavefront:
    """The order in which the pixels of some planes are coded together.

    Attributes:
        places: (N, 3) plane, row and column of every pixel, in coding order, int32.
        starts: (T + 1,) where each step begins; step t is places[starts[t] : starts[t + 1]], plane by plane.
        counts: (T, B) pixels of every plane in every step.
    """

    places: Int32
    starts: Int64
    counts: Int64


@lru_cache(maxsize=4)
def wavefront(sizes: tuple[tuple[int, int], ...], block: int) -> Wavefront:
    """By step, then by plane, block and row, for planes of (height, width) in blocks of block x block pixels."""
    orders = {size: _of_plane(size, block) for size in set(sizes)}
    steps = np.concatenate([orders[size][0] for size in sizes])
    order = np.argsort(steps, kind="stable")
    places = np.concatenate([np.insert(orders[size][1], 0, i, axis=1) for i, size in enumerate(sizes)])
    counts = np.stack([np.bincount(orders[size][0], minlength=steps.max() + 1) for size in sizes], 1)
    starts = np.append(0, np.cumsum(counts.sum(1)))
    return Wavefront(places[order], starts, counts)


def _of_plane(size: tuple[int, int], block: int) -> tuple[Int64, Int32]:
    """Number of its step, (N,), and row and column, (N, 2), of every pixel of one plane, in coding order."""
    rows, columns = np.divmod(np.arange(size[0] * size[1], dtype=np.int32), size[1])
    times = columns % block + (CONTEXT_REACH + 1) * (rows % block)
    order = np.lexsort((columns, rows, columns // block, rows // block, times))
    steps = np.unique(times[order], return_inverse=True)[1]  # in narrow planes no pixel has some times
    return steps, np.stack([rows[order], columns[order]], 1)
