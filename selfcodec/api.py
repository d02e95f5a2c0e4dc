"""The library's two functions."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from selfcodec.codec import Settings, decode_file, encode_picture
from selfcodec.errors import InputError
from selfcodec.images import from_image, load_picture
from selfcodec.modes import DEFAULT_QUALITY, Mode
from selfcodec.zoo import find_model


def encode(
    image: Image.Image | npt.NDArray[np.uint8] | str | os.PathLike[str],
    mode: str = "lossless",
    model: str | None = None,
    quality: int | None = None,
    *,
    level: int | None = None,
    seed: int | None = None,
    strip: bool = False,
    verify: bool = True,
) -> bytes:
    """Codes an image as a `.sv` file.

    Args:
        image: a Pillow image, an array (H, W), (H, W, 3) or (H, W, 4) of uint8, or the path of an image.
        mode: `rs1`, `rs2`, `cg`, `cr` or `lossless`.
        model: name or folder of a model; None for the default.
        quality: 1..100, finer latents with higher values; None for the model's own.
        level: of `cg` and `cr`, down to which y_k is sent; None for the mode's default.
        seed: let the decoder draw what is not sent, from this seed.
        strip: leave ICC profile, EXIF and XMP out.
        verify: decode the result again and compare: alpha, and where it is lossless the colours.

    Raises:
        InputError: the image or a setting is not one that selfcodec takes.
        ModelError: the model is missing or damaged.
    """
    settings = Settings(Mode.parse(mode), level, DEFAULT_QUALITY if quality is None else quality, seed)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,), (4,)):
            raise InputError(f"an array {image.shape} of {image.dtype}: give uint8, (H, W), (H, W, 3) or (H, W, 4)")
        image = Image.fromarray(image)
    if isinstance(image, Image.Image):
        picture = from_image(image, strip=strip)
    else:
        picture = load_picture(Path(image), strip=strip)
    return encode_picture(picture, settings, find_model(model, settings.mode), verify=verify).data


def decode(data: bytes, *, upto: str | None = None, allow_truncated: bool = False) -> Image.Image:
    """The image of a `.sv` file.

    Args:
        data: the file's bytes.
        upto: decode only as far as this mode's variables.
        allow_truncated: take the deepest complete level of a file that was cut short.

    Raises:
        FormatError: the bytes are no intact `.sv` file.
        ModelError: the model that the file names is missing.
    """
    return decode_file(data, upto=None if upto is None else Mode.parse(upto), allow_truncated=allow_truncated)
