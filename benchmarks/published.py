"""Figures that others have published, to stand beside what is measured here: rate-distortion curves, likelihoods."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from selfcodec.benchmarks.results import Run, curves

FOLDER = "published"
TABLE_1 = "likelihoods/gatopoulos-2021"
"""The paper's own."""


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


@dataclass(frozen=True)
class PublishedModel:
    """A model of the paper's Table 1.

    Attributes:
        name: of our recipe and model.
        title: what the paper calls it.
        dataset: what it was trained and evaluated on, as the paper calls that.
        bpd: bits per dimension, by the importance weighted bound.
        fid: from the test images; None where there is none.
    """

    name: str
    title: str
    dataset: str
    bpd: float
    fid: float | None = None


def published_beside(run: Run) -> tuple[PublishedCurve, ...]:
    """Return the curves that a run's own can be compared with; none where it has no curves, or other images."""
    images = len({record.image for record in run.records})
    if not any(curves(run, lambda p: p.psnr)):
        return ()
    return tuple(curve for curve in published_curves(run.dataset) if curve.images == images)


@cache
def published_curves(dataset: str) -> tuple[PublishedCurve, ...]:
    """Return what others have published on a data set (`published/DATASET.json`); nothing for most."""
    file = _file(dataset)
    return tuple(PublishedCurve(**curve) for curve in _contents(file)) if file.is_file() else ()


@cache
def table_1() -> tuple[PublishedModel, ...]:
    """Return the paper's own models with what it says of them, in its order."""
    return tuple(PublishedModel(**model) for model in _contents(_file(TABLE_1))["models"])


def _file(name: str) -> Traversable:
    return files("selfcodec.benchmarks") / FOLDER / f"{name}.json"


def _contents(file: Traversable) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
