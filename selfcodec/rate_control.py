"""Files of a wanted size or fidelity: finds the quality, and keeps the file that the search made at it.

encode_to_target(picture, settings, Target(bpp=1.0), model)    # the highest quality of at most 1 bit per pixel
"""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from selfcodec.codec import Encoded, encode_picture, verify_encoded
from selfcodec.errors import InputError
from selfcodec.fidelity import decibels
from selfcodec.images import Picture
from selfcodec.modes import DEFAULT_QUALITY, MAX_QUALITY, MIN_QUALITY, Mode
from selfcodec.settings import Settings, whole_number
from selfcodec.zoo import Model

T = TypeVar("T")


def _positive(name: str, value: Any) -> float:
    """Python's float of a finite number above 0; InputError, naming it, for anything else."""
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, numbers.Real) else float(value)
    except OverflowError:  # of integers beyond every float
        number = math.inf
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"{name} is a finite number above 0, not {value!r}")
    return number


@dataclass(frozen=True)
class Target:
    """What a file is to keep to, one of three things at most; InputError for two, and for numbers that make no sense.

    Attributes:
        bpp: bits per pixel of the whole file, headers and metadata included, that it takes at most.
        bytes: that it takes at most.
        psnr: of its colours in dB, that it reaches at least.
    """

    bpp: float | None = None
    bytes: int | None = None
    psnr: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("bpp", "bytes", "psnr") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(f"give one of bpp, bytes and psnr, not {' and '.join(given)}")
        for name in given:
            value = getattr(self, name)
            checked = whole_number(name, value, 1) if name == "bytes" else _positive(name, value)
            object.__setattr__(self, name, checked)  # frozen; NumPy's numbers become Python's

    @property
    def given(self) -> bool:
        """Whether there is anything to keep to."""
        return (self.bpp, self.bytes, self.psnr) != (None, None, None)

    def most_bytes(self, pixels: int) -> int | None:
        """The largest size in bytes of an image of so many pixels; None where the target is no size."""
        if self.bpp is not None:
            return int(min(self.bpp * pixels / 8, sys.maxsize))  # the product may be infinite
        return self.bytes


@dataclass(frozen=True)
class Reached:
    """A finished file and what it was made with.

    Attributes:
        encoded: the file.
        settings: with the quality that was found.
        psnr: of the file's colours in dB, infinite where they are the image's; None unless the target is a PSNR.
    """

    encoded: Encoded
    settings: Settings
    psnr: float | None = None


def choose_settings(
    mode: str, target: Target, *, level: int | None = None, quality: int | None = None, seed: int | None = None
) -> Settings:
    """Settings of a mode's name, with the default quality where none is given.

    Raises:
        InputError: there is no such mode, a number is out of range, a quality is given beside the target that is to
            find one, or a PSNR is wanted of lossless files.
    """
    settings = Settings(Mode.parse(mode), level, DEFAULT_QUALITY if quality is None else quality, seed)
    if target.given and quality is not None:
        raise InputError("give one of quality, bpp, bytes and psnr: the last three look for the quality themselves")
    if settings.mode is Mode.LOSSLESS and (target.psnr is not None or seed is not None):
        raise InputError("psnr and seed go with lossy modes: lossless files are exact, choose another mode")
    return settings


def psnr(picture: Picture, encoded: Encoded) -> float:
    """Peak signal-to-noise ratio in dB of a file's colours against the picture's; infinite where they are equal.

    The file must have been made with `expect`, or hold the picture itself.
    """
    if encoded.expected is None:
        return math.inf
    return decibels(float(np.square(encoded.expected.astype(np.int32) - picture.planes).mean()))


def search(attempt: Callable[[int], T], excess: Callable[[T], float], *, highest: bool) -> tuple[T, bool]:
    """Bisects the qualities 1..100 for the highest or lowest one whose attempt has no excess.

    The attempts must come nearer the target towards the other end; where they do not always, the result has no
    excess either, but may not be the very highest or lowest.

    Args:
        attempt: makes a file at a quality; no quality is asked for twice, and at most seven are.
        excess: by how much an attempt misses the target; none if it is not above 0.
        highest: look for the highest quality, else for the lowest.

    Returns:
        the attempt and True; or, where every one that was made misses the target, the nearest one and False.
    """
    low, high = MIN_QUALITY, MAX_QUALITY
    nearest: T | None = None  # one alone is kept, since files of large images take room
    least = math.inf
    while low <= high:
        quality = (low + high) // 2
        made = attempt(quality)
        missed = max(0.0, excess(made))
        if missed <= least:  # of equals the later one, which is further towards where the target should be
            nearest, least = made, missed
        if (not missed) == highest:
            low = quality + 1
        else:
            high = quality - 1
    assert nearest is not None
    return nearest, not least


def encode_to_target(
    picture: Picture, settings: Settings, target: Target, model: Model, *, verify: bool = True
) -> Reached:
    """Codes an image at the quality that its target asks for; at the settings' own where there is no target.

    A size takes the highest quality that keeps to it, a PSNR the lowest that reaches it. Both are found by bisection,
    with seven attempts at most; where sizes or PSNR do not rise with every step of quality, the result keeps to the
    target, though perhaps not as closely as it could. The file is the search's own, and is verified once, after it.

    Args:
        picture: what `load_picture` gives.
        settings: mode, level and seed; their quality counts without a target only.
        target: what to keep to.
        model: the model.
        verify: as for `codec.encode_picture`.

    Raises:
        InputError: the settings do not fit the model, or no quality that was tried reaches the target; then names
            the one that comes nearest, and what it gives. No file that misses its target is returned.
        SelfcodecError: verification failed.
    """
    if not target.given:
        return Reached(encode_picture(picture, settings, model, verify=verify), settings)

    sent, _ = settings.resolved(model.levels)
    tuned = bool(model.tuned(sent))

    def attempt(quality: int) -> Reached:
        tried = replace(settings, quality=quality)
        measured = target.psnr is not None
        encoded = encode_picture(picture, tried, model, verify=False, expect=verify or measured)
        return Reached(encoded, tried, psnr(picture, encoded) if measured else None)

    height, width = picture.planes.shape[:2]
    limit = target.most_bytes(width * height)

    def excess(made: Reached) -> float:
        if limit is not None:
            return len(made.encoded.data) - limit
        assert target.psnr is not None
        assert made.psnr is not None
        return target.psnr - made.psnr

    if tuned:
        reached, met = search(attempt, excess, highest=limit is not None)
    else:
        reached = attempt(DEFAULT_QUALITY)
        met = excess(reached) <= 0
    if not met:
        made, size = f"quality {reached.settings.quality}" if tuned else "every quality", len(reached.encoded.data)
        if limit is not None:
            asked = f"{limit} bytes are too few in this mode: {made} takes {size}"
        else:
            asked = f"{target.psnr:g} dB are too many in this mode: {made} reaches {reached.psnr:.2f}"
        raise InputError(f"{asked}; try another mode")
    if verify:
        verify_encoded(reached.encoded, picture, model)
    return reached
