"""Reading images: from files and Pillow's to pictures, and what is refused."""

from __future__ import annotations

import io
import os
import re
import threading
import warnings
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from selfcodec.arrays import UInt8
from selfcodec.errors import InputError
from selfcodec.format.container import IMAGE_MODES, MAX_PIXELS, MAX_SIDE
from selfcodec.format.sidedata import pack_metadata
from selfcodec.images.picture import Picture

Path = str | os.PathLike[str]

_STRIP_PIXELS = 2**20
_REMEDIES = {
    "PA": "convert it to RGBA first",
    "La": "convert it to LA first",
    "RGBa": "convert it to RGBA first",
    "RGBX": "convert it to RGB first",
}
_DEEP = "it has more than 8 bits a sample; convert it to 8 bits first, for example with `magick IN -depth 8 OUT`"
# Raw modes by which Pillow reduces deep samples to 8 bits unasked. BGR;16 is not one: it packs 5-6-5 bits.
_DEEP_RAW_MODE = re.compile(r"(L|LA|R|RGB|RGBA|RGBX|RGBa|CMYK);16")
_PALETTE_ENTRIES = 256
_HEAD_BYTES = 2**16
"""A codestream's header must begin in so many first bytes of a file."""

_warning_filters = threading.Lock()


def load_picture(source: Path | bytes | BinaryIO, *, strip: bool = False, first: bool = False) -> Picture:
    """Read an image from a path, a file's bytes, or an open binary file, which stays open.

    Args:
        source: what to read.
        strip: leave ICC, EXIF and XMP out.

    Raises:
        InputError: one line naming the file and the remedy.
    """
    if isinstance(source, bytes):
        return _load_file(io.BytesIO(source), "image data", strip)
    if not isinstance(source, str | os.PathLike):
        return _load_file(source, str(getattr(source, "name", "image data")), strip)
    try:
        with open(source, "rb") as file:
            return _load_file(file, os.fspath(source), strip)
    except OSError as error:
        raise InputError(f"{os.fspath(source)}: cannot be read: {error.strerror or error}") from error


def _load_file(file: BinaryIO, name: str, strip: bool) -> Picture:
    try:
        # Pillow warns from 89 megapixels on, which are welcome here; its error from twice that on stands.
        with _warning_filters, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file)
    except UnidentifiedImageError as error:
        raise InputError(f"{name}: not an image, or of a kind that Pillow cannot read: convert it to PNG") from error
    except Exception as error:  # Pillow's readers raise nearly every type on damaged files
        raise _unreadable(name, error) from error
    return from_image(image, name, strip=strip)


def _unreadable(name: str, error: Exception) -> InputError:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning | MemoryError):
        return InputError(f"{name}: too many pixels: cut it into smaller images ({error})")
    return InputError(f"{name}: damaged or cut short: get another copy of it ({error})")


def from_image(image: Image.Image, name: str = "image", *, strip: bool = False) -> Picture:
    """Take a Pillow image apart; `name` stands in error messages, `strip` leaves the metadata out.

    Raises:
        InputError: the image is damaged, empty, animated, deeper than 8 bits, larger than MAX_PIXELS, or of a
            mode that is not in IMAGE_MODES.
    """
    _refuse_unsupported(image, name)
    try:
        frames = getattr(image, "n_frames", 1)
        if frames == 1:
            image.load()
    except Exception as error:  # Pillow's readers raise nearly every type on damaged files
        raise _unreadable(name, error) from error
    if frames != 1:
        kind = "as some cameras write" if image.format == "MPO" else "an animation or pages"
        raise InputError(f"{name}: holds {frames} images ({kind}): extract one of them first")
    try:
        metadata = b"" if strip else pack_metadata(image)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    keyed = "transparency" in image.info and image.mode in ("1", "L", "RGB")
    exact_only = keyed or image.mode in ("1", "P")
    if image.mode == "P":
        planes, alpha = _render_palette(image, name)
    else:
        planes, alpha = _split(image.convert("L") if image.mode == "1" else image)
    if keyed:
        alpha = _keyed_alpha(image, planes, name)
    return Picture(image.mode, planes, alpha, metadata, image if exact_only else None)


