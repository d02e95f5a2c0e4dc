"""Whole numbers under Gaussians by table: round trips, frequencies, costs, and what encoders choose."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from selfcodec.arrays import Float64, Int64, Words
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.coding.grid import CERTAIN_BITS, MEAN_BITS, MOST_SHIFT, Gaussians, symbol_table
from selfcodec.coding.symbols import ALPHABET
from selfcodec.coding.tables import GRID_HIGHEST, GRID_LOWEST, GRID_STEPS, load_tables
from selfcodec.errors import FormatError

GOLDEN = "039cc44d e701d41a 23ead51f 0c01aac4 665bb979 88d5dfa9 41298d0c"
"""The words of `golden`; any change of them is a change of the format."""
PLACES = 33
FAR = 16**7 - 1
"""A symbol lies at most so far beyond the ends."""
ENDS = (-FAR, -9, -8, -7, 7, 8, 9, FAR)


def log_scale(deviation: float) -> int:
    """The natural logarithm of a deviation, in 2**-10."""
    return round(1024 * float(np.log(deviation)))


def constant(shape: tuple[int, int], mean: int, deviation: float) -> Gaussians:
    return Gaussians.of(np.full(shape, mean), np.full(shape, log_scale(deviation)))


def encode(gaussians: Gaussians, numbers: Int64) -> tuple[Int64, list[Words], Float64]:
    """What the decoder will have, the words of each image, and their bits."""
    coder = Encoder(len(numbers))
    kept = gaussians.encode(numbers, coder)
    coder.mark()
    streams = coder.finish()
    return kept, [stream.words for stream in streams], np.array([stream.bits[0] for stream in streams])


def numbers_at(gaussians: Gaussians, distances: Int64) -> Int64:
    return gaussians.centres + distances


@st.composite
def cases(draw: st.DrawFn) -> tuple[Gaussians, Int64]:
    """Gaussians of all kinds, and numbers near, beside and far outside them."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 12)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    means = rng.integers(-(2**20), 2**20, shape) >> rng.integers(0, 20, shape)
    log_scales = np.where(
        rng.random(shape) < 0.1, rng.choice((-(2**22), 2**22), shape), rng.integers(-8000, 9000, shape)
    )
    gaussians = Gaussians.of(means, log_scales)
    distances = np.stack([rng.integers(-9, 9, shape), rng.integers(-3000, 3000, shape), rng.choice(ENDS, shape)])
    return gaussians, numbers_at(gaussians, np.take_along_axis(distances, rng.integers(0, 3, (1, *shape)), 0)[0])


@given(cases())
@settings(max_examples=150, deadline=None)
def test_numbers_come_back_and_certain_ones_as_their_means(case: tuple[Gaussians, Int64]) -> None:
    gaussians, numbers = case
    kept, words, _ = encode(gaussians, numbers)
    assert (kept == np.where(gaussians.live, numbers, gaussians.centres)).all()
    decoder = Decoder(words)
    assert (gaussians.decode(decoder) == kept).all()
    decoder.finish()


