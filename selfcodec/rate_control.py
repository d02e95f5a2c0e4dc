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

from selfcodec.encoding import Encoded, encode_picture, verify_encoded
from selfcodec.errors import InputError
from selfcodec.fidelity import decibels
from selfcodec.images import Picture
from selfcodec.modes import DEFAULT_QUALITY, MAX_QUALITY, MIN_QUALITY, Mode
from selfcodec.refining import USUAL, Work, can_refine
from selfcodec.settings import Settings, usual_effort, whole_number
from selfcodec.walk import Values
from selfcodec.zoo import Model

T = TypeVar("T")

NEAR_SHARE, NEAR_DECIBELS = 0.01, 0.02
"""A size is near its target within this share of it, a PSNR within so many dB."""
NEAR_ATTEMPTS = 5
"""So many attempts are made to come nearer the target between two qualities."""


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
    mode: str,
    target: Target,
    *,
    level: int | None = None,
    quality: int | None = None,
    seed: int | None = None,
    effort: int | None = None,
) -> Settings:
    """Settings of a mode's name, with the default quality and the usual effort where none are given.

    Raises:
        InputError: there is no such mode, a number is out of range, a quality is given beside the target that is to
            find one, or lossless files are to keep to a target, which have one size each.
    """
    chosen = Mode.parse(mode)
    effort = usual_effort(chosen) if effort is None else effort
    settings = Settings(chosen, level, DEFAULT_QUALITY if quality is None else quality, seed, effort)
    if target.given and quality is not None:
        raise InputError("give one of quality, bpp, bytes and psnr: the last three look for the quality themselves")
    if settings.mode is Mode.LOSSLESS and (target.given or seed is not None):
        raise InputError(
            "bpp, bytes, psnr and seed go with lossy modes: lossless files are exact, each of one size: add -m rs2, or"
            ' mode="rs2" in Python'
        )
    return settings


def psnr(picture: Picture, encoded: Encoded) -> float:
    """Peak signal-to-noise ratio in dB of a file's colours against the picture's; infinite where they are equal.

    Colours that full transparency hides do not count.

    The file must have been made with `expect`, or hold the picture itself.
    """
    if encoded.expected is None:
        return math.inf
    squares = np.square(encoded.expected.astype(np.int32) - picture.planes)
    visible = squares if picture.alpha is None else squares[picture.alpha > 0]
    return decibels(float(visible.mean()) if visible.size else 0.0)


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


class _Attempts:
    """Files of one picture at qualities that a search asks for.

    Args:
        picture, settings, target, model, verify: see `encode_to_target`.

    Attributes:
        limit: bytes that a file may take; None where the target is no size.
        chooses: whether the model leaves the encoder a choice.
    """

    def __init__(self, picture: Picture, settings: Settings, target: Target, model: Model, *, verify: bool) -> None:
        self._picture = picture
        self._settings = settings
        self._target = target
        self._model = model
        self._expect = verify or target.psnr is not None
        self._inferred: tuple[tuple[int, int], dict[int, Values]] | None = None
        self.limit = target.most_bytes(picture.pixels)
        self.chooses = can_refine(model, settings.resolved(model.levels)[0])

    def at(self, quality: int, work: Work = USUAL) -> Reached:
        """The file of a quality; what is inferred from the picture is kept for the next one of that quality."""
        tried = replace(self._settings, quality=quality)
        kept = self._kept(quality, work.effort) if self.chooses else None
        encoded = encode_picture(
            self._picture, tried, self._model, verify=False, expect=self._expect, work=work, inferred=kept
        )
        return Reached(encoded, tried, None if self._target.psnr is None else psnr(self._picture, encoded))

    def _kept(self, quality: int, effort: int) -> dict[int, Values]:
        if self._inferred is None or self._inferred[0] != (quality, effort):
            self._inferred = (quality, effort), {}
        return self._inferred[1]

    def excess(self, made: Reached) -> float:
        """By how much a file misses the target; none if it is not above 0."""
        if self.limit is not None:
            return len(made.encoded.data) - self.limit
        assert self._target.psnr is not None
        assert made.psnr is not None
        return self._target.psnr - made.psnr

    def near(self, made: Reached) -> bool:
        """Whether a file that keeps to the target is as near to it as anybody needs."""
        size = self.limit is not None
        return -self.excess(made) <= (NEAR_SHARE * (self.limit or 0) if size else NEAR_DECIBELS)


