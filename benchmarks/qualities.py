"""Measures of fidelity by which curves are drawn and compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfcodec.benchmarks.published import PublishedCurve
from selfcodec.benchmarks.results import Value


def in_decibels(ms_ssim: float | None) -> float | None:
    """Return MS-SSIM as -10 log10(1 - m), in which differences near 1 show; None for 1 and for none."""
    return None if ms_ssim is None or ms_ssim >= 1 else -10 * math.log10(1 - ms_ssim)


@dataclass(frozen=True)
class Quality:
    """What stands on the vertical axis over a rate.

    Attributes:
        name: of a plot's files.
        title: for readers.
        label: of the axis.
        value: of a point; None where unknown.
        published: of a curve that others have published; empty where unknown.
    """

    name: str
    title: str
    label: str
    value: Value
    published: Callable[[PublishedCurve], Sequence[float]]


PSNR = Quality("psnr", "PSNR", "PSNR, dB", lambda p: p.psnr, lambda curve: curve.psnr)
MS_SSIM = Quality(
    "ms-ssim",
    "MS-SSIM",
    "MS-SSIM, dB",
    lambda p: in_decibels(p.ms_ssim),
    lambda curve: [decibels for m in curve.ms_ssim if (decibels := in_decibels(m)) is not None],
)
SSIMULACRA2 = Quality("ssimulacra2", "SSIMULACRA 2", "SSIMULACRA 2", lambda p: p.ssimulacra2, lambda curve: ())
QUALITIES = {quality.name: quality for quality in (PSNR, MS_SSIM, SSIMULACRA2)}
"""Reports have a plot of each of these."""
