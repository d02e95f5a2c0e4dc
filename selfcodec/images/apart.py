"""Taking images apart into the planes that a model codes, whatever their mode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from selfcodec.arrays import UInt8, UInt16
from selfcodec.errors import InputError
from selfcodec.images.deep import DEEP_CHANNELS, AnyImage, DeepImage, reduced, samples_of
from selfcodec.images.picture import Picture

Planes = tuple[UInt8, UInt8 | None]
"""Colour (H, W, C), C = 1 or 3, and alpha (H, W)."""

_STRIP_PIXELS = 2**20
_PALETTE_ENTRIES = 256
_KEYED = ("1", "L", "RGB")
_DEEP_KEYED = {"I;16": "LA;16", "RGB;16": "RGBA;16"}
"""With the modes that have alpha instead of a transparent colour."""
_NOT_LOSSY = "it has printing inks (CMYK), which no lossy mode codes: convert it to RGB first, or encode it lossless"


def take_apart(image: AnyImage, metadata: bytes, warnings: tuple[str, ...]) -> Picture:
    """Return an image, of a mode in IMAGE_MODES, as a picture; InputError where its palette or key is damaged."""
    if isinstance(image, DeepImage) or image.mode in DEEP_CHANNELS:
        image = _without_key(image)
        planes, alpha = _reduce(image)
        lossy = ("its 16 bits a sample are reduced to 8",)
        return Picture(image.mode, planes, alpha, metadata, image, warnings, "16 bits a sample", lossy)
    keyed = "transparency" in image.info and image.mode in _KEYED
    planes, alpha = _RENDERERS.get(image.mode, _split)(image)
    if keyed:
        alpha = _keyed_alpha(image, planes)
    reason = _REASONS.get(image.mode, "a transparent colour" if keyed else None)
    refusal = _NOT_LOSSY if image.mode == "CMYK" else None
    source = None if reason is None else image
    return Picture(image.mode, planes, alpha, metadata, source, warnings, reason, lossy_refusal=refusal)


def _without_key(image: AnyImage) -> AnyImage:
    """Return a deep image whose transparent colour, if it has one, is alpha instead, as when its file is read."""
    if "transparency" not in image.info or image.mode not in _DEEP_KEYED:
        return image
    samples = samples_of(image)
    alpha = _keyed_alpha(image, samples).astype(np.uint16) * 257
    info = {str(key): value for key, value in image.info.items() if key != "transparency"}
    return DeepImage(_DEEP_KEYED[image.mode], np.dstack((samples, alpha)), info)


def _reduce(image: AnyImage) -> Planes:
    samples = samples_of(image)
    small = np.empty(samples.shape, np.uint8)
    rows = max(1, _STRIP_PIXELS // samples.shape[1])
    for top in range(0, len(samples), rows):  # strip by strip to save memory
        small[top : top + rows] = reduced(samples[top : top + rows].astype(np.uint16, copy=False))
    if samples.shape[2] % 2:
        return small, None
    return np.ascontiguousarray(small[..., :-1]), np.ascontiguousarray(small[..., -1])


def _split(image: Image.Image) -> Planes:
    """Take mode L, LA, RGB or RGBA apart; strip by strip to save memory."""
    width, height = image.size
    has_alpha = image.mode in ("LA", "RGBA")
    colours = len(image.getbands()) - has_alpha
    planes = np.empty((height, width, colours), np.uint8)
    alpha = np.empty((height, width), np.uint8) if has_alpha else None
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = np.asarray(image.crop((0, top, width, bottom))).reshape(bottom - top, width, -1)
        planes[top:bottom] = strip[..., :colours]
        if alpha is not None:
            alpha[top:bottom] = strip[..., colours]
    return planes, alpha


def _keyed_alpha(image: AnyImage, planes: UInt8 | UInt16) -> UInt8:
    """Return the alpha (H, W) of an image with one transparent colour: 0 where it has it, else 255."""
    key = np.asarray(image.info["transparency"])
    if key.dtype.kind not in "iu" or key.size != planes.shape[2]:
        raise InputError("its transparent colour is damaged: convert it to LA or RGBA first")
    if image.mode == "1":
        key = 255 * (key != 0)
    return np.where((planes == key).all(axis=2), 0, 255).astype(np.uint8)


def _render_palette(image: Image.Image) -> Planes:
    """Return what a palette image looks like: C = 1 if it is all grey, alpha if any of it is transparent."""
    ramp = image.crop((0, 0, _PALETTE_ENTRIES, 1))
    ramp.putdata(range(_PALETTE_ENTRIES))
    try:
        palette = np.asarray(ramp.convert("RGBA"))[0]
    except ValueError as error:
        raise InputError(f"its palette is damaged: convert it to RGBA first ({error})") from error
    indices = np.asarray(image)
    used = palette[np.bincount(indices.ravel(), minlength=_PALETTE_ENTRIES) > 0]
    grey = bool((used[:, :1] == used[:, :3]).all())
    planes = np.take(palette[:, : 1 if grey else 3], indices, axis=0)
    alpha = np.take(palette[:, 3], indices) if (used[:, 3] < 255).any() else None
    return planes, alpha


_RENDERERS: dict[str, Callable[[Image.Image], Planes]] = {
    "1": lambda image: _split(image.convert("L")),
    "P": _render_palette,
    "CMYK": lambda image: _split(image.convert("RGB")),
}
"""How to take apart what is not just split."""
_REASONS = {"1": "one bit a pixel", "P": "a palette", "CMYK": "printing inks (CMYK)"}
"""Why no model codes these modes exactly."""