@given(cases(), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_one_after_another_they_share_a_stream(case: tuple[Gaussians, Int64], seed: int) -> None:
    """What is read of one variable leaves the coder where the next begins."""
    gaussians, numbers = case
    rng = np.random.default_rng(seed)
    other = Gaussians.of(rng.integers(-500, 500, numbers.shape), rng.integers(-3000, 4000, numbers.shape))
    coder = Encoder(len(numbers))
    kept = (
        gaussians.encode(numbers, coder),
        other.encode(numbers_at(other, rng.integers(-99, 99, numbers.shape)), coder),
    )
    decoder = Decoder([stream.words for stream in coder.finish()])
    assert (gaussians.decode(decoder) == kept[0]).all()
    assert (other.decode(decoder) == kept[1]).all()
    decoder.finish()


def test_images_of_ragged_counts() -> None:
    """Of one image everything is certain, of one nothing, of the third half; each has its own stream."""
    certain, wide = log_scale(0.05), log_scale(30)
    log_scales = np.array([[certain] * 6, [wide] * 6, [certain, wide] * 3])
    gaussians = Gaussians.of(np.arange(18).reshape(3, 6) << MEAN_BITS, log_scales)
    assert gaussians.live.sum(1).tolist() == [0, 6, 3]
    numbers = numbers_at(gaussians, np.arange(18).reshape(3, 6) * 40 - 300)
    kept, words, bits = encode(gaussians, numbers)
    assert len(words[0]) == bits[0] == 0
    assert (kept[0] == gaussians.centres[0]).all()
    assert (gaussians.decode(Decoder(words)) == kept).all()
    for i in range(3):
        alone = Gaussians(gaussians.centres[i : i + 1], gaussians.shifts[i : i + 1], gaussians.rows[i : i + 1])
        _, (own,), _ = encode(alone, numbers[i : i + 1])
        assert own.tolist() == words[i].tolist()


def test_frequencies_are_positive_and_sum_to_nearly_2_30() -> None:
    table = symbol_table()
    assert table.frequencies.shape == ((GRID_HIGHEST - GRID_LOWEST + 1) * PLACES, ALPHABET)
    assert table.frequencies.min() >= 1
    assert (table.frequencies == np.rint(table.frequencies)).all()
    assert (table.frequencies.sum(1) == 2**30 + ALPHABET).all()


def test_the_table_is_the_interpolated_cdf_in_unbounded_integers() -> None:
    """Row by row, of a sample of rows, by the formula of the arithmetic page."""
    tables, table = load_tables(), symbol_table()
    for row in range(0, len(table.frequencies), 97):
        step, place = divmod(row, PLACES)
        sums = [0]
        for symbol in range(1, ALPHABET):
            edge = Fraction(2 * (symbol - 7) - 1, 2) - Fraction(place - PLACES // 2, 32)  # in widths
            scaled = edge * int(tables.grid_inverse_scale[step]) / 2**16
            ticks = min(max(scaled * 2**18 // 1, -20 * 2**18), 20 * 2**18 - 1) + 20 * 2**18
            i, rest = divmod(int(ticks), 2**12)
            sums.append(int(tables.normal[i]) + ((int(tables.normal[i + 1]) - int(tables.normal[i])) * rest >> 12))
        assert (np.diff([*sums, 2**30]) + 1).tolist() == table.frequencies[row].tolist()


def test_certain_is_what_has_all_but_2_16_of_the_probability() -> None:
    table = symbol_table()
    others = 2**30 - (table.frequencies[:, 7] - 1)
    assert (table.live == (others >= 2 ** (30 - CERTAIN_BITS))).all()
    assert 0 < table.live.mean() < 1
    centred = table.live.reshape(-1, PLACES)
    assert centred[:, 0].all(), "between two numbers nothing is certain"
    assert not centred[0, PLACES // 2]


@pytest.mark.parametrize("deviation", [0.2, 0.5, 1.0, 2.4])
@pytest.mark.parametrize("mean", [-5, 0, 3, 16])
def test_costs_are_those_of_the_gaussian(deviation: float, mean: int) -> None:
    """Of a deviation of the table's steps, within what the table's rounding of it and its floors cost."""
    deviation = 2 ** (round(GRID_STEPS * np.log2(deviation)) / GRID_STEPS)
    gaussians = constant((1, 13), mean, deviation)
    numbers = numbers_at(gaussians, np.arange(-6, 7)[None])
    edges = (np.array([-0.5, 0.5])[:, None] + numbers[0] - mean / 2**MEAN_BITS) / deviation
    mass = np.diff(ndtr(edges), axis=0)[0]
    for i in np.flatnonzero(mass > 2**-14):
        alone = Gaussians(gaussians.centres[:, :1], gaussians.shifts[:, :1], gaussians.rows[:, :1])
        _, _, (bits,) = encode(alone, numbers[:, i : i + 1])
        assert bits == pytest.approx(-np.log2(mass[i]), abs=0.02)


@pytest.mark.parametrize(
    ("deviation", "most"),
    [(0.1, 0.01), (0.31, 0.01), (0.77, 0.01), (1.9, 0.01), (2.6, 0.06), (4.9, 0.06), (40.0, 0.06), (150.0, 0.06)],
)
def test_numbers_drawn_cost_their_entropy(deviation: float, most: float) -> None:
    """Coarse symbols take the density as level over 2**k numbers, and some in a hundred numbers need an escape."""
    rng = np.random.default_rng(3)
    means = rng.integers(-400, 400, (1, 6000))
    gaussians = Gaussians.of(means, np.full(means.shape, log_scale(deviation)))
    centres = means / 2**MEAN_BITS
    numbers = np.rint(centres + deviation * rng.standard_normal(means.shape)).astype(np.int64)
    edges = (numbers - centres + np.array([[[-0.5]], [[0.5]]])) / deviation
    ideal = -np.log2(np.diff(ndtr(edges), axis=0)).sum()
    _, _, (bits,) = encode(gaussians, numbers)
    assert abs(bits - ideal) / numbers.size < most


@pytest.mark.parametrize(
    ("octaves", "shift"), [(21, 0), (22, 1), (37, 1), (38, 2), (21 + 128, 8), (21 + 129, 8), (999, 8)]
)
def test_shifts_are_as_few_as_the_table_allows(octaves: int, shift: int) -> None:
    gaussians = constant((1, 1), 0, 2 ** (octaves / GRID_STEPS))
    assert (int(gaussians.shifts[0, 0]), MOST_SHIFT) == (shift, 8)
    assert gaussians.live.all()


@pytest.mark.parametrize("mean", [-16, -7, 0, 9, 15])
def test_coarse_symbols_have_the_mass_of_their_numbers(mean: int) -> None:
    """The mean's place is that of d >> k, whose width begins half a number below a multiple of 2**k."""
    deviation = 2 ** (85 / GRID_STEPS)
    gaussians = constant((1, 1), mean, deviation)
    shift = int(gaussians.shifts[0, 0])
    assert shift == 4
    for distance in range(-90, 91, 7):
        low = (distance >> shift << shift) - 0.5 - mean / 2**MEAN_BITS
        mass = float(ndtr((low + (1 << shift)) / deviation) - ndtr(low / deviation))
        _, _, (bits,) = encode(gaussians, numbers_at(gaussians, np.array([[distance]])))
        assert bits == pytest.approx(shift - np.log2(mass), abs=0.04)


def golden() -> tuple[Gaussians, Int64]:
    """Numbers of every kind: certain, fine, coarse, and beyond both ends."""
    means = np.arange(-12, 12)[None] * 37
    log_scales = (np.arange(24)[None] - 10) * 450
    gaussians = Gaussians.of(means, log_scales)
    distances = np.array([[0, 0, 0, 0, 0, 0, 0, 1, -1, 0, 1, -2, 3, -9, 9, -40, 17, 60, -99, 400, -1000, 5, 70000, -3]])
    return gaussians, numbers_at(gaussians, distances)


def test_golden_vector() -> None:
    gaussians, numbers = golden()
    assert 0 < gaussians.live.sum() < gaussians.live.size
    kept, (words,), _ = encode(gaussians, numbers)
    assert " ".join(f"{word:08x}" for word in words) == GOLDEN
    assert (gaussians.decode(Decoder([words])) == kept).all()


# What encoders choose.


@given(st.integers(0, 2**32), st.sampled_from((0.5, 3.0, 14.0, 60.0)))
@settings(max_examples=60, deadline=None)
def test_the_choice_never_costs_more_than_the_nearest_number(seed: int, weight: float) -> None:
    """Of weight times squared error plus bits; and the number moves by one at most, towards the mean."""
    rng = np.random.default_rng(seed)
    shape = (2, 40)
    gaussians = Gaussians.of(rng.integers(-200, 200, shape), rng.integers(-4000, 3000, shape))
    points = (gaussians.centres + rng.normal(0, 3, shape)).astype(np.float32)
    nearest, chosen = gaussians.nearest(points, 0), gaussians.nearest(points, weight)
    assert (nearest == np.rint(points)).all()
    own = (gaussians.shifts == 0) & (np.abs(nearest - gaussians.centres) <= 7)
    assert (chosen[~own] == nearest[~own]).all()
    rows, costs = gaussians.rows[own], symbol_table().costs

    def loss(numbers: Int64) -> Float64:
        bits = costs[rows, (numbers - gaussians.centres)[own] + 7]
        return weight * np.square(points[own] - numbers[own]) + bits

    assert (loss(chosen) <= loss(nearest) + 1e-4 * (1 + weight)).all()
    moved = nearest - chosen
    assert np.isin(moved * np.sign(nearest - gaussians.centres), (0, 1)).all()


def test_bits_are_saved_where_they_are_dear_alone() -> None:
    gaussians = constant((1, 2), 0, 0.3)
    points = np.array([[0.6, 0.95]], dtype=np.float32)
    assert gaussians.nearest(points, 1e-3).tolist() == [[0, 0]]
    assert gaussians.nearest(points, 14.0).tolist() == [[0, 1]]
    assert gaussians.nearest(points, 1e6).tolist() == [[1, 1]]


def test_words_that_are_no_stream_are_a_format_error_or_some_numbers() -> None:
    gaussians, numbers = golden()
    _, (words,), _ = encode(gaussians, numbers)
    for i in range(len(words)):
        damaged = words.copy()
        damaged[i] ^= np.uint32(1 << (5 * i % 32))
        with suppress(FormatError):
            assert gaussians.decode(Decoder([damaged])).shape == numbers.shape
    with pytest.raises(FormatError):
        Decoder([np.zeros(3, np.uint32)])
