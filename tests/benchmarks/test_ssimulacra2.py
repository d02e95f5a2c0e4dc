"""SSIMULACRA 2: scores are those of libjxl's own tool."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from skimage import data

from selfcodec.arrays import UInt8
from selfcodec.benchmarks.coders import PEERS, picture_of
from selfcodec.benchmarks.measure import measure
from selfcodec.benchmarks.ssimulacra2 import KERNEL, RADIUS, SIDE, SIGMA, ssimulacra2
from selfcodec.errors import InputError


def noisy(x: UInt8, reach: int) -> UInt8:
    noise = np.random.default_rng(0).integers(-reach, reach + 1, x.shape)
    return np.clip(x + noise, 0, 255).astype(np.uint8)


def coarse(x: UInt8, step: int) -> UInt8:
    return x // step * step + np.uint8(step // 2)


def blocks(x: UInt8, side: int) -> UInt8:
    height, width = (n // side * side for n in x.shape[:2])
    means = x[:height, :width].reshape(height // side, side, width // side, side, 3).mean((1, 3)).round()
    out = x.copy()
    out[:height, :width] = means.astype(np.uint8).repeat(side, 0).repeat(side, 1)
    return out


@pytest.mark.parametrize(
    ("distort", "strength", "astronaut", "cat", "part"),
    [
        (noisy, 8, 75.8552, 76.9976, 80.9667),
        (noisy, 30, 18.2008, 22.5675, 39.4729),
        (coarse, 8, 78.5923, 85.3268, 90.3427),
        (coarse, 32, 9.1224, 15.9764, 61.8802),
        (blocks, 2, 67.4286, 74.5307, 70.8523),
        (blocks, 4, 36.4469, 53.5255, 48.3312),
    ],
)
def test_scores_are_those_of_the_original_tool(
    distort: Callable[[UInt8, int], UInt8], strength: int, astronaut: float, cat: float, part: float
) -> None:
    """Its version is that of libjxl 0.11.2 as Debian 13 has it in libjxl-devtools; 0.1 is what its rounding costs."""
    chelsea = data.chelsea()  # 300 x 451, whose halves are odd, too
    for image, expected in ((data.astronaut(), astronaut), (chelsea, cat), (chelsea[90:203, 120:251], part)):
        assert ssimulacra2(image, distort(image, strength)) == pytest.approx(expected, abs=0.1)


def test_the_first_one_is_the_original() -> None:
    image = data.astronaut()
    assert ssimulacra2(blocks(image, 4), image) == pytest.approx(39.0860, abs=0.1)
    assert ssimulacra2(image, image) == 100


def test_grey_images_are_scored_as_they_are_shown() -> None:
    grey = data.chelsea()[:, :, :1]
    coloured = grey.repeat(3, 2)
    assert ssimulacra2(grey, coarse(grey, 32)) == ssimulacra2(coloured, coarse(coloured, 32))
    assert ssimulacra2(coloured, coarse(coloured, 32)) == pytest.approx(-3.6275, abs=0.1)


def test_images_with_fewer_than_six_scales_have_no_score() -> None:
    image = data.chelsea()
    least = image[:SIDE, :SIDE]
    assert ssimulacra2(least, noisy(least, 8)) is not None
    for small in (image[: SIDE - 1], image[:, : SIDE - 1]):
        assert ssimulacra2(small, noisy(small, 8)) is None


@pytest.mark.parametrize("other", [np.zeros((200, 201, 3), np.uint8), np.zeros((200, 200, 3))])
def test_other_shapes_and_types_are_refused(other: Any) -> None:
    with pytest.raises(ValueError, match="SSIMULACRA 2 of"):
        ssimulacra2(np.zeros((200, 200, 3), np.uint8), other)


def test_the_blur_is_nearly_gaussian() -> None:
    n = np.arange(-RADIUS, RADIUS + 1)
    assert KERNEL.sum() == pytest.approx(1)
    assert KERNEL @ n**2 == pytest.approx(SIGMA**2)
    assert KERNEL[[0, -1]] == pytest.approx(0, abs=1e-12)
    gauss = np.exp(-(n**2) / (2 * SIGMA**2))
    assert pytest.approx(gauss / gauss.sum(), abs=0.002) == KERNEL


def test_measuring_scores_what_came_back() -> None:
    picture = picture_of(data.chelsea())
    scores = [measure(picture, PEERS["jpeg"], f"q={quality}").ssimulacra2 for quality in (20, 65, 92)]
    assert None not in scores
    assert sorted(scores) == scores  # type: ignore[type-var]
    assert measure(picture, PEERS["png"]).ssimulacra2 == 100
    assert measure(picture_of(data.chelsea()[:60]), PEERS["jpeg"], "q=65").ssimulacra2 is None


def test_without_scipy_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    cat = data.chelsea()
    assert ssimulacra2(cat, cat) == 100
    with pytest.raises(InputError, match=r"SSIMULACRA 2 needs the package scipy: pip install 'selfcodec\[bench\]'"):
        ssimulacra2(cat, noisy(cat, 8))
