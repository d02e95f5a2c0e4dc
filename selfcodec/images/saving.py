"""Writing images: whatever the target format can hold of them."""

from __future__ import annotations

import io
import os
from typing import Any, BinaryIO

from PIL import Image, PngImagePlugin

from selfcodec.errors import InputError
from selfcodec.files import write_atomically

Path = str | os.PathLike[str]


def usual_suffix(image: Image.Image) -> str:
    """Suffix, dot included, of the format that holds an image exactly: TIFF for printing inks, else PNG."""
    return ".tif" if image.mode == "CMYK" else ".png"


def save_image(image: Image.Image, target: Path | BinaryIO, format: str = "PNG") -> tuple[str, ...]:
    """Write an image with its ICC profile, EXIF and XMP; a path appears only once it is whole.

    Args:
        image: as from `to_image`.
        target: path or open binary file.
        format: Pillow's name of a format. WEBP is written lossless; JPEG loses what it always loses.

    Returns:
        what of the image the format cannot hold, one line each, without the target's name.

    Raises:
        InputError: the format cannot hold the image, or the file cannot be written.
    """
    options: dict[str, Any] = {key: image.info[key] for key in ("icc_profile", "exif") if key in image.info}
    xmp = image.info.get("xmp")
    if format == "PNG" and isinstance(xmp, bytes):
        options["pnginfo"] = PngImagePlugin.PngInfo()
        # keyword, no compression, no language, no translated keyword; not add_itxt, which wants valid UTF-8
        options["pnginfo"].add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    elif xmp is not None:
        options["xmp"] = xmp
    if format == "WEBP":
        options |= {"lossless": True, "exact": True}
    buffer = io.BytesIO()
    try:
        image.save(buffer, format, **options)
    except Exception as error:  # Pillow's writers raise nearly every type for what they do not support
        raise InputError(f"cannot write this image as {format}: choose PNG ({error})") from error
    if isinstance(target, str | os.PathLike):
        write_atomically(target, buffer.getvalue())
    else:
        target.write(buffer.getvalue())
    return ()
