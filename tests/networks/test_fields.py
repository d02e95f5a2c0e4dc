"""Values as inputs of networks: every box of a field is that of the padded whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfcodec.arrays import Float32, Int64
from selfcodec.likelihoods.groups import Half, places
from selfcodec.networks.fields import Field, Span, as_array
from selfcodec.networks.flow import latent_input


def shifted(values: Int64) -> Float32:
    """A conversion that makes something of zero, so that padding before it and after it differ."""
    return (values - 128).astype(np.float32)


def spans(extent: int) -> st.SearchStrategy[Span]:
    return st.integers(0, extent - 1).flatmap(lambda low: st.tuples(st.just(low), st.integers(low + 1, extent)))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Int64, tuple[int, int], Span, Span]:
    """Values (B, C, h, w) of a small type, the size that networks see, and a box of it."""
    h, w = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    size = h + draw(st.integers(0, 20)), w + draw(st.integers(0, 20))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (2, 3, h, w))
    kept = values.astype(draw(st.sampled_from((np.uint8, np.int32, np.int64))))
    return kept, size, draw(spans(size[0])), draw(spans(size[1]))


@given(cases(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_boxes_are_those_of_the_padded_whole(case: tuple[Int64, tuple[int, int], Span, Span], edges: bool) -> None:
    values, size, rows, columns = case
    below, beside = size[0] - values.shape[2], size[1] - values.shape[3]
    padding = ((0, 0), (0, 0), (0, below), (0, beside))
    if edges:
        whole = np.pad(values.astype(np.int64), padding, mode="edge") - 128
    else:
        whole = np.pad(values.astype(np.int64) - 128, padding)
    field = Field(values, size, shifted, edges=edges)
    assert field.shape == (2, 3, *size) == tuple(field.whole().shape)
    assert field.box(rows, columns).dtype == np.float32
    assert (field.whole() == whole).all()
    assert (field.box(rows, columns) == whole[:, :, slice(*rows), slice(*columns)]).all()


def test_what_a_network_is_given_is_no_part_of_the_values() -> None:
    """Networks run in place."""
    values = np.full((1, 1, 4, 4), 300 << 6)
    field = Field(values, (4, 4), latent_input)
    field.box((0, 4), (0, 4))[...] = 0
    assert (field.whole() == 300).all()


def test_inputs_as_arrays() -> None:
    plane = np.ones((1, 1, 1, 1), dtype=np.float32)
    assert as_array(plane) is plane
    assert np.array_equal(as_array(Field(np.full((1, 1, 1, 2), 130), (2, 2), shifted)), [[[[2.0, 2], [0, 0]]]])


@given(cases())
@settings(max_examples=80, deadline=None)
def test_halves_are_those_of_the_whole_s_checkerboard(case: tuple[Int64, tuple[int, int], Span, Span]) -> None:
    values, size, rows, columns = case
    even = np.add.outer(np.arange(size[0]), np.arange(size[1])) % 2 == 0
    padded = np.pad(
        values.astype(np.int64) << 6,
        ((0, 0), (0, 0), *((0, s - n) for s, n in zip(size, values.shape[2:], strict=True))),
    )
    expected = (padded >> 6) * even
    found = Half(values.astype(np.int64) << 6, size, latent_input).box(rows, columns)
    assert (found == expected[:, :, slice(*rows), slice(*columns)]).all()


@pytest.mark.parametrize(("rows", "width"), [((0, 1), 1), ((0, 5), 4), ((3, 8), 7), ((32, 33), 1)])
def test_places_of_both_halves_are_all_positions(rows: Span, width: int) -> None:
    found = [list(zip(*places(rows, width, odd), strict=True)) for odd in (False, True)]
    everywhere = [(row, column) for row in range(*rows) for column in range(width)]
    assert found == [[p for p in everywhere if sum(p) % 2 == odd] for odd in (0, 1)]
