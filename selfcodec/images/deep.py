"""Images of 16 bits a sample in several channels, which Pillow has no mode for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from selfcodec.arrays import UInt8, UInt16
from selfcodec.errors import InputError

DEEP_CHANNELS = {"I;16": 1, "LA;16": 2, "RGB;16": 3, "RGBA;16": 4}
"""Modes of deep images; the first is Pillow's own."""
_DEEP_MODES = {channels: mode for mode, channels in DEEP_CHANNELS.items()}
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's modes of samples of 8 bits, by channels."""
_REDUCTION = 257
"""65535 / 255."""


@dataclass(frozen=True, eq=False)
class DeepImage:
    """What `Image.Image` is to images of 8 bits a sample."""

    mode: str
    """One of DEEP_CHANNELS."""
    samples: UInt16
    """(H, W, C), 0..65535, alpha last and not premultiplied."""
    info: dict[str, Any] = field(default_factory=dict)
    """Metadata, under the keys of a Pillow image's `info`."""

    def __post_init__(self) -> None:
        """Raise InputError where samples and mode do not fit."""
        if not isinstance(self.samples, np.ndarray):
            raise InputError(f"samples are an array (H, W, C) of uint16, not {type(self.samples).__name__}")
        shape, kind = self.samples.shape, self.samples.dtype
        if len(shape) != 3 or shape[2] != DEEP_CHANNELS.get(self.mode) or kind != np.uint16:
            raise InputError(f"samples {shape} of {kind} do not make an image of mode {self.mode}")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.samples.shape[1], self.samples.shape[0]

    def tobytes(self) -> bytes:
        """Samples row by row, interleaved, two bytes each, the less significant one first."""
        return self.samples.astype("<u2", copy=False).tobytes()


AnyImage = Image.Image | DeepImage


def image_of(samples: UInt8 | UInt16, mode: str | None = None) -> AnyImage:
    """Return samples (H, W, C) as an image: of Pillow's where it has the mode, which follows from C if it is None."""
    if samples.dtype == np.uint16 and samples.shape[2] > 1:
        return DeepImage(_DEEP_MODES[samples.shape[2]], samples.astype(np.uint16, copy=False))
    ordered = samples.astype(samples.dtype.newbyteorder("<"), copy=False)
    usual = "I;16" if samples.dtype == np.uint16 else MODES[samples.shape[2]]
    return Image.frombytes(mode or usual, samples.shape[1::-1], ordered.tobytes())


def samples_of(image: AnyImage) -> UInt8 | UInt16:
    """Return the samples (H, W, C) of an image."""
    if isinstance(image, DeepImage):
        return image.samples
    if image.mode == "I;16":
        return np.frombuffer(image.tobytes(), "<u2").astype(np.uint16).reshape(image.height, image.width, 1)
    return np.asarray(image).reshape(image.height, image.width, -1)


def reduced(samples: UInt16) -> UInt8:
    """Return samples of 16 bits as the nearest ones of 8."""
    return ((samples + np.uint32(_REDUCTION // 2)) // _REDUCTION).astype(np.uint8)


def scaled(samples: UInt16, top: int) -> UInt16:
    """Return samples 0..top, top < 65536, as 0..65535; rounding back to the nearest brings every one back."""
    if top == 65535:
        return samples
    return ((samples.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)
