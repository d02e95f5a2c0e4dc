"""Which crops a report shows: of a few images the place with most detail, from every coder at about the same rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from selfcodec.arrays import Float64, UInt8
from selfcodec.benchmarks.coders import OWN, Coder, picture_of
from selfcodec.benchmarks.measure import measure
from selfcodec.benchmarks.reports.html import Crop
from selfcodec.benchmarks.results import Record, Run

IMAGES = 3
SIDE = 192
"""A crop has so many pixels a side at most."""
RATIO = 1.6
"""Rates further apart than this factor are not about the same."""


def largest(values: Float64) -> tuple[slice, slice]:
    """Return where the crop of values (H, W) whose sum is furthest from 0 lies, on a grid of half crops."""
    height, width = (min(SIDE, side) for side in values.shape)
    tops = range(0, values.shape[0] - height + 1, max(1, height // 2))
    lefts = range(0, values.shape[1] - width + 1, max(1, width // 2))
    corners = [(top, left) for top in tops for left in lefts]
    top, left = max(corners, key=lambda at: abs(values[at[0] : at[0] + height, at[1] : at[1] + width].sum()))
    return slice(top, top + height), slice(left, left + width)


def busiest(image: UInt8) -> tuple[slice, slice]:
    """Return where the crop with the largest differences between neighbours lies."""
    grey = image.astype(np.float64).mean(2)
    return largest(np.abs(np.diff(grey, axis=0, append=grey[-1:])) + np.abs(np.diff(grey, axis=1, append=grey[:, -1:])))


def most_different(image: UInt8, one: UInt8, other: UInt8) -> tuple[slice, slice]:
    """Return where the squared errors of two versions of an image (H, W, 3) differ most."""
    errors = (np.square(version.astype(np.float64) - image).mean(2) for version in (one, other))
    return largest(next(errors) - next(errors))


def _nearest(records: list[Record], bpp: float) -> Record | None:
    """Return the record whose rate is nearest, if it is near."""
    best = min(records, key=lambda r: abs(math.log(r.bpp / bpp)), default=None)
    return best if best and max(best.bpp / bpp, bpp / best.bpp) <= RATIO else None


def matched_crops(pictures: Mapping[str, UInt8], coders: Mapping[str, Coder], run: Run) -> Iterator[Crop]:
    """Yield crops of the first images at the middle one of our lossy rates, coded once more; none without one."""
    lossy = [record for record in run.records if not record.failure and not run.coders[record.coder].lossless]
    for name in list(pictures)[:IMAGES]:
        here = [record for record in lossy if record.image == name]
        own = sorted(record.bpp for record in here if run.coders[record.coder].family == OWN)
        if not own:
            continue
        place = busiest(pictures[name])
        yield Crop(name, "original", np.ascontiguousarray(pictures[name][place]))
        for key, coder in coders.items():
            record = _nearest([r for r in here if r.coder == key], own[len(own) // 2])
            if record is not None:
                decoded = measure(picture_of(pictures[name]), coder, record.setting).returned().image.convert("RGB")
                title = f"{coder.info.title} {record.setting}"
                yield Crop(name, title, np.ascontiguousarray(np.asarray(decoded)[place]), record.bpp, record.psnr)