def _closer(attempts: _Attempts, found: Reached, met: bool, work: Work) -> Reached | None:
    """A file nearer the target than the quality that was found alone, and with the effort that was asked for.

    Between two qualities lie some per cent of bytes. They are spanned by the thrift with which the encoder rounds; so
    is what lies below the lowest one. None where no attempt keeps to the target.
    """
    sized, quality = attempts.limit is not None, found.settings.quality
    best = found if met and not work.effort else None
    qualities = tuple(dict.fromkeys((min(quality + 1, MAX_QUALITY), quality))) if sized else (quality,)
    done, most = 0, len(qualities) * NEAR_ATTEMPTS

    def report(share: float) -> None:
        work.report((done + share) / most)

    for tried in qualities:
        low, high, middle = -1.0, 1.0 if met else 2.0, 0.0  # of log2(thrift)
        for _ in range(NEAR_ATTEMPTS):
            made = attempts.at(tried, replace(work, thrift=2.0**middle, report=report))
            done += 1
            meets = attempts.excess(made) <= 0
            if meets:
                best = made  # those that meet it come nearer and nearer
                if attempts.near(made):
                    return made
            low, high = (low, middle) if meets == sized else (middle, high)
            middle = (low + high) / 2
        if best is not None:
            return best
    return found if met else None


def _rounded_up(rate: float) -> str:
    """A rate above 0 in four digits, of which none is too few: given as a target it is reached."""
    scale = 10.0 ** (3 - math.floor(math.log10(rate)))
    return f"{math.ceil(rate * scale) / scale:.4g}"


def encode_to_target(
    picture: Picture,
    settings: Settings,
    target: Target,
    model: Model,
    *,
    verify: bool = True,
    report: Callable[[float], None] | None = None,
) -> Reached:
    """Codes an image at the quality that its target asks for; at the settings' own where there is no target.

    A size takes the highest quality that keeps to it, a PSNR the lowest that reaches it. Both are found by bisection,
    with seven attempts at most; where sizes or PSNR do not rise with every step of quality, the result keeps to the
    target, though perhaps not as closely as it could. Models that leave encoders a choice come within one per cent.
    The file is the search's own, and is verified once, after it.

    Args:
        picture: what `load_picture` gives.
        settings: mode, level, effort and seed; their quality counts without a target only.
        target: what to keep to.
        model: the model.
        verify: as for `encoding.encode_picture`.
        report: is told the share of refining that is done.

    Raises:
        InputError: the settings do not fit the model, or no quality that was tried reaches the target; then names
            the one that comes nearest, and what it gives. No file that misses its target is returned.
        SelfcodecError: verification failed.
    """
    work = Work(settings.effort) if report is None else Work(settings.effort, report=report)
    if not target.given:
        return Reached(encode_picture(picture, settings, model, verify=verify, work=work), settings)

    sent, _ = settings.resolved(model.levels)
    tuned = bool(model.tuned(sent))
    attempts = _Attempts(picture, settings, target, model, verify=verify)
    if tuned:
        reached, met = search(attempts.at, attempts.excess, highest=attempts.limit is not None)
    else:
        reached = attempts.at(DEFAULT_QUALITY, work)
        met = attempts.excess(reached) <= 0
    if tuned and attempts.chooses and reached.encoded.mode is not Mode.STORED:
        closer = _closer(attempts, reached, met, work)
        work.report(1.0)
        reached, met = closer or reached, closer is not None
    if not met:
        made, size = f"quality {reached.settings.quality}" if tuned else "every quality", len(reached.encoded.data)
        if target.bpp is not None:
            taken = _rounded_up(8 * size / picture.pixels)
            asked = f"{target.bpp:g} bits per pixel are too few in this mode: {made} takes {taken}"
        elif target.bytes is not None:
            asked = f"{target.bytes} bytes are too few in this mode: {made} takes {size}"
        else:
            assert reached.psnr is not None
            best = math.floor(reached.psnr * 100) / 100  # none too many: given as a target it is reached
            asked = f"{target.psnr:g} dB are too many in this mode: {made} reaches {best:.2f}"
        raise InputError(f"{asked}; try another mode")
    if verify:
        verify_encoded(reached.encoded, picture, model)
    return reached