def _refuse_unsupported(image: Image.Image, name: str) -> None:
    """Raise InputError for what can be told from the image's header."""
    width, height = image.size
    if not width or not height:
        raise InputError(f"{name}: is empty ({width}×{height} pixels)")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(f"{name}: {width}×{height} pixels are too many: cut it into smaller images")
    if image.mode.startswith(("I", "F")) or _reduced_depth(image):
        raise InputError(f"{name}: {_DEEP}")
    if image.mode not in IMAGE_MODES:
        remedy = _REMEDIES.get(image.mode, "convert it to RGB first")
        raise InputError(f"{name}: its colour mode {image.mode} is not supported; {remedy}")


def _deep_codestream(image: Image.Image) -> bool:
    """Return whether a not yet loaded JPEG 2000 or AVIF file has more than 8 bits a sample."""
    fp = getattr(image, "fp", None)
    if image.format not in ("JPEG2000", "AVIF") or fp is None:
        return False
    position = fp.tell()
    fp.seek(0)
    head: bytes = fp.read(_HEAD_BYTES)
    fp.seek(position)
    if image.format == "AVIF":  # av1C box: after its name version, profile and level, then tier and high_bitdepth
        at = head.find(b"av1C")
        return at >= 0 and len(head) > at + 6 and bool(head[at + 6] & 0x40)
    at = head.find(b"\xff\x4f\xff\x51")  # SOC and SIZ markers; Ssiz, depth - 1, follows 36 bytes behind Lsiz
    depths = head[at + 42 : at + 42 + 3 * len(image.getbands()) : 3] if at >= 0 else b""
    return any((depth & 0x7F) >= 8 for depth in depths)


def _reduced_depth(image: Image.Image) -> bool:
    """Return whether Pillow would quietly reduce the samples of a not yet loaded file to 8 bits."""
    if _deep_codestream(image):
        return True
    for tile in getattr(image, "tile", ()):
        if tile[0] == "SGI16":
            return True
        parameters = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        raw_mode = parameters[0] if parameters else None
        if isinstance(raw_mode, str) and _DEEP_RAW_MODE.match(raw_mode):
            return True
        # PPM: (raw mode, largest sample value)
        if str(tile[0]).startswith("ppm") and len(parameters) == 2 and parameters[1] > 255:
            return True
    return False


def _split(image: Image.Image) -> tuple[UInt8, UInt8 | None]:
    """Return colour (H, W, C) and alpha (H, W) of mode L, LA, RGB or RGBA; strip by strip to save memory."""
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


def _keyed_alpha(image: Image.Image, planes: UInt8, name: str) -> UInt8:
    """Return the alpha (H, W) of an image with one transparent colour: 0 where it has it, else 255."""
    key = np.asarray(image.info["transparency"])
    if key.dtype.kind not in "iu" or key.size != planes.shape[2]:
        raise InputError(f"{name}: its transparent colour is damaged: convert it to LA or RGBA first")
    if image.mode == "1":
        key = 255 * (key != 0)
    return np.where((planes == key).all(axis=2), 0, 255).astype(np.uint8)


def _render_palette(image: Image.Image, name: str) -> tuple[UInt8, UInt8 | None]:
    """Return what a palette image looks like: C = 1 if it is all grey, alpha if any of it is transparent."""
    ramp = image.crop((0, 0, _PALETTE_ENTRIES, 1))
    ramp.putdata(range(_PALETTE_ENTRIES))
    try:
        palette = np.asarray(ramp.convert("RGBA"))[0]
    except ValueError as error:
        raise InputError(f"{name}: its palette is damaged: convert it to RGBA first ({error})") from error
    indices = np.asarray(image)
    used = palette[np.bincount(indices.ravel(), minlength=_PALETTE_ENTRIES) > 0]
    grey = bool((used[:, :1] == used[:, :3]).all())
    planes = np.take(palette[:, : 1 if grey else 3], indices, axis=0)
    alpha = np.take(palette[:, 3], indices) if (used[:, 3] < 255).any() else None
    return planes, alpha
