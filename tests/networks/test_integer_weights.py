"""Integer networks' parts: powers of two, rounding, and weights made integers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfcodec.errors import ModelError
from selfcodec.fixed_point import EXACT_LIMIT, WEIGHT_MAX, requantise_
from selfcodec.models.layers import integer_weights, power_of_two


def test_power_of_two_over_its_whole_range() -> None:
    exponents = torch.arange(-126, 128)
    assert power_of_two(exponents).dtype == torch.float32
    assert power_of_two(exponents).tolist() == [2.0**e for e in range(-126, 128)]
    assert power_of_two(exponents.float()).tolist() == [2.0**e for e in range(-126, 128)]


@given(st.integers(-(2**23), 2**23), st.integers(-4, 16))
@settings(max_examples=200, deadline=None)
def test_requantise_rounds_half_up(value: int, shift: int) -> None:
    expected = math.floor(value / 2.0**shift + 0.5)
    assert requantise_(np.array([value], dtype=np.float32), shift, 2**30).item() == expected
    assert requantise_(np.array([value], dtype=np.float32), shift, 100).item() == max(-100, min(100, expected))


@given(
    st.integers(0, 2**32),
    st.floats(-12, 12),
    st.floats(-12, 12),
    st.sampled_from([1, 3]),
    st.booleans(),
    st.integers(-2, 10),
)
@settings(max_examples=80, deadline=None)
def test_integer_weights_are_proven_and_close(
    seed: int, log_weight: float, log_bias: float, kernel: int, transposed: bool, fraction: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    spread = torch.exp(torch.randn(5, generator=generator))
    weight = torch.randn(5, 7, kernel, kernel, generator=generator) * spread[:, None, None, None] * 2.0**log_weight
    bias = torch.randn(5, generator=generator) * 2.0**log_bias
    given_weight = weight.transpose(0, 1).contiguous() if transposed else weight
    integers, integer_bias, exponent, bound = integer_weights(given_weight, bias, 1023, fraction, transposed=transposed)
    rows = integers.transpose(0, 1) if transposed else integers
    assert integers.shape == given_weight.shape
    assert (integers == integers.round()).all()
    assert (integer_bias == integer_bias.round()).all()
    assert rows.abs().max() <= WEIGHT_MAX
    assert bound < EXACT_LIMIT
    assert bound == (rows.double().flatten(1).abs().sum(1) * 1023 + integer_bias.double().abs()).max()
    assert (exponent == exponent.round()).all()
    scale = 2.0 ** exponent.double()
    largest = rows.abs().flatten(1).amax(1)
    fine = (largest <= WEIGHT_MAX - 1) & (exponent < 20)
    error = (rows.double() / scale[:, None, None, None] - weight.double()).abs().flatten(1).amax(1)
    assert (error[fine] <= 0.5 / scale[fine]).all()
    bias_error = (integer_bias.double() / (scale * 2.0**fraction) - bias.double()).abs()
    assert (bias_error <= 0.5 / (scale * 2.0**fraction) + 1e-6 * bias.double().abs()).all()


def test_a_large_bias_coarsens_only_its_channel() -> None:
    weight, bias = torch.full((2, 1, 1, 1), 1.0), torch.tensor([0.0, 1e5])
    _, integer_bias, exponent, bound = integer_weights(weight, bias, 1023, 6, transposed=False)
    assert exponent[0] == 10
    assert exponent[1] < 10
    assert bound < EXACT_LIMIT
    assert integer_bias[1] / 2.0 ** (exponent[1] + 6) == pytest.approx(1e5, rel=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    weight, bias = torch.ones(2, 1, 1, 1), torch.zeros(2)
    for broken in ((torch.full_like(weight, value), bias), (weight, torch.tensor([0.0, value]))):
        with pytest.raises(ModelError, match="finite"):
            integer_weights(*broken, 1023, 6, transposed=False)
