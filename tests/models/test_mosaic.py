"""Pictures of pictures: every image is whole and in its place, whatever words stand around it."""

from __future__ import annotations

import colorsys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from selfcodec.arrays import UInt8
from selfcodec.models.mosaic import GAP, Row, in_rows, mosaic

WORDS = st.text(alphabet="a×µ\n ", max_size=12)


def flat(colour: tuple[int, int, int], height: int, width: int) -> UInt8:
    return np.full((height, width, 3), colour, np.uint8)


def colours(count: int) -> list[tuple[int, int, int]]:
    """Colours that are neither grey, as words are, nor alike."""
    found = [colorsys.hsv_to_rgb(i / count, 1, 1) for i in range(count)]
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in found]


def test_rows_of_equal_length() -> None:
    images = [np.full((4, 5, 3), i, np.uint8) for i in range(3)]
    picture = np.asarray(mosaic(in_rows(images)))
    assert picture.shape == (2 * (4 + GAP) + GAP, 2 * (5 + GAP) + GAP, 3)
    assert (picture[GAP : GAP + 4, 5 + 2 * GAP : 10 + 2 * GAP] == 1).all()
    assert (picture[-GAP - 4 : -GAP, GAP : 5 + GAP] == 2).all()
    assert (picture[-GAP - 4 : -GAP, -GAP - 5 : -GAP] == 255).all()
    assert [len(row.images) for row in in_rows(images * 3, 4, [""] * 9)] == [4, 4, 1]


def test_smaller_images_are_enlarged_to_the_largest() -> None:
    large, small, odd = flat((255, 0, 0), 8, 8), flat((0, 255, 0), 2, 4), np.full((3, 3, 1), 9, np.uint8)
    picture = np.asarray(mosaic([Row([large, small, odd])], side=17))
    assert picture.shape == (16 + 2 * GAP, 3 * (16 + GAP) + GAP, 3)
    assert (picture == (255, 0, 0)).all(2).sum() == 16 * 16
    assert (picture == (0, 255, 0)).all(2).sum() == 8 * 16  # four times as large
    assert (picture == 9).all(2).sum() == 15 * 15
    assert mosaic([Row([large])], side=4).width == 8 + 2 * GAP  # nothing is made smaller


@given(
    st.lists(
        st.tuples(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4), WORDS),
        min_size=1,
        max_size=4,
    ),
    st.lists(WORDS, max_size=4),
    st.lists(WORDS, max_size=4),
)
def test_words_cover_no_image(
    shapes: list[tuple[list[tuple[int, int]], str]], titles: list[str], captions: list[str]
) -> None:
    names = iter(colours(16))
    rows, sizes = [], {}
    for sides, label in shapes:
        images = []
        for height, width in sides:
            colour = next(names)
            images.append(flat(colour, height, width))
            sizes[colour] = height * width
        rows.append(Row(images, label, captions))
    picture = np.asarray(mosaic(rows, titles))
    largest = [max(side) for side in zip(*(sides for row, _ in shapes for sides in row), strict=True)]
    for row in rows:
        for image in row.images:
            factor = min(largest[0] // image.shape[0], largest[1] // image.shape[1])
            assert (picture == image[0, 0]).all(2).sum() == factor**2 * sizes[tuple(image[0, 0].tolist())]
