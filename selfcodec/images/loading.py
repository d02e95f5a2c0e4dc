"""Reading images: from files and Pillow's to pictures, and what is refused."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, ImageOps

from selfcodec.errors import InputError, naming
from selfcodec.files import read_open, reading
from selfcodec.format.header import IMAGE_MODES
from selfcodec.format.metadata import EXIF_PREFIX, MAX_METADATA, WITHOUT_METADATA, pack_metadata
from selfcodec.images.apart import take_apart
from selfcodec.images.deep import AnyImage, DeepImage, image_of
from selfcodec.images.deep_reading import TOO_DEEP, is_deep, read_deep
from selfcodec.images.gathering import exif_of, gather, left_out, lost_colours, without_turn
from selfcodec.images.jpeg import has_gain_map
from selfcodec.images.opening import Opened, open_image, opened_jpeg, refuse_size, reopen_jpegxl, unreadable
from selfcodec.images.picture import Picture
from selfcodec.images.properties import Properties
from selfcodec.images.turning import turned

Path = str | os.PathLike[str]

_REMEDIES = {
    "PA": "convert it to RGBA first",
    "La": "convert it to LA first",
    "RGBa": "convert it to RGBA first",
    "RGBX": "convert it to RGB first",
}
_ORDERS = {"I;16B": ">u2", "I;16L": "<u2", "I;16N": "=u2"}
"""Modes that hold the same samples as I;16 in another order of bytes, by NumPy's name for it."""
_WITHOUT_TILES = frozenset(("JXL", "HEIF"))
"""Plugins that read these do not tell beforehand which parts of the file are pixels."""


def load_picture(
    source: Path | bytes | BinaryIO, *, strip: bool = False, first: bool = False, name: str = "image data"
) -> Picture:
    """Read an image from a path, a file's bytes, or an open binary file, which stays open, from its beginning.

    Args:
        source: what to read.
        strip: leave all metadata out; a picture that EXIF says to turn is turned instead.
        first: of a file of several pictures take the first one.
        name: of bytes, and of a file that has none.

    Raises:
        InputError: one line naming the file and the remedy.
    """
    if isinstance(source, bytes):
        return _load_file(io.BytesIO(source), name, strip, first)
    if not isinstance(source, str | os.PathLike):
        return _load_file(source, str(getattr(source, "name", name)), strip, first)
    with reading(source) as file:
        return _load_file(file, os.fspath(source), strip, first)


def _from_the_beginning(file: BinaryIO) -> BinaryIO:
    """A file at its beginning; what is left of a stream that only goes on."""
    read_open(file, 0)  # since Pillow raises anything for one that gives no bytes
    if not file.seekable():
        return io.BytesIO(read_open(file))
    file.seek(0)
    return file


def _load_file(file: BinaryIO, name: str, strip: bool, first: bool) -> Picture:
    with naming(name):
        return _picture(open_image(_from_the_beginning(file)), strip, first)


def from_image(image: AnyImage, name: str = "image", *, strip: bool = False, first: bool = False) -> Picture:
    """Take a Pillow image or a deep one apart; `name` stands in error messages, the rest is as for `load_picture`.

    Raises:
        InputError: the image is damaged, empty, one of several, larger than MAX_PIXELS, or of a mode that is not in
            IMAGE_MODES.
    """
    with naming(name), _staying(image):
        return _picture(_opened(image), strip, first)


@contextmanager
def _staying(image: AnyImage) -> Iterator[None]:
    """After the block an image of several frames is at the one where it was."""
    if isinstance(image, DeepImage):
        yield
        return
    frame = image.tell()
    try:
        yield
    finally:
        if image.tell() != frame:
            image.seek(frame)


def _opened(image: AnyImage) -> Opened | DeepImage:
    """Of what is not loaded yet, Pillow leaves out or misreads some: a PNG is opened again, a JPEG's file read on.

    So is a PNG beyond its first frame, which alone is ever taken: Pillow cannot go there and back again.
    """
    if isinstance(image, DeepImage):
        return image
    if image.format == "JXL" and (data := getattr(image, "fc", b"")):
        return reopen_jpegxl(image, data)
    if image.format in ("JPEG", "MPO") and _is_unread(image):
        return opened_jpeg(image, image.fp)  # type: ignore[attr-defined]
    if image.format != "PNG":
        return Opened(image)
    if not _is_unread(image) and not image.tell():
        return Opened(image, warnings=tuple(_unscaled_key(image)))
    file: BinaryIO = image.fp or image._fp  # type: ignore[attr-defined]
    read_open(file, 0)
    position = file.tell()
    file.seek(0)
    opened = open_image(file)
    file.seek(position)
    opened.image.info.update({key: image.info[key] for key in ("icc_profile", "exif", "xmp") if key in image.info})
    return opened


