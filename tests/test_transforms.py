"""The transformations d: answers worked out by hand, properties at every size, and frozen outputs.

`python tests/test_transforms.py` prints the table of frozen outputs (GOLDEN) as the code now has it.
"""

from __future__ import annotations

import hashlib
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

from selfcodec.errors import InputError
from selfcodec.transforms import (
    BICUBIC_TAPS,
    GAUSSIAN_TAPS,
    GREY_WEIGHTS,
    TRANSFORMS,
    Transform,
    get_transform,
)

Pixels = NDArray[np.uint8]

BOXES = {"downscale": 2, "downscale4": 4, "downscale8": 8, "downscale16": 16}
BITS = ("1bit", "2bit", "3bit", "4bit")
NAMES = (*BOXES, "bicubic", "sketch", "pencil", "grayscale", "blur", *BITS)
INTEGER_NAMES = tuple(name for name in NAMES if name != "pencil")
GREY_OUT = ("sketch", "pencil", "grayscale")
HALVING = ("downscale", "bicubic")

every_transform = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=lambda t: t.name)
integer_transforms = pytest.mark.parametrize(
    "transform", [TRANSFORMS[name] for name in INTEGER_NAMES], ids=lambda t: t.name
)
quick = settings(max_examples=40, deadline=None)


def images(channels: tuple[int, ...] = (1, 3), batch: int = 0) -> st.SearchStrategy[Pixels]:
    """uint8 (*batch dimensions, H, W, C) with H and W in 1..21."""
    shapes = st.tuples(
        array_shapes(min_dims=batch, max_dims=batch, max_side=3) if batch else st.just(()),
        array_shapes(min_dims=2, max_dims=2, max_side=21),
        st.sampled_from(channels),
    )
    return shapes.flatmap(lambda s: arrays(np.uint8, (*s[0], *s[1], s[2])))


def plane(*rows: list[int]) -> Pixels:
    """uint8 (H, W, 1) from rows of values."""
    return np.array(rows, dtype=np.uint8)[..., None]


def golden_image() -> Pixels:
    """uint8 (2, 45, 37, 3): ramps, bands and wrap-around edges, made of integers alone."""
    n, i, j, c = np.indices((2, 45, 37, 3))
    bands = 40 * ((i // 9 + j // 7) % 3)
    values = (7 * i * i + 13 * j + 91 * c + (i * j) // (3 + n) + bands) % 256
    return np.asarray(values, dtype=np.uint8)


GOLDEN = {
    "downscale": "9899bdd9724e83e870c7649a01f01a8b2e7dc216949a6bc382a41a0ff767e18f",
    "downscale4": "c71199e8525676282f72bed6f7b8eccd7cb0de6fa8164adb10553cb122635d15",
    "downscale8": "72f7d08eb4dbd6d4bba5c552f1b53cc4fc9e39a2152fecd4088f3c362b295b85",
    "downscale16": "e2046d6db5ac302290aa2545a6d1281ae1c703bfc6a24899f6d71e3571ac751e",
    "bicubic": "8cb4ab6aa3e91088bb2deac48a956b8987a2b5bddc0ff92a06570e3ac87609bb",
    "sketch": "909abb793dda935425a7acd46d46f040d969f377f9e55c292b5769c7a23364aa",
    "grayscale": "b8c60447db610580fb0288eee937beca09e5729a6461407a1743b4493fdc7fe5",
    "blur": "9eb051020a01a45dd80a2c874a8fb46c911fa7eb651d39ab99242f07fa626dcb",
    "1bit": "92d344f7adcd44434dfb8f429b9c11e80d1eab3aa073e86c694e331616b896e4",
    "2bit": "d7024d054a6827c2f9f441dbb2be9816edb36887fa9af8d63593a02c684435e3",
    "3bit": "a7ac4b03a278377f8a778effe1ed55708c89cd40cc428d0b72b4381f89100f05",
    "4bit": "a23dcf4a30651e465bf06b6cdd87bb328e5343c2a40c87a1c7bc711459ee692d",
}


def digest(transform: Transform) -> str:
    y = transform(golden_image())
    return hashlib.sha256(repr(y.shape).encode() + y.tobytes()).hexdigest()


# Registry


def test_names() -> None:
    assert tuple(TRANSFORMS) == NAMES
    for name in NAMES:
        transform = get_transform(name)
        assert transform.name == name
        assert transform.factor == BOXES.get(name, 2 if name in HALVING else 1)
        assert transform.channels == (1 if name in GREY_OUT else 3)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError) as caught:
        get_transform("sepia")
    assert all(name in str(caught.value) for name in ("sepia", *NAMES))


@every_transform
@pytest.mark.parametrize(
    "x",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.uint16),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
    ],
    ids=lambda x: f"{x.dtype}-{x.shape}",
)
def test_refuses_other_arrays(transform: Transform, x: Pixels) -> None:
    with pytest.raises(InputError, match=transform.name):
        transform(x)


def test_pencil_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match="OpenCV"):
        get_transform("pencil")(np.zeros((4, 4, 3), np.uint8))


