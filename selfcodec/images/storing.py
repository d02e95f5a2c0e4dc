"""Images as they are stored without a model, whatever they are made of."""

from __future__ import annotations

from selfcodec.format import stored
from selfcodec.format.samples import SAMPLE_MODES, pack_samples, unpack_samples
from selfcodec.format.stored import Quick
from selfcodec.images.deep import AnyImage, DeepImage, image_of, samples_of

_FORMS = ("raw samples", "PNG", "WebP", "JPEG XL")
"""What follows a stored image's first byte, by that byte (docs/format.md)."""


def pack_stored(image: AnyImage) -> bytes:
    """Store an image of any mode in IMAGE_MODES: pixels, mode, palette, transparency; not its metadata."""
    if isinstance(image, DeepImage) or image.mode in SAMPLE_MODES:
        return pack_samples(samples_of(image))
    return stored.pack_stored(image)


def stored_size(image: AnyImage) -> int | None:
    """Return a length that `pack_stored` does not exceed, and that is cheaper to have; None where there is none."""
    if isinstance(image, DeepImage) or image.mode in SAMPLE_MODES:
        return None
    return stored.stored_size(image)


def quick_size(image: AnyImage) -> Quick | None:
    """Measure an image quickly, see `stored.quick_size`."""
    if isinstance(image, DeepImage) or image.mode in SAMPLE_MODES:
        return None
    return stored.quick_size(image)


def unpack_stored(data: bytes, mode: str, width: int, height: int) -> AnyImage:
    """Return the image that `pack_stored` stored; raise FormatError, also where mode or size differ."""
    if mode in SAMPLE_MODES:
        return image_of(unpack_samples(data, mode, width, height), mode)
    return stored.unpack_stored(data, mode, width, height)


def stored_as(data: bytes) -> str | None:
    """What a stored image is inside its file, by its first byte; None where no form has that."""
    return _FORMS[data[0]] if data and data[0] < len(_FORMS) else None