def _unscaled_key(image: Image.Image) -> Iterator[str]:
    """Tell where a loaded PNG seems to have 2 or 4 bits: Pillow scales its samples, but not its transparent grey."""
    key = image.info.get("transparency")
    few = image.mode == "L" and isinstance(key, int) and 0 < key < 16
    if few and not any(count for value, count in enumerate(image.histogram()) if value % 17):
        yield f"its transparent grey {key} is of no pixel, nothing is transparent: give the PNG file itself instead"


def _is_unread(image: Image.Image) -> bool:
    """Whether an image's pixels are still as in its file."""
    is_file = isinstance(image, ImageFile.ImageFile) and image.fp is not None
    return is_file and (image.format in _WITHOUT_TILES or bool(image.tile))  # type: ignore[attr-defined]


def _picture(opened: Opened | DeepImage, strip: bool, first: bool) -> Picture:
    """Raises InputError without a name."""
    loaded: AnyImage
    moved = False
    if isinstance(opened, DeepImage):
        loaded, warnings, excess, upright = opened, list[str](), False, False
        refuse_size(*loaded.size)
    else:
        image, excess, upright = opened.image, opened.excess, opened.upright
        refuse_size(*image.size)
        frame = image.tell()
        warnings = [*opened.warnings, *left_out(image), *_choose_first(image, opened.pictures, first)]
        moved = image.tell() != frame
        loaded = _load(image, strip)
    if loaded.mode not in IMAGE_MODES:
        remedy = _REMEDIES.get(loaded.mode, "convert it to RGB first")
        raise InputError(f"its colour mode {loaded.mode} is not supported; {remedy}")
    if excess and not strip:
        raise InputError(f"it has more than {MAX_METADATA} bytes of metadata: {WITHOUT_METADATA}")
    metadata = b""
    if strip:
        loaded = loaded if upright else _upright(loaded)
        warnings += lost_colours(_gather_colours(loaded))
    else:
        fields = gather(loaded)
        metadata = pack_metadata(fields | {"exif": without_turn(fields["exif"])} if upright else fields)
    if moved and isinstance(loaded, Image.Image):
        loaded = loaded.copy()  # a picture may keep it, and the image will go back to its frame
    return take_apart(loaded, metadata, tuple(warnings))


def _gather_colours(image: AnyImage) -> dict[str, object]:
    """Metadata that tell how an image looks; those that cannot be read say nothing of that."""
    try:
        return gather(image)
    except InputError:
        return {"png_chunks": (), "icc_profile": image.info.get("icc_profile")}


def _choose_first(image: Image.Image, pictures: int | None, first: bool) -> list[str]:
    """Go to the first of several pictures, and return what is to be told of the others."""
    if pictures is None and image.format == "PSD":  # its frames are layers; what it opens with is all of them
        return []
    try:
        count = getattr(image, "n_frames", 1) if pictures is None else pictures
        if count == 1:
            return []
        if not first and not has_gain_map(image):
            kind = "as some cameras write" if image.format == "MPO" else "an animation or pages"
            remedy = "encode takes the first of them (--first, first=True), or extract one"
            raise InputError(f"holds {count} images ({kind}): {remedy}")
        image.seek(0)
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise nearly every type on damaged files
        raise unreadable(error) from error
    rest = count - 1 - has_gain_map(image)
    return [f"it holds {count} images, of which only the first is taken"] if rest else []


def _load(image: Image.Image, strip: bool) -> AnyImage:
    """Read the pixels, all bits of them."""
    try:
        if _is_unread(image) and image.format != "SV" and is_deep(image):
            return _load_deep(image, strip)
        image.load()
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise nearly every type on damaged files
        raise unreadable(error) from error
    if image.mode in ("I", "F"):
        raise InputError(TOO_DEEP)
    if image.mode not in _ORDERS:
        return image
    samples = np.frombuffer(image.tobytes(), _ORDERS[image.mode]).astype(np.uint16)
    reordered = image_of(samples.reshape(image.height, image.width, 1))
    reordered.info.update({str(key): value for key, value in image.info.items()})
    return reordered


def _load_deep(image: Image.Image, strip: bool) -> AnyImage:
    samples = read_deep(image)
    if samples.shape[1::-1] != image.size and image.format not in ("TIFF", "JXL"):
        raise InputError("damaged: get another copy of it (its sizes differ)")
    loaded = image_of(samples)
    loaded.info.update({str(key): value for key, value in image.info.items() if key != "transparency"})
    loaded.info["png_chunks"] = (_gather_colours(image) if strip else gather(image))["png_chunks"]
    if image.format == "TIFF" and not strip and (exif := exif_of(image)):
        loaded.info["exif"] = EXIF_PREFIX + exif
    return loaded


def _upright(image: AnyImage) -> AnyImage:
    """Turn an image as its EXIF says."""
    try:
        if isinstance(image, Image.Image):
            turned_image = ImageOps.exif_transpose(image)
            return turned_image if turned_image is not None else image
        return DeepImage(image.mode, turned(image.samples, Properties.of(image.info).orientation), image.info)
    except Exception:  # Pillow raises nearly every type on damaged data, which tell of no turn
        return image
