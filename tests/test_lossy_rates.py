"""Targets with a model that leaves encoders a choice: within two per cent, and nothing is inferred twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tiny_lossy
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.decoding import decode_file
from selfcodec.encoding import encode_picture
from selfcodec.errors import InputError
from selfcodec.fidelity import decibels
from selfcodec.images import Picture, from_image
from selfcodec.modes import Mode
from selfcodec.rate_control import NEAR_ATTEMPTS, Target, encode_to_target, psnr
from selfcodec.settings import Settings
from selfcodec.walk import Batch, Values

MOST_ATTEMPTS = 7
HEIGHT, WIDTH = 192, 256
BELOW = 8
"""So many bytes fewer than those of the lowest quality are within reach."""


@pytest.fixture(scope="module")
def picture() -> Picture:
    return from_image(Image.fromarray(tiny_lossy.photo(HEIGHT, WIDTH)))


def at(picture: Picture, quality: int, mode: Mode = Mode.RS2) -> int:
    """The size of the file of a quality."""
    settings = Settings(mode, quality=quality)
    return len(encode_picture(picture, settings, tiny_lossy.model(), verify=False, fallback=False).data)


@pytest.mark.parametrize("mode", [Mode.RS2, Mode.CR])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.85])
def test_sizes_are_met_within_two_per_cent_and_never_passed(picture: Picture, mode: Mode, share: float) -> None:
    low, high = at(picture, 1, mode), at(picture, 100, mode)
    limit = int(low + share * (high - low))
    for target in (Target(bytes=limit), Target(bpp=8 * limit / (HEIGHT * WIDTH))):
        reached = encode_to_target(picture, Settings(mode), target, tiny_lossy.model())
        assert 0.98 * limit - 4 <= len(reached.encoded.data) <= limit


def test_sizes_below_the_lowest_quality_are_met_by_thrift(picture: Picture) -> None:
    lowest = at(picture, 1)
    reached = encode_to_target(picture, Settings(Mode.RS2), Target(bytes=lowest - BELOW), tiny_lossy.model())
    assert 0.98 * lowest - BELOW <= len(reached.encoded.data) <= lowest - BELOW
    assert reached.settings.quality <= 2
    with pytest.raises(InputError, match="30 bytes are too few in this mode"):
        encode_to_target(picture, Settings(Mode.RS2), Target(bytes=30), tiny_lossy.model())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_psnr_is_never_below_its_target(picture: Picture, share: float) -> None:
    ends = []
    for quality in (1, 90):
        settings = Settings(Mode.RS2, quality=quality)
        ends.append(psnr(picture, encode_picture(picture, settings, tiny_lossy.model(), verify=False, expect=True)))
    target = ends[0] + share * (ends[1] - ends[0])
    reached = encode_to_target(picture, Settings(Mode.RS2), Target(psnr=target), tiny_lossy.model())
    found = np.asarray(decode_file(reached.encoded.data, model=tiny_lossy.model())).astype(float)
    assert reached.psnr == pytest.approx(decibels(float(np.square(found - picture.planes).mean())))
    assert target <= reached.psnr <= target + 0.3


@pytest.fixture
def inferred(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The qualities for which latents were inferred, one after another."""
    seen: list[int] = []
    infer = Batch.infer

    def counted(self: Batch, images: UInt8, names: Sequence[str]) -> Values:
        seen.append(self.quality)
        return infer(self, images, names)

    monkeypatch.setattr(Batch, "infer", counted)
    return seen


@pytest.fixture
def rounded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """The qualities and thrifts of all files that were made, one after another."""
    from selfcodec import rate_control

    made: list[tuple[int, float]] = []

    def counted(picture: Picture, settings: Settings, *arguments: Any, **options: Any) -> Any:
        made.append((settings.quality, options["work"].thrift))
        return encode_picture(picture, settings, *arguments, **options)

    monkeypatch.setattr(rate_control, "encode_picture", counted)
    return made


@pytest.mark.parametrize("beyond", [-BELOW, 200, None])
def test_attempts_at_one_quality_infer_once(
    picture: Picture, beyond: int | None, inferred: list[int], rounded: list[tuple[int, float]]
) -> None:
    """Of sizes below and above the lowest quality's, and of a PSNR."""
    target = Target(psnr=23.0) if beyond is None else Target(bytes=at(picture, 1) + beyond)
    inferred.clear()
    encode_to_target(picture, Settings(Mode.RS2), target, tiny_lossy.model(), verify=False)
    qualities = [quality for quality, _ in rounded]
    runs = [q for i, q in enumerate(qualities) if i == 0 or q != qualities[i - 1]]
    assert inferred == runs
    assert len(qualities) > len(runs)
    assert len(rounded) <= MOST_ATTEMPTS + 2 * NEAR_ATTEMPTS


def test_a_mode_that_has_no_choice_takes_one_attempt(picture: Picture, rounded: list[tuple[int, float]]) -> None:
    reached = encode_to_target(picture, Settings(Mode.CG), Target(bytes=10**6), tiny_lossy.model(), verify=False)
    assert [quality for quality, _ in rounded] == [reached.settings.quality] == [50]


def test_targets_are_met_with_an_effort_too(picture: Picture) -> None:
    small = from_image(Image.fromarray(tiny_lossy.photo(48, 64)))
    shares: list[float] = []
    limit = at(small, 50) + 20
    target, settings = Target(bytes=limit), Settings(Mode.RS2, effort=1)
    reached = encode_to_target(small, settings, target, tiny_lossy.model(), report=shares.append)
    assert 0.9 * limit <= len(reached.encoded.data) <= limit
    assert shares[-1] == 1
    assert shares == sorted(shares)
