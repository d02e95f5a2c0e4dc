"""Pictures side by side in rows, with words: every picture of pictures is made here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from selfcodec.arrays import UInt8

GAP = 2
"""So many white pixels lie around images without words."""
FONT = Path("fonts", "ttf", "DejaVuSans.ttf")
"""Pillow's own font has not all signs; this one comes with Matplotlib."""
FONT_SIZE, SPACING, PADDING = 11, 3, 4
"""Of words: their size, what lies between lines, and what lies around them, in pixels."""


@dataclass(frozen=True)
class Row:
    """Images side by side.

    Attributes:
        images: each (h, w, 3), or (h, w, 1) of grey.
        label: stands to their left.
        captions: stand below them, one each, of one or several lines; or none.
    """

    images: Sequence[UInt8]
    label: str = ""
    captions: Sequence[str] = ()


def in_rows(images: Sequence[UInt8], columns: int | None = None, captions: Sequence[str] = ()) -> list[Row]:
    """Images, and their captions if there are any, in rows of equal length; nearly a square by default."""
    columns = columns or math.ceil(math.sqrt(len(images)))
    starts = range(0, len(images), columns)
    return [Row(images[i : i + columns], captions=captions[i : i + columns]) for i in starts]


class _Words:
    """Writes text, and knows how large it is; loads a font only where there is any."""

    @cached_property
    def _font(self) -> ImageFont.FreeTypeFont:
        import matplotlib

        return ImageFont.truetype(Path(matplotlib.get_data_path()) / FONT, FONT_SIZE)

    def size(self, texts: Sequence[str]) -> tuple[int, int]:
        """Width and height that hold every one of the texts with what lies around it; (0, 0) where all are empty."""
        lines = [text.split("\n") for text in texts if text]
        if not lines:
            return 0, 0
        width = max(self._font.getlength(line) for text in lines for line in text)
        height = max(map(len, lines)) * (FONT_SIZE + SPACING)
        return math.ceil(width) + 2 * PADDING, height + 2 * PADDING

    def write(self, picture: Image.Image, text: str, place: tuple[float, float], anchor: str) -> None:
        """Writes a text at a place, which is the point of it that Pillow's anchor names."""
        if text:
            draw = ImageDraw.Draw(picture)
            draw.multiline_text(place, text, "black", self._font, anchor, SPACING, align="center")


def _enlarged(image: UInt8, height: int, width: int) -> Image.Image:
    """An image (h, w, C) in colour, every pixel as many times as wide and high as fits."""
    factor = max(1, min(height // image.shape[0], width // image.shape[1]))
    whole = image if image.shape[2] == 3 else image.repeat(3, 2)
    return Image.fromarray(np.ascontiguousarray(whole.repeat(factor, 0).repeat(factor, 1)))


def mosaic(rows: Sequence[Row], titles: Sequence[str] = (), side: int = 1) -> Image.Image:
    """One picture of rows of images, on white.

    Args:
        rows: at least one, with at least one image.
        titles: stand above the columns, one each; or none.
        side: the largest image is enlarged by a whole factor as long as its sides have at most so many pixels. Smaller
            ones are enlarged to its size as far as whole factors allow, so that pixels stay pixels.
    """
    shapes = [image.shape for row in rows for image in row.images]
    height, width = (max(shape[axis] for shape in shapes) for axis in (0, 1))
    factor = max(1, side // max(height, width))
    height, width = factor * height, factor * width
    words = _Words()
    columns = max(len(row.images) for row in rows)
    title_width, above = words.size(titles)
    caption_width, below = words.size([caption for row in rows for caption in row.captions])
    left = words.size([row.label for row in rows])[0]
    across, down = max(width, title_width, caption_width) + GAP, height + below + GAP
    picture = Image.new("RGB", (left + columns * across + GAP, above + len(rows) * down + GAP), "white")
    middles = [left + GAP + j * across + (across - GAP) / 2 for j in range(columns)]
    for i, row in enumerate(rows):
        top = above + GAP + i * down
        words.write(picture, row.label, (left - PADDING, top + height / 2), "rm")
        for middle, image in zip(middles, row.images, strict=False):
            shown = _enlarged(image, height, width)
            picture.paste(shown, (int(middle - shown.width / 2), top + (height - shown.height) // 2))
        for middle, caption in zip(middles, row.captions, strict=False):
            words.write(picture, caption, (middle, top + height + PADDING), "ma")
    for middle, title in zip(middles, titles, strict=False):
        words.write(picture, title, (middle, above - PADDING), "md")
    return picture
