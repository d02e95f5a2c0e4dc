"""Crops side by side: the original, our version of it, and AVIF's of equal bytes."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from selfcodec.benchmarks.reports.looks import Look, Version
from selfcodec.benchmarks.reports.tables import number
from selfcodec.models.mosaic import Row, mosaic

SIDE = 384
"""Crops are enlarged by a whole factor to at most so many pixels."""


def _caption(name: str, version: Version) -> str:
    return (
        f"{name}: {version.bytes:,} bytes\n{number(version.psnr, 2)} dB, SSIMULACRA 2 {number(version.ssimulacra2, 1)}"
    )


def rows(looks: Sequence[Look], ours: str, avif: str) -> list[Row]:
    """Return one row of crops a look; `ours` and `avif` name the coders."""
    return [
        Row(
            look.crops,
            captions=(
                f"{look.image}\n{look.rate:g} bits per pixel",
                _caption(ours, look.ours),
                _caption(avif, look.avif),
            ),
        )
        for look in looks
    ]


def draw(looks: Sequence[Look], ours: str, avif: str) -> Image.Image:
    """Draw the rows."""
    return mosaic(rows(looks, ours, avif), side=SIDE)