# Answers worked out by hand


def test_downscale_rounds_half_up() -> None:
    # Sums 6, 1, 2 and 1020, plus 2, over 4.
    x = plane([0, 1, 0, 0, 0, 0, 255, 255], [2, 3, 0, 1, 1, 1, 255, 255])
    assert get_transform("downscale")(x).ravel().tolist() == [2, 0, 1, 255]


def test_downscale_replicates_the_edge_of_odd_sizes() -> None:
    # 10 10 | 20 20      (10 + 20 + 40 + 50 + 2) >> 2 = 30    (30 + 30 + 60 + 60 + 2) >> 2 = 45
    # the last row and column stand twice
    x = plane([10, 20, 30], [40, 50, 60], [70, 80, 90])
    y = get_transform("downscale")(x)
    assert y[..., 0].tolist() == [[30, 45], [75, 90]]


@given(images())
@pytest.mark.parametrize(("name", "factor"), BOXES.items())
@quick
def test_box_means_are_means_of_blocks_rounded_half_up(name: str, factor: int, x: Pixels) -> None:
    height, width = (-(-n // factor) * factor for n in x.shape[:2])
    whole = np.pad(x, ((0, height - x.shape[0]), (0, width - x.shape[1]), (0, 0)), mode="edge").astype(int)
    sums = whole.reshape(height // factor, factor, width // factor, factor, -1).sum((1, 3))
    assert (get_transform(name)(x) == (2 * sums + factor**2) // (2 * factor**2)).all()


def test_bicubic_impulse() -> None:
    # Pixel 8 meets tap 11 - 2 i of output i: -3, 29, 111, -9 for i = 2..5. With 255 at (8, 8):
    # 111 * 111 * 255 / 65536 = 47.94, 111 * 29 * 255 / 65536 = 12.53, 29 * 29 * 255 / 65536 = 3.27,
    # (-9)^2 * 255 / 65536 = 0.32, and products of opposite signs are clamped to 0.
    x = np.zeros((16, 16, 1), np.uint8)
    x[8, 8] = 255
    expected = np.zeros((8, 8), np.uint8)
    expected[4, 4] = 48
    expected[3, 4] = expected[4, 3] = 13
    expected[3, 3] = 3
    assert np.array_equal(get_transform("bicubic")(x)[..., 0], expected)


def test_bicubic_overshoot_is_clamped_at_white() -> None:
    # A step from 0 to 255 at column 8: outputs 2..5 see the last 1, 3, 5 and 7 taps, which sum to -3, 17, 239
    # and 259; 17 * 255 / 256 = 16.93 and 239 * 255 / 256 = 238.07.
    x = np.zeros((4, 16, 1), np.uint8)
    x[:, 8:] = 255
    assert get_transform("bicubic")(x)[0, :, 0].tolist() == [0, 0, 0, 17, 238, 255, 255, 255]


def test_bicubic_is_the_usual_one() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(64, 192, (40, 56, 3), dtype=np.uint8)
    usual = np.asarray(Image.fromarray(x).resize((28, 20), Image.Resampling.BICUBIC))
    difference = get_transform("bicubic")(x).astype(int) - usual
    # Pillow rounds after each direction, and treats edges in another way.
    assert np.abs(difference[2:-2, 2:-2]).max() <= 1


def test_bicubic_taps_are_keys_cubic() -> None:
    def keys(t: float) -> float:
        t = abs(t)
        return 1.5 * t**3 - 2.5 * t**2 + 1 if t < 1 else -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2

    assert list(BICUBIC_TAPS) == [128 * keys((i - 3.5) / 2) for i in range(8)]
    assert sum(BICUBIC_TAPS) == 256


def test_blur_impulse() -> None:
    # Through the centre: 34 * (34, 32, 27, 21, 14) * 255 / 65536 = 4.50, 4.23, 3.57, 2.78, 1.85. The first is
    # 4.498 and rounds down.
    x = np.zeros((19, 9, 1), np.uint8)
    x[9, 4] = 255
    assert get_transform("blur")(x)[9, :, 0].tolist() == [2, 3, 4, 4, 4, 4, 4, 3, 2]


def test_blur_taps_are_gaussian() -> None:
    weights = [math.exp(-(i**2) / (2 * 3**2)) for i in range(-8, 9)]
    assert list(GAUSSIAN_TAPS) == [round(256 * w / sum(weights)) for w in weights]
    assert sum(GAUSSIAN_TAPS) == 256


def test_grayscale() -> None:
    # 77 * 255 = 19635, 150 * 255 = 38250, 29 * 255 = 7395; plus 128, over 256.
    x = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    assert get_transform("grayscale")(x).ravel().tolist() == [77, 149, 29, 255]
    assert sum(GREY_WEIGHTS) == 256


def test_sketch_of_a_line() -> None:
    # A column of 128 in white: inverse 127, blurred (34 * 256 * 127 + 32768) >> 16 = 17, n = 238,
    # (255 * 128 + 119) // 238 = 137. Beside it g = 255 and n < 255, which is clamped to white.
    x = np.full((5, 40, 1), 255, np.uint8)
    x[:, 20] = 128
    expected = np.full((5, 40, 1), 255, np.uint8)
    expected[:, 20] = 137
    assert np.array_equal(get_transform("sketch")(x), expected)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("1bit", 127, 0),
        ("1bit", 128, 255),
        ("2bit", 0b01_111111, 0b01_01_01_01),
        ("2bit", 0b10_000000, 0b10_10_10_10),
        ("3bit", 0b101_00000, 0b101_101_10),
        ("3bit", 0b011_11111, 0b011_011_01),
        ("4bit", 0xA7, 0xAA),
        ("4bit", 0x0F, 0x00),
    ],
)
def test_bits_are_repeated(name: str, value: int, expected: int) -> None:
    assert get_transform(name)(plane([value])).item() == expected


# Properties


@every_transform
@quick
@given(x=images())
def test_shape_and_type(transform: Transform, x: Pixels) -> None:
    before = x.copy()
    y = transform(x)
    height, width, channels = x.shape
    assert y.dtype == np.uint8
    assert y.shape == (
        -(-height // transform.factor),
        -(-width // transform.factor),
        min(channels, transform.channels),
    )
    assert y.flags.c_contiguous
    assert not np.shares_memory(x, y)
    assert np.array_equal(x, before)


@every_transform
@quick
@given(x=images(batch=2))
def test_batch_equals_single(transform: Transform, x: Pixels) -> None:
    single = [[transform(image) for image in row] for row in x]
    assert np.array_equal(transform(x), np.array(single))


@every_transform
def test_empty_batch(transform: Transform) -> None:
    y = transform(np.zeros((0, 4, 6, 3), np.uint8))
    assert y.shape == (0, -(-4 // transform.factor), -(-6 // transform.factor), transform.channels)


@integer_transforms
@quick
@given(x=images(batch=1))
def test_memory_layout_does_not_matter(transform: Transform, x: Pixels) -> None:
    y = transform(x)
    assert np.array_equal(transform(np.asfortranarray(x)), y)
    assert np.array_equal(transform(np.ascontiguousarray(x[:, ::-1, ::-1])[:, ::-1, ::-1]), y)


@pytest.mark.parametrize("name", ["downscale", "bicubic", "blur", "grayscale"])
@quick
@given(value=st.integers(0, 255), size=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_flat_stays_flat(name: str, value: int, size: tuple[int, int]) -> None:
    y = get_transform(name)(np.full((*size, 3), value, np.uint8))
    assert (y == value).all()


@quick
@given(value=st.integers(0, 255), size=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_sketch_of_flat_is_white(value: int, size: tuple[int, int]) -> None:
    y = get_transform("sketch")(np.full((*size, 3), value, np.uint8))
    assert (y == 255).all()


@pytest.mark.parametrize("name", ["downscale", "blur"])
@quick
@given(x=images(batch=0))
def test_a_mean_stays_within_the_range(name: str, x: Pixels) -> None:
    y = get_transform(name)(x)
    assert x.min() <= y.min()
    assert y.max() <= x.max()


@pytest.mark.parametrize("name", ["downscale", "bicubic", "blur", *BITS])
@quick
@given(x=images(channels=(3,)))
def test_channels_are_independent(name: str, x: Pixels) -> None:
    transform = get_transform(name)
    planes = [transform(x[..., c : c + 1]) for c in range(3)]
    assert np.array_equal(transform(x), np.concatenate(planes, axis=-1))


@pytest.mark.parametrize("name", ["grayscale", *BITS])
@quick
@given(x=images())
def test_idempotent(name: str, x: Pixels) -> None:
    transform = get_transform(name)
    y = transform(x)
    assert np.array_equal(transform(y), y)
    assert np.array_equal(transform(np.broadcast_to(y, (*y.shape[:-1], 3)))[..., :1], y[..., :1])


@pytest.mark.parametrize("name", ["sketch", "pencil"])
@quick
@given(x=images(channels=(1,)))
def test_grey_and_its_rgb_have_the_same_sketch(name: str, x: Pixels) -> None:
    transform = get_transform(name)
    assert np.array_equal(transform(np.repeat(x, 3, axis=-1)), transform(x))


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_bits_keep_the_high_bits_and_the_ends(bits: int) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    y = get_transform(f"{bits}bit")(values)
    assert np.array_equal(y >> (8 - bits), values >> (8 - bits))
    assert len(np.unique(y)) == 2**bits
    assert (y.min(), y.max()) == (0, 255)
    assert np.array_equal(y, np.round((values >> (8 - bits)) * (255 / (2**bits - 1))))


# Frozen outputs


@pytest.mark.parametrize("name", INTEGER_NAMES)
def test_golden(name: str) -> None:
    assert digest(get_transform(name)) == GOLDEN[name]


if __name__ == "__main__":
    for name in INTEGER_NAMES:
        print(f'    "{name}": "{digest(get_transform(name))}",')
