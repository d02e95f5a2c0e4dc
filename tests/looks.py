"""Images of every mode, with all the metadata that there are, and what images look like."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import random_images
from PIL import ExifTags, Image, ImageCms

from selfcodec.arrays import UInt8
from selfcodec.images import from_image, to_image
from selfcodec.images.deep import DEEP_CHANNELS, DeepImage

SIZE = (17, 16)


def noise(mode: str, size: tuple[int, int] = SIZE, colours: int = 256) -> Image.Image:
    """Random samples; of mode P with a random palette."""
    return random_images.noise(mode, size, 7, levels=colours)


def keyed(mode: str, key: object, size: tuple[int, int] = SIZE) -> Image.Image:
    """An image the first pixel of which has the transparent colour, or entry of its palette."""
    image = noise(mode, size)
    if not isinstance(key, bytes):
        image.putpixel((0, 0), key)
    image.info["transparency"] = key
    return image


def deep(mode: str) -> DeepImage:
    """Random samples of 16 bits."""
    return DeepImage(mode, np.random.default_rng(8).integers(0, 65536, (*SIZE[::-1], DEEP_CHANNELS[mode]), np.uint16))


def opaque(mode: str) -> Image.Image:
    image = noise(mode)
    image.putalpha(255)
    return image


def cut_out(mode: str) -> Image.Image:
    """Few colours, some pixels of which are fully transparent, with different colours below."""
    image = noise(mode, colours=4)
    image.putalpha(noise("1").convert("L"))
    return image


IMAGES: dict[str, Callable[[], Image.Image]] = {
    **{mode: lambda mode=mode: noise(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")},
    "1 keyed": lambda: keyed("1", 255),
    "L keyed": lambda: keyed("L", 77),
    "RGB keyed": lambda: keyed("RGB", (1, 2, 3)),
    "P keyed": lambda: keyed("P", 3),
    "P with alpha": lambda: keyed("P", bytes(range(150))),
    "P of RGBA": lambda: noise("RGBA").quantize(9),
    "LA opaque": lambda: opaque("L"),
    "RGBA opaque": lambda: opaque("RGB"),
    "RGBA cut out": lambda: cut_out("RGB"),
    "LA cut out": lambda: cut_out("L"),
    "RGB few colours": lambda: noise("RGB", colours=4),
}


def displayed(image: Image.Image) -> UInt8:
    """RGBA that a viewer shows: what full transparency hides is black."""
    picture = from_image(image.convert("L") if image.mode == "F" else image)
    rgba = np.array(to_image(picture.rendering, picture.planes, picture.alpha).convert("RGBA"))
    rgba[rgba[..., 3] == 0] = 0
    return rgba


def from_samples(samples: Any, order: str = "RGB") -> UInt8:
    """RGBA of another decoder's samples, which show the same."""
    samples = np.atleast_3d(samples)
    colours = samples.shape[2] - (samples.shape[2] in (2, 4))
    rgb = samples[..., :colours] if order == "RGB" else samples[..., :colours][..., ::-1]
    alpha = samples[..., colours:] if colours < samples.shape[2] else np.full_like(samples[..., :1], 255)
    rgba = np.dstack((np.broadcast_to(rgb, (*rgb.shape[:2], 3)), alpha))
    rgba[rgba[..., 3] == 0] = 0
    return rgba


def by_opencv(data: bytes) -> UInt8:
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    assert samples is not None
    return from_samples(samples, "BGR")


def swapped_profile() -> bytes:
    """An ICC profile of sRGB but with red and green exchanged, which nobody can take for sRGB."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"    ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"    ", b"gXYZ", 1)


def exif(orientation: int = 6) -> bytes:
    """EXIF of a camera with text that is not ASCII, a directory in the directory, and tags of its file's layout."""
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    tags[ExifTags.Base.Make] = MAKE.encode()
    tags[ExifTags.Base.ImageWidth] = 4000
    tags[ExifTags.Base.PhotometricInterpretation] = 0
    tags[ExifTags.Base.BitsPerSample] = (16, 16, 16)
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] = ISO
    return tags.tobytes()


MAKE, ISO = "Grünwald", 400
TEXT = "a picture of é"
GAMMA = 100_000
PIXELS_PER_METRE = (11811, 5906)
DPI = (300, 150)
PROFILE = swapped_profile()
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
"""It does not speak of orientation, as some do."""
EVERYTHING: dict[str, Any] = {
    "icc_profile": PROFILE,
    "exif": exif(),
    "xmp": XMP,
    "png_chunks": (
        (b"gAMA", struct.pack(">I", GAMMA)),
        (b"pHYs", struct.pack(">IIB", *PIXELS_PER_METRE, 1)),
        (b"tEXt", b"Title\0" + TEXT.encode("latin-1")),
    ),
}
"""Of `image.info`."""
