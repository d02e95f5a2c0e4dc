"""Bringing an image into a mode that a format holds, so that it looks the same."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
from PIL import Image

from selfcodec.images.deep import AnyImage, DeepImage, samples_of
from selfcodec.images.properties import Properties, turned_metadata
from selfcodec.images.turning import turned_image

Keyed = Literal["none", "entry", "any"]
"""What a format holds of transparency without alpha: nothing, one entry of a palette, or what there is in PNG."""

_WIDER = {"1": ("L",), "L": ("RGB", "LA"), "RGB": ("RGBA",), "LA": ("RGBA",)}
"""Modes that hold all that a mode holds, nearest first."""
_OPAQUE = {"LA": "L", "RGBA": "RGB", "LA;16": "I;16", "RGBA;16": "RGB;16"}
"""What is left of a mode without its alpha."""
_DEEP_OPAQUE = 65535
_COLOURS = 256


def fit(image: AnyImage, modes: frozenset[str], *, keyed: Keyed) -> AnyImage | None:
    """Return an image that looks the same and is of one of `modes`, the image itself if it is; None if there is none.

    Args:
        image: of any mode; of those that are not in `modes`, 1, L, LA, P, RGB, RGBA and deep ones can be changed.
        modes: of Pillow and of deep images.
        keyed: which transparent colours and entries of palettes the format holds.
    """
    if isinstance(image, DeepImage) or (image.mode == "I;16" and image.mode not in modes):
        return _fit_deep(image, modes)
    alpha = image.mode in _OPAQUE
    if image.mode in modes and (keyed == "any" or alpha or not image.has_transparency_data):
        return image
    if image.mode == "P" or (image.mode in ("1", "L", "RGB") and image.has_transparency_data):
        grey = image.mode in ("1", "L")
        plain = ("LA" if grey else "RGBA") if image.has_transparency_data else "RGB"
        return fit(image.convert(plain), modes, keyed=keyed)
    if wider := _widest_needed(image.mode, modes):
        return image.convert(wider)
    if alpha and image.getchannel("A").getextrema() == (255, 255):
        return fit(image.convert(_OPAQUE[image.mode]), modes, keyed=keyed)
    return as_palette(image) if keyed == "entry" and image.mode in ("LA", "RGB", "RGBA") else None


def _fit_deep(image: AnyImage, modes: frozenset[str]) -> AnyImage | None:
    """Return a deep image, without its alpha if only the rest is of one of `modes` and all is opaque; grey as RGB."""
    mode, samples = image.mode, samples_of(image).astype(np.uint16, copy=False)
    if mode not in modes and mode in _OPAQUE and samples[..., -1].min() == _DEEP_OPAQUE:
        mode, samples = _OPAQUE[mode], samples[..., :-1]
    if mode == "I;16" and mode not in modes:
        mode, samples = "RGB;16", np.repeat(samples, 3, axis=2)
    if mode not in modes:
        return None
    return Image.fromarray(samples[..., 0]) if mode == "I;16" else DeepImage(mode, samples)


def _widest_needed(mode: str, modes: frozenset[str]) -> str | None:
    """Return the nearest of `modes` that holds all that `mode` holds."""
    nearest = list(_WIDER.get(mode, ()))
    for candidate in nearest:  # grows while it is gone through
        if candidate in modes:
            return candidate
        nearest += _WIDER.get(candidate, ())
    return None


def as_palette(image: Image.Image) -> Image.Image | None:
    """Return an image of mode P that looks the same, all transparent pixels of one entry; None if there is none.

    Args:
        image: of mode LA, RGB or RGBA.
    """
    image = image.convert("RGBA")
    alpha = image.getchannel("A")
    levels = {level for _, level in alpha.getcolors() or ()}
    if not levels <= {0, 255}:
        return None
    if 0 in levels:
        image = Image.composite(image, Image.new("RGBA", image.size), alpha)
    counted = image.getcolors(_COLOURS)
    if counted is None:
        return None
    colours = sorted((bytes(cast(tuple[int, ...], colour)) for _, colour in counted), key=lambda colour: colour[3])
    codes = np.frombuffer(b"".join(colours), "<u4")
    order = np.argsort(codes)
    indices = np.empty((image.height, image.width), np.uint8)
    for row in range(image.height):  # one by one, because positions take eight times the memory of a row of pixels
        pixels = np.frombuffer(image.crop((0, row, image.width, row + 1)).tobytes(), "<u4")
        indices[row] = order[np.searchsorted(codes, pixels, sorter=order)]
    palette = Image.fromarray(indices)
    palette.putpalette(b"".join(colour[:3] for colour in colours))
    if 0 in levels:
        palette.info["transparency"] = 0
    return palette


def upright(image: AnyImage) -> AnyImage:
    """Return an image turned as its EXIF data say, which then no longer say so; the image itself if it is upright."""
    properties = Properties.of(image.info)
    if properties.orientation == 1:
        return image
    turned = turned_image(image, properties.orientation)
    turned.info.update(turned_metadata(properties))
    return turned
