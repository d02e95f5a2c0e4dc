"""The library's functions."""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from selfcodec.advice import advice
from selfcodec.arrays import meant_as_one
from selfcodec.decoding import decode_file, open_file, truncation
from selfcodec.errors import FormatError, InputError, naming, warn_of
from selfcodec.files import read_open, read_whole
from selfcodec.format.header import peek
from selfcodec.images import AnyImage, Picture, from_image, load_picture
from selfcodec.images.deep import DeepImage, image_of
from selfcodec.many import decode_all, encode_all
from selfcodec.modes import Mode
from selfcodec.rate_control import Target, choose_settings, encode_to_target
from selfcodec.together import grouped
from selfcodec.zoo import model_for

__all__ = ["DeepImage", "decode", "decode_many", "encode", "encode_many"]

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A path, a file's bytes, or an open binary file."""
_BYTES = (bytes, bytearray, memoryview)
_CHANNELS = ((), (1,), (2,), (3,), (4,))


def encode(
    image: AnyImage | Samples | Source,
    mode: str = "lossless",
    model: str | os.PathLike[str] | None = None,
    quality: int | None = None,
    *,
    level: int | None = None,
    seed: int | None = None,
    bpp: float | None = None,
    bytes: int | None = None,
    psnr: float | None = None,
    effort: int | None = None,
    strip: bool = False,
    first: bool = False,
    verify: bool = True,
) -> builtins.bytes:
    """Codes an image as a `.sv` file.

    data = selfcodec.encode("photo.png")                             # lossless
    data = selfcodec.encode("photo.png", mode="rs2", quality=30)
    data = selfcodec.encode("photo.png", mode="rs2", bpp=0.5)        # at most half a bit per pixel

    At most one of quality, bpp, bytes and psnr is given. The last three look for the quality, with up to seven
    attempts, and up to ten more for what lies between two qualities where the model leaves encoders a choice; a target
    that no quality reaches in this mode is an InputError that names the nearest one.

    Args:
        image: a Pillow image or a `DeepImage`, an array (H, W), or (H, W, C) of grey, grey and alpha, RGB or RGBA, of
            uint8 or uint16, or an image file: its path, its bytes, or an open binary file.
        mode: `rs1`, `rs2`, `cg`, `cr` or `lossless`.
        model: name or folder of a model; None for the default.
        quality: 1..100, finer latents with higher values; None for the model's own.
        level: of `cg` and `cr`, 1..K of the model: down to which y_k is sent; None for the mode's default.
        seed: 0..2**32 - 1: let the decoder draw what is not sent, from this seed.
        bpp: the highest quality at which the whole file takes at most so many bits per pixel; of lossy modes.
        bytes: the highest quality at which the whole file takes at most so many bytes; of lossy modes.
        psnr: the lowest quality at which the colours reach at least so many dB; of lossy modes.
        effort: 0..9, how long to look for better latents of a lossy photograph; decoding takes as long as ever. None:
            0, or of lossless files 2. Lossless, 0 and 1 take a faster model where none is named, which decodes faster,
            too; any effort but 0 learns of the picture while coding it, which takes up to half as much time again,
            either way; and from 3 on pictures of at most 4,096 pixels are also coded without, for the smaller file.
        strip: leave all metadata out; a picture that EXIF says to turn is turned instead.
        first: of a file of several pictures take the first one.
        verify: decode the result again and compare: alpha, and the colours with the image's, or where the file is lossy
            with what the encoder expects.

    What of the image the file does not keep, such as IPTC, or in lossy modes more than 8 bits a sample, is named in a
    SelfcodecWarning; so is a setting that changes nothing in this mode of the model.

    Raises:
        InputError: the image or a setting is not one that selfcodec takes, or the target cannot be reached.
        ModelError: the model is missing or damaged.
        SelfcodecError: verification failed.
    """
    target = Target(bpp, bytes, psnr)
    settings = choose_settings(mode, target, level=level, quality=quality, seed=seed, effort=effort)
    picture = _picture(image, strip=strip, first=first)
    chosen = model_for(settings, model)
    warn_of(advice(settings, target, chosen, effort, named=model is not None))
    encoded = encode_to_target(picture, settings, target, chosen, verify=verify).encoded
    warn_of(picture.warnings_in(encoded.mode), _path(image) or "image")
    return encoded.data


def encode_many(
    images: Iterable[AnyImage | Samples | Source],
    mode: str = "lossless",
    model: str | os.PathLike[str] | None = None,
    quality: int | None = None,
    *,
    level: int | None = None,
    seed: int | None = None,
    bpp: float | None = None,
    bytes: int | None = None,
    psnr: float | None = None,
    effort: int | None = None,
    strip: bool = False,
    first: bool = False,
    verify: bool = True,
) -> list[builtins.bytes]:
    """Codes many images; each has the file that `encode` makes of it, bit for bit, but small ones take half the time.

    files = selfcodec.encode_many(array)    # (N, H, W, 3) of uint8

    Args:
        images: whatever `encode` takes, or an array of such; they are taken one after another, and no more of them are
            in memory than are coded together.
        mode, model, quality, level, seed, bpp, bytes, psnr, effort, strip, first, verify: as for `encode`, of each.

    Raises:
        SelfcodecError: as for `encode`; of an image it begins with `image` and its number, the first one being 0, as
            warnings do.
    """
    target = Target(bpp, bytes, psnr)
    settings = choose_settings(mode, target, level=level, quality=quality, seed=seed, effort=effort)
    _check_many(images, "images")
    if isinstance(images, np.ndarray):
        warn_of(meant_as_one(images.shape))
    chosen = model_for(settings, model)
    warn_of(advice(settings, target, chosen, effort, named=model is not None))
    files: list[builtins.bytes] = []
    for group in grouped(_pictures(images, strip=strip, first=first), lambda item: item[1].pixels):
        names, pictures = zip(*group, strict=True)
        made = [reached.encoded for reached in encode_all(pictures, names, settings, target, chosen, verify=verify)]
        for (name, picture), encoded in zip(group, made, strict=True):
            warn_of(picture.warnings_in(encoded.mode), name)
            files.append(encoded.data)
    return files


