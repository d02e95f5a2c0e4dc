"""docs/kept.md: what files keep of an image, format by format, as saving and reading show it.

`python tests/test_kept.py` writes the page anew.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from looks import DPI, EVERYTHING, GAMMA, ISO, MAKE, PROFILE, TEXT, XMP, deep, displayed, keyed, noise
from PIL import ExifTags, Image, ImageOps

from selfcodec.errors import InputError
from selfcodec.images import load_picture, save_image
from selfcodec.images.deep import AnyImage, DeepImage
from selfcodec.images.formats import register_formats
from selfcodec.images.targets import TARGETS

register_formats()
PAGE = Path(__file__).parents[1] / "docs" / "kept.md"
KEPT, SAME, NAMED, REFUSED, LOST, ABSENT = "kept", "same look", "named", "refused", "lost", ""
MESSAGES = {"icc_profile": "ICC", "exif": "EXIF", "xmp": "XMP", "dpi": "dpi", "text": "text", "gamma": "gamma"}
"""Columns of metadata, and a word that stands in the line that tells of each."""


PIXELS: dict[str, Callable[[], AnyImage]] = {
    "1 bit": lambda: noise("1"),
    "grey": lambda: noise("L"),
    "colour": lambda: noise("RGB"),
    "palette": lambda: noise("P"),
    "transparent colour": lambda: keyed("P", 3),
    "alpha": lambda: noise("RGBA"),
    "16 bits": lambda: deep("RGB;16"),
    "CMYK": lambda: Image.merge("CMYK", noise("RGBA").split()),
}


def written(image: AnyImage, format: str) -> tuple[bytes, tuple[str, ...]]:
    buffer = io.BytesIO()
    lines = save_image(image, buffer, format)
    return buffer.getvalue(), lines


def kept_pixels(image: AnyImage, format: str) -> str:
    """A cell: what becomes of pixels."""
    try:
        data, lines = written(image, format)
    except InputError:
        return REFUSED
    if any("pixels" in line for line in lines):
        return NAMED
    if isinstance(image, DeepImage):
        return KEPT  # test_saving compares the samples
    with Image.open(io.BytesIO(data)) as back:
        if image.mode == "CMYK":
            return KEPT if back.tobytes() == image.tobytes() else LOST
        same = np.array_equal(displayed(back), displayed(image))
        kept = same and back.mode == image.mode and ("transparency" in image.info) == ("transparency" in back.info)
    return KEPT if kept else SAME if same else LOST


def read_metadata(data: bytes, dpi: tuple[int, int] = DPI) -> dict[str, bool]:
    """Whether a file holds what EVERYTHING has, by column."""
    with Image.open(io.BytesIO(data)) as image:
        tags = image.getexif()
        make, iso = tags.get(ExifTags.Base.Make), tags.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ISOSpeedRatings)
        texts = [value for value in image.info.values() if isinstance(value, str)]
        comment, description = image.info.get("comment", b""), tags.get(ExifTags.Base.ImageDescription, "")
        texts += [comment.decode(errors="replace"), description.encode("latin-1").decode(errors="replace")]
        density = image.info.get("dpi", (0, 0))
        image.load()
        info = image.info
    return {
        "icc_profile": info.get("icc_profile") == PROFILE,
        "exif": (make, iso) == (MAKE.encode().decode("latin-1"), ISO),
        "xmp": XMP in (info.get("xmp"), data[data.find(XMP) :][: len(XMP)]),  # which not every plugin reads
        "dpi": tuple(round(value) for value in density) == dpi,
        "text": any(TEXT in text for text in texts),
        "gamma": info.get("gamma") == GAMMA / 100_000,
    }


def upright(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return ImageOps.exif_transpose(image)


def image_for(format: str) -> Image.Image:
    """With all metadata, and of few enough colours for every format."""
    image = noise("1") if TARGETS[format].modes == {"1"} else noise("RGB", colours=4)
    image.info |= EVERYTHING
    return image


def decode_row(format: str) -> dict[str, str]:
    """What decoding to a format keeps."""
    row = {name: kept_pixels(make(), format) for name, make in PIXELS.items()}
    image = image_for(format)
    data, lines = written(image, format)
    turned = upright(data)
    exact = not any("pixels" in line for line in lines)
    same = turned.size == image.size[::-1] and (
        not exact or np.array_equal(displayed(turned), displayed(ImageOps.exif_transpose(image)))
    )
    held = TARGETS[format].holds
    row["orientation"] = LOST if not same else KEPT if "orientation" in held else SAME
    image.info = {"png_chunks": EVERYTHING["png_chunks"][:1]}  # gamma, which a profile would stand above
    _, gamma_line = written(image, format)
    lines += tuple(line for line in gamma_line if "gamma" in line)
    for name, there in read_metadata(data, DPI if "orientation" in held else DPI[::-1]).items():
        named = any(MESSAGES[name] in line for line in lines)
        row[name] = KEPT if there and not named else NAMED if named else LOST
    return row


def encode_row(format: str) -> dict[str, str]:
    """What encoding a file of a format keeps, of what such files hold when they are written here."""
    row = {}
    for name, make in PIXELS.items():
        row[name] = ABSENT
        with contextlib.suppress(InputError):
            data, _ = written(make(), format)
            try:
                image = load_picture(data).image
                again, _ = written(image, "TIFF" if image.mode == "CMYK" else "PNG")
            except InputError:
                row[name] = REFUSED
                continue
            if isinstance(image, DeepImage):
                row[name] = KEPT
            else:
                with Image.open(io.BytesIO(data)) as first, Image.open(io.BytesIO(again)) as second:
                    second.load()
                    same = first.mode == "CMYK" or np.array_equal(displayed(first), displayed(second))
                    row[name] = LOST if not same else KEPT if first.mode == second.mode else SAME
    data, _ = written(image_for(format), format)
    picture = load_picture(data)
    again, _ = written(picture.image, "PNG")
    first, second = upright(data), upright(again)
    row["orientation"] = KEPT if np.array_equal(displayed(first), displayed(second)) else LOST
    dpi = DPI if "orientation" in TARGETS[format].holds else DPI[::-1]
    after = read_metadata(again, dpi)
    for name, there in read_metadata(data, dpi).items():
        named = any(MESSAGES[name] in line for line in picture.warnings)
        row[name] = ABSENT if not there else KEPT if after[name] else NAMED if named else LOST
    return row


TITLES = {"icc_profile": "ICC", "exif": "EXIF", "xmp": "XMP", "dpi": "resolution"}


def table(rows: dict[str, dict[str, str]]) -> str:
    columns = list(next(iter(rows.values())))
    lines = ["| format | " + " | ".join(TITLES.get(name, name) for name in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    lines += [f"| {format} | " + " | ".join(row[name] for name in columns) + " |" for format, row in rows.items()]
    return "\n".join(lines)


HEAD = f"""# What is kept

