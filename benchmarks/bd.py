"""Bjøntegaard deltas: how far one rate-distortion curve lies from another, on average over the qualities both reach."""

from __future__ import annotations

import math
from collections.abc import Sequence

from selfcodec.errors import InputError

OVERLAP = 0.25
"""Where curves share less than this part of the narrower one's range of qualities, their distance means nothing."""


def _usable(rates: Sequence[float], qualities: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the points that rise in both rate and quality, as interpolation needs them."""
    out: list[tuple[float, float]] = []
    for rate, quality in sorted(zip(rates, qualities, strict=True)):
        if math.isfinite(quality) and (not out or (rate > out[-1][0] and quality > out[-1][1])):
            out.append((rate, quality))
    return [rate for rate, _ in out], [quality for _, quality in out]


def bd_rate(
    anchor: tuple[Sequence[float], Sequence[float]],
    test: tuple[Sequence[float], Sequence[float]],
    method: str = "pchip",
) -> float | None:
    """Return by how many per cent a curve's rate lies above (below: negative) an anchor's at equal quality.

    Bjøntegaard 2001, VCEG-M33; interpolated as in JCTVC-L1100, by the package bjontegaard.

    Args:
        anchor, test: rates (any unit, above 0) and qualities (any unit, more is better).
        method: `pchip`, `akima`, or `cubic`, the original one.

    Returns:
        per cent; None where a curve has fewer than two points (four for `cubic`) or the curves share too little.

    Raises:
        InputError: the package is missing.
    """
    try:
        from bjontegaard import bd_rate as delta
    except ImportError as error:
        raise InputError("BD-rates need the package bjontegaard: pip install 'selfcodec[bench]'") from error
    a, t = _usable(*anchor), _usable(*test)
    if min(len(a[0]), len(t[0])) < (4 if method == "cubic" else 2):
        return None
    shared = min(a[1][-1], t[1][-1]) - max(a[1][0], t[1][0])
    if shared <= OVERLAP * min(a[1][-1] - a[1][0], t[1][-1] - t[1][0]):
        return None
    return float(delta(*a, *t, method=method, require_matching_points=False, min_overlap=0))
