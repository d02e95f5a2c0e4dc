"""Writing images: whatever the target format can hold of them."""

from __future__ import annotations

import os
from typing import BinaryIO

from selfcodec.errors import InputError
from selfcodec.files import write_atomically
from selfcodec.images.deep import AnyImage
from selfcodec.images.fitting import fit, upright
from selfcodec.images.properties import Properties
from selfcodec.images.targets import Target, target_of

Path = str | os.PathLike[str]


def usual_suffix(mode: str) -> str:
    """Suffix, dot included, of the format that holds images of a mode exactly: TIFF for printing inks, else PNG."""
    return ".tif" if mode == "CMYK" else ".png"


def _beyond(image: AnyImage, target: Target) -> str:
    """What of an image that does not fit into a format is too much for it."""
    if image.mode == "CMYK":
        return "printing inks (CMYK)"
    if image.mode.endswith(";16") and not any(mode.endswith(";16") for mode in target.modes):
        return "16 bits a sample"
    return target.limit or "transparency"


def save_image(image: AnyImage, target: Path | BinaryIO, format: str = "PNG") -> tuple[str, ...]:
    """Write an image so that it looks the same, with its metadata; a path appears only once it is whole.

    Where the format has no mode like the image's, the image is changed to one that shows the same; where it holds
    no orientation, the picture is turned upright.

    Args:
        image: as from `to_image`.
        target: path or open binary file.
        format: a format's name in TARGETS, or Pillow's; one that is not there must bring back the same pixels.

    Returns:
        what of the image the format does not hold, one line each, without the target's name.

    Raises:
        InputError: the format cannot hold the pixels, or the file cannot be written.
    """
    form, original = target_of(format), image
    if "orientation" not in form.holds:
        image = upright(image)
    fitted = fit(image, form.modes, keyed=form.keyed)
    if fitted is None:
        raise InputError(f"{format} cannot hold {_beyond(image, form)}: choose {usual_suffix(image.mode)}")
    properties = Properties.of(image.info)
    try:
        pieces = form.write(fitted, properties, form)
    except Exception as error:  # Pillow's writers raise nearly every type for what they do not support
        raise InputError(f"cannot write this image as {format}: choose {usual_suffix(image.mode)} ({error})") from error
    if isinstance(target, str | os.PathLike):
        write_atomically(target, *pieces)
    else:
        for piece in pieces:
            target.write(piece)
    lossy = f"{format} does not keep pixels exactly" if image.mode in form.inexact else ""
    anew = format == "TIFF" or image is not original
    unwritable = Properties.of(original.info).unwritable if anew and "exif" in form.holds else ""
    return tuple(line for line in (lossy, unwritable, *properties.left_out(form.holds)) if line)
