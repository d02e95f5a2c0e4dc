"""What a user chooses for a file, checked where it is chosen, and what that means for a model."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

from selfcodec.errors import InputError
from selfcodec.modes import (
    DEFAULT_QUALITY,
    MAX_EFFORT,
    MAX_QUALITY,
    MAX_SEED,
    MAX_TRANSFORMS,
    MIN_QUALITY,
    Mode,
    default_level,
    sent_variables,
)


def whole_number(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Python's int of a whole number in low..high, of NumPy's kinds too; `name` stands in the error.

    Raises:
        InputError: the value is out of range, or no whole number: truth values, fractions and texts are none.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        limits = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise InputError(f"{name} is a whole number {limits}, not {value!r}")
    return number


def usual_effort(mode: Mode) -> int:
    """The effort where none is asked for: some for lossless files, whose sizes it lowers most for the least time.

    For lossy ones it loads PyTorch, and takes longer than all else.
    """
    return 2 if mode is Mode.LOSSLESS else 0


@dataclass(frozen=True)
class Settings:
    """What the user chooses; InputError where a number is not a whole one in its range.

    Attributes:
        mode: a reconstruction mode or lossless.
        level: of cg and cr, 1..K; None for the mode's default.
        quality: 1..100, scales the latents' grids; 50 is the model's own.
        seed: 0..2**32 - 1, the decoder draws what is not sent from it; None: it takes the mean.
        effort: 0..9, how long an encoder looks for better latents, where the model has any to look for; from 1 on a
            lossless file is coded with what is learned of the image on the way, where the model can, and from 3 on a
            small image without as well, so that the smaller file is kept. Which model codes where none is named depends
            on it, too: `selfcodec.zoo.DEFAULT_MODELS`.
    """

    mode: Mode = Mode.LOSSLESS
    level: int | None = None
    quality: int = DEFAULT_QUALITY
    seed: int | None = None
    effort: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.mode, Mode) or self.mode is Mode.STORED:
            raise InputError(f"mode is one of rs1, rs2, cg, cr and lossless, not {self.mode!r}")
        ranges = {"level": (1, MAX_TRANSFORMS), "quality": (MIN_QUALITY, MAX_QUALITY), "seed": (0, MAX_SEED)}
        ranges["effort"] = (0, MAX_EFFORT)
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is not None or name in ("quality", "effort"):
                # Frozen, so set this way: NumPy's narrow integers would overflow where a file's header is packed.
                object.__setattr__(self, name, whole_number(name, value, low, high))

    def resolved(self, transforms: int) -> tuple[tuple[str, ...], int]:
        """What a model codes with these settings.

        Args:
            transforms: K of the model, 0..15.

        Returns:
            the names of the sent variables in coding order, and the level: 0 for modes that have none.

        Raises:
            InputError: the model has no such level, or no y where the mode sends one.
        """
        level = default_level(self.mode, transforms) if self.level is None else self.level
        return sent_variables(self.mode, transforms, level), level
