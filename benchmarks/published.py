"""Rate-distortion curves that others have published, to be drawn beside what is measured here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FOLDER = "published"


@dataclass(frozen=True)
class PublishedCurve:
    """Means over a whole data set as their authors measured them, rising in rate.

    Attributes:
        title: the codec.
        source: where the figures are.
        bpp: bits per pixel.
        psnr: dB over RGB samples.
        ms_ssim: 0..1; empty where not published.
    """

    title: str
    source: str
    bpp: Sequence[float]
    psnr: Sequence[float]
    ms_ssim: Sequence[float] = ()


@cache
def published_curves(dataset: str) -> tuple[PublishedCurve, ...]:
    """What others have published on a data set (`published/DATASET.json`); nothing for most."""
    file = files("selfcodec.benchmarks") / FOLDER / f"{dataset}.json"
    if not file.is_file():
        return ()
    return tuple(PublishedCurve(**curve) for curve in json.loads(file.read_text(encoding="utf-8")))
