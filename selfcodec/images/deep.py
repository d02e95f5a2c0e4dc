"""Images of 16 bits a sample in several channels, which Pillow has no mode for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from selfcodec.arrays import UInt16

DEEP_CHANNELS = {"I;16": 1, "LA;16": 2, "RGB;16": 3, "RGBA;16": 4}
"""Modes of deep images; the first is Pillow's own."""


@dataclass(frozen=True, eq=False)
class DeepImage:
    """What `Image.Image` is to images of 8 bits a sample."""

    mode: str
    """One of DEEP_CHANNELS."""
    samples: UInt16
    """(H, W, C), 0..65535, alpha last and not premultiplied."""
    info: dict[str, Any] = field(default_factory=dict)
    """Metadata, under the keys of a Pillow image's `info`."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.samples.shape[1], self.samples.shape[0]
