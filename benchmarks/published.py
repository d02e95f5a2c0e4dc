"""Rate-distortion curves that others have published, to be drawn beside what is measured here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from selfcodec.benchmarks.results import Run, curves

FOLDER = "published"


@dataclass(frozen=True)
class PublishedCurve:
    """Means over a whole data set as their authors measured them, rising in rate.

    Attributes:
        title: the codec.
        source: where the figures are.
        images: how many the data set has; nothing else is to be compared with part of it.
        bpp: bits per pixel.
        psnr: dB over RGB samples.
        ms_ssim: 0..1; empty where not published.
    """

    title: str
    source: str
    images: int
    bpp: Sequence[float]
    psnr: Sequence[float]
    ms_ssim: Sequence[float] = ()


def published_beside(run: Run) -> tuple[PublishedCurve, ...]:
    """Return the curves that a run's own can be compared with; none where it has no curves, or other images."""
    images = len({record.image for record in run.records})
    if not any(curves(run, lambda p: p.psnr)):
        return ()
    return tuple(curve for curve in published_curves(run.dataset) if curve.images == images)


@cache
def published_curves(dataset: str) -> tuple[PublishedCurve, ...]:
    """Return what others have published on a data set (`published/DATASET.json`); nothing for most."""
    file = files("selfcodec.benchmarks") / FOLDER / f"{dataset}.json"
    if not file.is_file():
        return ()
    return tuple(PublishedCurve(**curve) for curve in json.loads(file.read_text(encoding="utf-8")))
