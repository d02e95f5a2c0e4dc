"""An image taken apart for coding, and decoded samples put together again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.errors import FormatError
from selfcodec.format.sidedata import apply_metadata
from selfcodec.format.stored import pack_stored, stored_size
from selfcodec.transparency import hidden_filled

_MODE_NAMES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True, eq=False)
class Picture:
    """An image taken apart for coding."""

    mode: str
    """Of the source: 1, L, LA, P, RGB or RGBA."""
    planes: UInt8
    """(H, W, C), C = 1 or 3: the samples for the model; for modes 1 and P, what they look like."""
    alpha: UInt8 | None
    """(H, W), where the image has an alpha channel, a transparent palette entry or a transparent colour."""
    metadata: bytes
    """Of `pack_metadata`."""
    source: Image.Image | None = None
    """The image itself where planes and alpha do not bring it back: of mode 1 or P, or with a transparent colour."""
    warnings: tuple[str, ...] = ()
    """What of the source is not kept, one line each, without the source's name."""
    stored_reason: str | None = None
    """Why no model codes the image, where none can; None where only sizes tell."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.planes.shape[1], self.planes.shape[0]

    @cached_property
    def shown(self) -> UInt8:
        """(H, W, C): the samples, but for those that full transparency hides, which are smooth continuations."""
        return self.planes if self.alpha is None else hidden_filled(self.planes, self.alpha)

    @property
    def image(self) -> Image.Image:
        """The image itself; made from planes and alpha, which takes long, where those bring it back."""
        return self.source or to_image(self.mode, self.planes, self.alpha, self.metadata)

    @property
    def exact_only(self) -> bool:
        """Planes and alpha do not bring the image back: lossless means `pack_stored`."""
        return self.source is not None

    @cached_property
    def stored_size(self) -> int:
        """Bytes of `stored`; measured when first asked for, since it takes long."""
        return stored_size(self.image)

    @cached_property
    def stored(self) -> bytes:
        """The image as a stored one, without model."""
        return pack_stored(self.image)

    @property
    def rendering(self) -> str:
        """Mode of the image that planes and alpha make: L, LA, RGB or RGBA."""
        return _MODE_NAMES[self.planes.shape[2] + (self.alpha is not None)]


def to_image(mode: str, planes: UInt8, alpha: UInt8 | None, metadata: bytes = b"") -> Image.Image:
    """Put decoded samples together again.

    Args:
        mode: L, LA, RGB or RGBA; of sources of mode 1 or P the rendering's.
        planes: (H, W, C), C = 1 for L and LA, 3 for RGB and RGBA.
        alpha: (H, W) for LA and RGBA, else None.
        metadata: of `pack_metadata`; it ends up in `image.info`.

    Raises:
        FormatError: the file's mode, samples and alpha do not fit together, or the metadata are damaged.
    """
    samples = planes if alpha is None or alpha.shape != planes.shape[:2] else np.dstack((planes, alpha))
    if mode != _MODE_NAMES.get(samples.shape[2]) or (alpha is None) == (mode in ("LA", "RGBA")):
        shape = None if alpha is None else alpha.shape
        raise FormatError(f"samples {planes.shape} and alpha {shape} do not make a {mode} image")
    image = Image.fromarray(samples[..., 0] if mode == "L" else samples)
    apply_metadata(image, metadata)
    return image
