"""The library's two functions."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from selfcodec.codec import decode_file
from selfcodec.errors import InputError
from selfcodec.images import AnyImage, from_image, load_picture
from selfcodec.modes import Mode
from selfcodec.rate_control import Target, choose_settings, encode_to_target
from selfcodec.settings import usual_effort
from selfcodec.zoo import find_model


def encode(
    image: Image.Image | npt.NDArray[np.uint8] | str | os.PathLike[str],
    mode: str = "lossless",
    model: str | None = None,
    quality: int | None = None,
    *,
    level: int | None = None,
    seed: int | None = None,
    bpp: float | None = None,
    bytes: int | None = None,
    psnr: float | None = None,
    effort: int | None = None,
    strip: bool = False,
    verify: bool = True,
) -> bytes:
    """Codes an image as a `.sv` file.

    data = selfcodec.encode("photo.png")                             # lossless
    data = selfcodec.encode("photo.png", mode="rs2", quality=30)
    data = selfcodec.encode("photo.png", mode="rs1", bpp=1.0)        # at most 1 bit per pixel

    At most one of quality, bpp, bytes and psnr is given. The last three look for the quality, with up to seven
    attempts; a target that no quality reaches in this mode is an InputError that names the nearest one.

    Args:
        image: a Pillow image, an array (H, W), (H, W, 3) or (H, W, 4) of uint8, or the path of an image.
        mode: `rs1`, `rs2`, `cg`, `cr` or `lossless`.
        model: name or folder of a model; None for the default.
        quality: 1..100, finer latents with higher values; None for the model's own.
        level: of `cg` and `cr`, 1..K of the model: down to which y_k is sent; None for the mode's default.
        seed: 0..2**32 - 1: let the decoder draw what is not sent, from this seed.
        bpp: the highest quality at which the whole file takes at most so many bits per pixel.
        bytes: the highest quality at which the whole file takes at most so many bytes.
        psnr: the lowest quality at which the colours reach at least so many dB; of lossy modes.
        effort: 0..9, how long to look for better latents of a lossy photograph; decoding takes as long as ever. None:
            2, two thirds of a second for 768 x 512 on two cores; for more than 16 megapixels 0.
        strip: leave ICC profile, EXIF and XMP out.
        verify: decode the result again and compare: alpha, and the colours with the image's, or where the file is lossy
            with what the encoder expects.

    Raises:
        InputError: the image or a setting is not one that selfcodec takes, or the target cannot be reached.
        ModelError: the model is missing or damaged.
        SelfcodecError: verification failed.
    """
    target = Target(bpp, bytes, psnr)
    settings = choose_settings(mode, target, level=level, quality=quality, seed=seed, effort=effort or 0)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,), (4,)):
            raise InputError(f"an array {image.shape} of {image.dtype}: give uint8, (H, W), (H, W, 3) or (H, W, 4)")
        image = Image.fromarray(image)
    if isinstance(image, Image.Image):
        picture = from_image(image, strip=strip)
    else:
        picture = load_picture(Path(image), strip=strip)
    chosen = find_model(model, settings.mode)
    if effort is None:
        settings = replace(settings, effort=usual_effort(picture.size))
    reached = encode_to_target(picture, settings, target, chosen, verify=verify)
    return reached.encoded.data


def decode(data: bytes, *, upto: str | None = None, allow_truncated: bool = False) -> AnyImage:
    """The image of a `.sv` file: one of Pillow's, or a `DeepImage` of several channels of 16 bits a sample.

    Args:
        data: the file's bytes.
        upto: decode only as far as this mode's variables.
        allow_truncated: take the deepest complete level of a file that was cut short.

    Raises:
        FormatError: the bytes are no intact `.sv` file.
        ModelError: the model that the file names is missing.
    """
    return decode_file(data, upto=None if upto is None else Mode.parse(upto), allow_truncated=allow_truncated)
