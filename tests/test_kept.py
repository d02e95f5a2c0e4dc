"""docs/kept.md: what files keep of an image, format by format, as saving and reading show it.

`python tests/test_kept.py` writes the page anew.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from looks import DPI, EVERYTHING, GAMMA, ISO, MAKE, PROFILE, TEXT, XMP, deep, displayed, keyed, noise
from PIL import ExifTags, Image, ImageOps

from selfcodec.errors import InputError
from selfcodec.format.metadata import apply_metadata
from selfcodec.images import AnyImage, DeepImage, Picture, load_picture, save_image
from selfcodec.images.formats import register_formats
from selfcodec.images.targets import NETPBM, TARGETS

register_formats()
PAGE = Path(__file__).parents[1] / "docs" / "kept.md"
KEPT, SAME, NAMED, REFUSED, LOST, ABSENT = "kept", "same look", "named", "refused", "lost", ""
WRITTEN = [format for format in TARGETS if format in Image.SAVE or format in NETPBM.values()]
"""The others need plugins that are not installed."""
READ = [format for format in WRITTEN if format not in ("DIB", "MPO", "PBM", "PGM", "PPM")]
"""The others are read as BMP, JPEG and PNM are."""
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
        texts = [image.info.get(name) for name in ("Title", "comment", "Comment")] + [
            tags.get(ExifTags.Base.ImageDescription)
        ]
        density = image.info.get("dpi", (0, 0))
        image.load()
        info = image.info
    spelled = [t.encode("latin-1") if isinstance(t, str) else t for t in texts if t]
    wanted = (TEXT.encode(), TEXT.encode("latin-1"))
    return {
        "icc_profile": info.get("icc_profile") == PROFILE,
        "exif": (make, iso) == (MAKE.encode().decode("latin-1"), ISO),
        "xmp": XMP in (info.get("xmp"), data[data.find(XMP) :][: len(XMP)]),  # which not every plugin reads
        "dpi": tuple(round(value) for value in density) == dpi,
        "text": any(w in text for text in spelled for w in wanted),
        "gamma": info.get("gamma") == GAMMA / 100_000,
    }


def upright(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return ImageOps.exif_transpose(image)


def image_for(format: str) -> Image.Image:
    """With all metadata, and of few enough colours for every format."""
    image = noise({"MSP": "1", "XBM": "1", "PBM": "1", "PGM": "L"}.get(format, "RGB"), colours=4)
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


def through(picture: Picture) -> AnyImage:
    """What comes back of a picture that was coded."""
    image = picture.image
    apply_metadata(image, picture.metadata)
    return image


def encode_row(format: str) -> dict[str, str]:
    """What encoding a file of a format keeps, of what such files hold when they are written here."""
    row = {}
    for name, make in PIXELS.items():
        row[name] = ABSENT
        with contextlib.suppress(InputError):
            data, _ = written(make(), format)
            try:
                image = through(load_picture(data))
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
    again, _ = written(through(picture), "PNG")
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
A `.pbm` is black and white, a `.pgm` grey and a `.ppm` in colour, as readers that go by the suffix expect; a `.pnm` is
whichever of them the picture needs.

"""
MIDDLE = """

## Encoding

Of files of each format, as far as such a file can hold it, to a `.sv` file and from there to PNG (CMYK: to TIFF).
Also named are all other chunks of a PNG (such as bKGD, sBIT, sPLT and hIST, but not iDOT, which only helps decoders),
other segments of a JPEG, and what follows the end of a PNG or a JPEG, such as a motion photo's video; behind a JPEG,
nothing but zeros is padding. A TIFF that states no resolution gets none.

"""


def page() -> str:
    decoding = {format: decode_row(format) for format in WRITTEN}
    encoding = {format: encode_row(format) for format in READ}
    return HEAD + table(decoding) + MIDDLE + table(encoding) + "\n"


def test_the_page_is_up_to_date() -> None:
    missing = tuple(f"| {format} |" for format in TARGETS if format not in WRITTEN)
    stored = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if not line.startswith(missing)]
    assert page().splitlines() == stored, "python tests/test_kept.py writes docs/kept.md anew"


@pytest.mark.parametrize("format", TARGETS)
def test_nothing_is_lost_without_a_word(format: str) -> None:
    if format not in WRITTEN:
        pytest.skip(f"no plugin for {format} is installed")
    for row in (decode_row(format), encode_row(format)):
        assert LOST not in row.values(), row


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
