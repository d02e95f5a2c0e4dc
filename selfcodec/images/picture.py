"""An image taken apart for coding, and decoded samples put together again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.errors import FormatError
from selfcodec.format.metadata import apply_metadata
from selfcodec.format.stored import Quick
from selfcodec.images.deep import MODES, AnyImage
from selfcodec.images.storing import pack_stored, quick_size, stored_size
from selfcodec.modes import Mode
from selfcodec.transparency import hidden_filled


@dataclass(frozen=True, eq=False)
class Picture:
    """An image taken apart for coding."""

    mode: str
    """Of the source, one of IMAGE_MODES."""
    planes: UInt8
    """(H, W, C), C = 1 or 3: the samples for the model; what images look like that are not L, LA, RGB or RGBA."""
    alpha: UInt8 | None
    """(H, W), where the image has an alpha channel, a transparent palette entry or a transparent colour."""
    metadata: bytes
    """Of `pack_metadata`."""
    source: AnyImage | None = None
    """The image itself where planes and alpha do not bring it back."""
    warnings: tuple[str, ...] = ()
    """What of the source is not kept, one line each, without the source's name."""
    stored_reason: str | None = None
    """Where they do not, what the image has that no model codes, so that lossless means `stored`."""
    lossy_warnings: tuple[str, ...] = ()
    """What of it planes and alpha do not keep, one line each, besides `warnings`."""
    lossy_refusal: str | None = None
    """Why it cannot be coded in a lossy mode, with the remedy."""

    def warnings_in(self, mode: Mode) -> tuple[str, ...]:
        """What of the source is not kept in a file that was written in this mode."""
        exact = mode in (Mode.LOSSLESS, Mode.STORED)
        return self.warnings if exact else self.warnings + self.lossy_warnings

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.planes.shape[1], self.planes.shape[0]

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.planes.shape[0] * self.planes.shape[1]

    @cached_property
    def shown(self) -> UInt8:
        """(H, W, C): the samples, but for those that full transparency hides, which are smooth continuations."""
        return self.planes if self.alpha is None else hidden_filled(self.planes, self.alpha)

    @property
    def exact(self) -> AnyImage:
        """The image itself; made from planes and alpha, which takes long, where those bring it back."""
        return self.source or to_image(self.mode, self.planes, self.alpha, self.metadata)

    @property
    def image(self) -> Image.Image:
        """The same, but of a deep image what it looks like with 8 bits a sample."""
        exact = self.exact
        if isinstance(exact, Image.Image):
            return exact
        return to_image(self.rendering, self.planes, self.alpha, self.metadata)

    @cached_property
    def stored_size(self) -> int:
        """A length that `stored` does not exceed; measured when first asked for, since it takes long."""
        size = stored_size(self.exact)
        return len(self.stored) if size is None else size

    @cached_property
    def quick_size(self) -> Quick | None:
        """What a tenth of the time tells of `stored_size`."""
        return quick_size(self.exact)

    def stores_within(self, length: int, *, quickly: bool = False) -> bool:
        """Whether `stored` has at most about so many bytes; what takes long is measured where it is likely alone.

        Args:
            length: a file's.
            quickly: only where a quick WebP, which is larger by some per cent, is no larger than that.
        """
        quick = self.quick_size
        if quick is not None and length < (quick.size if quickly else quick.sure):
            return False
        return self.stored_size <= length

    @cached_property
    def stored(self) -> bytes:
        """The image as a stored one, without model."""
        return pack_stored(self.exact)

    @property
    def rendering(self) -> str:
        """Mode of the image that planes and alpha make: L, LA, RGB or RGBA."""
        return MODES[self.planes.shape[2] + (self.alpha is not None)]


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
    if mode != MODES.get(samples.shape[2]) or (alpha is None) == (mode in ("LA", "RGBA")):
        shape = None if alpha is None else alpha.shape
        raise FormatError(f"samples {planes.shape} and alpha {shape} do not make a {mode} image")
    image = Image.fromarray(samples[..., 0] if mode == "L" else samples)
    apply_metadata(image, metadata)
    return image
