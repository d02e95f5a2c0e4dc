"""Finds the quality that meets a target, by bisection over 1..100."""

from __future__ import annotations

from collections.abc import Callable

from selfcodec.errors import InputError

LOWEST, HIGHEST = 1, 100


def largest_within(size_at: Callable[[int], int], limit: int) -> int:
    """The largest quality whose size in bytes is at most `limit`, if sizes rise with quality.

    Where they do not, a quality that fits, though perhaps not the largest.

    Raises:
        InputError: no quality that was tried fits, the lowest included; names the smallest size.
    """
    low, high, best = LOWEST, HIGHEST, 0
    tried: dict[int, int] = {}
    while low <= high:
        middle = (low + high) // 2
        tried[middle] = size_at(middle)
        if tried[middle] <= limit:
            best, low = middle, middle + 1
        else:
            high = middle - 1
    if not best:
        quality = min(tried, key=lambda q: tried[q])
        raise InputError(
            f"{limit} bytes are too few in this mode: quality {quality} takes {tried[quality]}; try another mode"
        )
    return best


def smallest_reaching(psnr_at: Callable[[int], float], target: float) -> int:
    """The smallest quality whose PSNR in dB is at least `target`, if PSNR rises with quality.

    Where it does not, a quality that reaches it, though perhaps not the smallest.

    Raises:
        InputError: no quality that was tried reaches it, the highest included; names the best PSNR.
    """
    low, high, best = LOWEST, HIGHEST, 0
    tried: dict[int, float] = {}
    while low <= high:
        middle = (low + high) // 2
        tried[middle] = psnr_at(middle)
        if tried[middle] >= target:
            best, high = middle, middle - 1
        else:
            low = middle + 1
    if not best:
        quality = max(tried, key=lambda q: tried[q])
        raise InputError(
            f"{target:g} dB are too many in this mode: quality {quality} reaches {tried[quality]:.2f}; try another mode"
        )
    return best