Made by `python tests/test_kept.py`, which writes and reads an image of each kind; a test fails where it is out of date.

- **{KEPT}**: comes back the same.
- **{SAME}**: changed so that the picture looks the same: to a mode that the format has, or turned upright.
- **{NAMED}**: lost, or for pixels not exact, and a warning line says so.
- **{REFUSED}**: nothing is written, and the error tells the way out.
- **{LOST}**: lost, and nothing says so.

## Decoding

To each format that the suffix of `-o` can name; HEIF and JXL need plugins of Pillow. Formats that are not here are
written if they bring back the very pixels, and refused otherwise. Of ICC profiles and gamma, sRGB need not be named.

"""
MIDDLE = """

## Encoding

Of files of each format, as far as such a file can hold it, to a `.sv` file and from there to PNG (CMYK: to TIFF).

"""


def page() -> str:
    available = [format for format in TARGETS if format in Image.SAVE]
    decoding = {format: decode_row(format) for format in available}
    encoding = {format: encode_row(format) for format in available if format not in ("DIB", "MPO")}
    return HEAD + table(decoding) + MIDDLE + table(encoding) + "\n"


def test_the_page_is_up_to_date() -> None:
    missing = tuple(f"| {format} |" for format in TARGETS if format not in Image.SAVE)  # of plugins
    stored = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if not line.startswith(missing)]
    assert page().splitlines() == stored, "python tests/test_kept.py writes docs/kept.md anew"


def test_decoding_loses_nothing_without_a_word() -> None:
    for format in TARGETS.keys() & Image.SAVE.keys():
        assert LOST not in decode_row(format).values(), format


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