def _check_many(given: object, what: str) -> None:
    """InputError for one where many are asked for, of which some could be iterated over as well."""
    one = isinstance(given, (str, os.PathLike, *_BYTES, Image.Image, DeepImage)) or hasattr(given, "read")
    if one or not isinstance(given, Iterable):
        raise InputError(f"many {what} are given as a list of them, or one after another, not {type(given).__name__}")


def _pictures(
    images: Iterable[AnyImage | Samples | Source], *, strip: bool, first: bool
) -> Iterator[tuple[str, Picture]]:
    for i, image in enumerate(images):
        with naming(f"image {i}"):
            picture = _picture(image, strip=strip, first=first)
        yield _numbered("image", i, image), picture


def _picture(image: AnyImage | Samples | Source, *, strip: bool, first: bool) -> Picture:
    """What was given to `encode`, taken apart."""
    given = _image_of(image) if isinstance(image, np.ndarray) else image
    if isinstance(given, Image.Image | DeepImage):
        return from_image(given, strip=strip, first=first)
    _check_source(given, "an image is a Pillow image, an array")
    return load_picture(bytes(given) if isinstance(given, _BYTES) else given, strip=strip, first=first)


def _image_of(array: npt.NDArray[Any]) -> AnyImage:
    samples = array.astype(array.dtype.newbyteorder("="), copy=False)
    if samples.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or array.shape[2:] not in _CHANNELS:
        raise InputError(f"an array {array.shape} of {array.dtype}: give (H, W) or (H, W, 1..4) of uint8 or uint16")
    return image_of(samples.reshape(*array.shape[:2], array.shape[2] if array.ndim == 3 else 1))


def _check_source(source: object, beginning: str) -> None:
    """InputError for what is no `Source`; `beginning` of the message tells what else it might have been."""
    if not (isinstance(source, (str, os.PathLike, *_BYTES)) or hasattr(source, "read")):
        raise InputError(f"{beginning}, a path, a file's bytes or an open binary file, not {type(source).__name__}")


def _bytes_of(source: Source) -> bytes:
    _check_source(source, "an .sv file is given as its bytes")
    if isinstance(source, str | os.PathLike):
        return read_whole(source)
    if isinstance(source, _BYTES):
        return bytes(source)
    with naming(_path(source)):
        return read_open(source)


def _path(source: object) -> str:
    """The path of what was given, "" where it has none."""
    if isinstance(source, str | os.PathLike):
        return str(os.fspath(source))
    name = getattr(source, "filename" if isinstance(source, Image.Image) else "name", "")  # of a pipe it is a number
    return name if isinstance(name, str) else ""


def _numbered(what: str, number: int, source: object) -> str:
    """The name of one of many."""
    path = _path(source)
    return f"{what} {number}: {path}" if path else f"{what} {number}"


def _warn_of_truncation(name: str, data: bytes, upto: Mode | None) -> None:
    warn_of(truncation(open_file(data, allow_truncated=True), upto), name)


def decode(data: Source, *, upto: str | None = None, allow_truncated: bool = False) -> AnyImage:
    """The image of a `.sv` file: one of Pillow's, or a `DeepImage` of several channels of 16 bits a sample.

    Args:
        data: the file's bytes, its path, or the file, open for reading bytes.
        upto: decode only as far as this mode's variables.
        allow_truncated: take the deepest complete level of a file that was cut short or damaged, and say in a
            SelfcodecWarning what is left, and that nothing vouches for it.

    Raises:
        InputError: the file cannot be read.
        FormatError: the bytes are no intact `.sv` file.
        ModelError: the model that the file names is missing.
    """
    mode = None if upto is None else Mode.parse(upto)
    content, name = _bytes_of(data), _path(data)
    with naming(name):
        image = decode_file(content, upto=mode, allow_truncated=allow_truncated)
    if allow_truncated:
        _warn_of_truncation(name, content, mode)
    return image


def decode_many(files: Iterable[Source], *, upto: str | None = None, allow_truncated: bool = False) -> list[AnyImage]:
    """The images of many `.sv` files; small ones take half the time that `decode` takes for each.

    Args:
        files: whatever `decode` takes; read one after another.
        upto, allow_truncated: as for `decode`, of each.

    Raises:
        SelfcodecError: as for `decode`; begins with `file` and its number, the first one being 0, as warnings do.
    """
    _check_many(files, "files")
    mode = None if upto is None else Mode.parse(upto)
    images: list[AnyImage] = []
    for group in grouped(_contents(files), lambda item: _pixels(item[1])):
        names, contents = zip(*group, strict=True)
        images += decode_all(contents, names, upto=mode, allow_truncated=allow_truncated)
        for name, content in group if allow_truncated else ():
            _warn_of_truncation(name, content, mode)
    return images


def _contents(files: Iterable[Source]) -> Iterator[tuple[str, bytes]]:
    for i, file in enumerate(files):
        with naming(f"file {i}"):
            content = _bytes_of(file)
        yield _numbered("file", i, file), content


def _pixels(data: bytes) -> int:
    """Of a file; none where it is damaged, which shows when it is decoded."""
    try:
        return peek(data).pixels
    except FormatError:
        return 0
