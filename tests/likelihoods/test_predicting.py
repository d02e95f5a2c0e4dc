"""Linear predictions that heads see: what is learned, what is seen, and that trainer and codec see the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import variants
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.encoding import encode_picture
from selfcodec.errors import ModelError
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION
from selfcodec.images import from_image
from selfcodec.likelihoods.context import least_squares, passes, predicting
from selfcodec.likelihoods.context.coder import ContextCoder
from selfcodec.likelihoods.context.neighbours import Scene, gather
from selfcodec.likelihoods.context.order import wavefront
from selfcodec.likelihoods.layout import NEIGHBOURS, context_inputs, prediction_inputs
from selfcodec.models.config import Recipe
from selfcodec.models.likelihoods.neighbours import context_of
from selfcodec.models.likelihoods.predictions import predictions_of
from selfcodec.settings import Settings
from selfcodec.zoo import Model

BLOCK = 64


def scene(x: UInt8, block: int = BLOCK) -> Scene:
    """Of one plane (H, W, C)."""
    height, width, _ = x.shape
    return Scene(x[None], np.array([width]), np.zeros_like(x[None]), np.empty((1, height, width, 0), np.int16), block)


def foreseen(x: UInt8, block: int = BLOCK) -> tuple[npt.NDArray[np.float32], predicting.Predictor]:
    """A head's inputs (H, W, N) of predictions of a plane (H, W, C), and what was learned in the end."""
    height, width, channels = x.shape
    order, around = wavefront(((height, width),), block), scene(x, block)
    count = len(order.places)
    bases, activity = np.empty((count, channels), np.int64), np.empty(count, np.int64)
    gather(around, order.places, True, np.empty((count, context_inputs(channels)), np.float32), bases, activity)
    predictor = predicting.blank(1, channels, height, width, int(np.diff(order.starts).max()))
    inputs = np.full((count, prediction_inputs(channels)), np.nan, np.float32)
    rows, columns = order.places[:, 1], order.places[:, 2]
    values = x[rows, columns].astype(np.int64)
    predicting.foresee(around, order.places, order.starts, bases, activity, values, True, predictor, inputs)
    out = np.empty((height, width, inputs.shape[1]), np.float32)
    out[rows, columns] = inputs
    return out, predictor


def picture(height: int, width: int, channels: int = 3, noise: float = 4) -> UInt8:
    """Slopes and waves, each channel another, with noise."""
    rows, columns = np.mgrid[:height, :width]
    waves = np.stack([100 + rows + 30 * np.sin(columns / (2 + c)) for c in range(channels)], 2)
    noisy = waves + np.random.default_rng(height).normal(0, noise, waves.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def transcribed(x: UInt8) -> npt.NDArray[np.float64]:
    """A head's inputs (H, W, N) of an image in one block, as docs/arithmetic.md has them, one number after another."""
    height, width, channels = x.shape
    seen = [(r, c) for r, c in NEIGHBOURS if r * r + c * c <= 10]
    order = sorted(np.ndindex(height, width), key=lambda at: (at[1] + 5 * at[0], at[0]))
    k = channels * len(seen) + 1
    products, filters, slopes = (
        np.zeros((k + channels, k + channels)),
        np.zeros((channels, k)),
        np.zeros((channels,) * 2),
    )
    kept, inputs, fresh, step = {}, np.zeros((height, width, prediction_inputs(channels))), 0, list[Any]()

    def around(row: int, column: int, places: Any) -> list[tuple[int, int]]:
        near = [(row + r, column + c) for r, c in places]
        return [(r, c) for r, c in near if r >= 0 and 0 <= c < width]

    def rounded(numbers: Any) -> list[int]:
        return [min(max(math.floor(number + 0.5), -1023), 1023) for number in numbers]

    for i, (row, column) in enumerate(order):
        bases, activity = base_of(x, row, column)
        f = [
            float(int(x[row + r, column + c, channel]) - bases[channel]) if (row + r, column + c) in kept else 0.0
            for r, c in seen
            for channel in range(channels)
        ] + [1.0]
        predicted = []
        for g in filters:
            sums, whole = [0.0] * 4, k - k % 4
            for j in range(k):
                sums[j % 4 if j < whole else 0] += g[j] * f[j]
            predicted.append(min(max((sums[0] + sums[1]) + (sums[2] + sums[3]), -255.0), 255.0))
        unit = 2.0 ** (11 - activity)
        beside = [[row, column - 1], [row - 1, column], [row - 1, column - 1], [row - 1, column + 1]]
        residuals = [e for r, c in beside for e in kept.get((r, c), [0.0] * channels)]
        scaled = [number * unit for number in (*predicted, *residuals)]
        inputs[row, column] = rounded([*scaled, *(64 * slopes[c, d] for c in range(channels) for d in range(c))])
        near = around(row, column, ((0, -1), (0, -2), (-1, 0), (-2, 0), (-1, -1), (-1, 1)))
        squares = [e * e for at in near for e in kept[at]]
        f += [float(int(v) - base) for v, base in zip(x[row, column], bases, strict=True)]
        step.append((row, column, f, predicted, sum(squares) / len(squares) if squares else 100.0))
        if i + 1 < len(order) and order[i + 1][1] + 5 * order[i + 1][0] == column + 5 * row:
            continue
        for r, c, f, predicted, v in step:
            residuals = [value - p for value, p in zip(f[k:], predicted, strict=True)]
            kept[r, c] = [int(e * 32) / 32 for e in residuals]
            y = 0.0
            for e in residuals:
                y += e * e
            weight = 1 / ((0.1 * v + 0.1 * (y / channels)) + 0.5)
            for a in range(len(f)):
                for b in range(a + 1):
                    products[a, b] += (weight * f[a]) * f[b]
        fresh, step = fresh + len(step), []
        if fresh >= 128:
            fresh, factor = 0, products + 40 * np.eye(len(products))
            products *= 0.9
            for j in range(len(factor)):
                pivot, column_j = max(factor[j, j], 20), factor[:, j].copy()
                for a in range(j + 1, len(factor)):
                    factor[a, j] = column_j[a] / pivot
                    for b in range(j + 1, a + 1):
                        factor[a, b] -= factor[a, j] * column_j[b]
            for c in range(channels):
                filters[c], slopes[c, :c] = factor[k + c, :k], factor[k + c, k : k + c]
                for m in range(k - 1, 0, -1):
                    for b in range(m):
                        filters[c, b] -= factor[m, b] * filters[c, m]
    return inputs


def base_of(x: UInt8, row: int, column: int) -> tuple[list[int], int]:
    """Base and activity of a pixel, by the codec's loop."""
    bases, activity = np.empty((1, x.shape[2]), np.int64), np.empty(1, np.int64)
    inputs = np.empty((1, context_inputs(x.shape[2])), np.float32)
    gather(scene(x), np.array([[0, row, column]], np.int32), True, inputs, bases, activity)
    return bases[0].tolist(), int(activity[0])


@pytest.mark.parametrize("channels", [1, 3])
def test_inputs_are_to_the_last_bit_what_the_page_says(channels: int) -> None:
    x = picture(17, 19, channels)
    found = foreseen(x)[0]
    assert (found == transcribed(x)).all()
    assert np.ptp(found[10:, :, 0]) > 10


def solution(samples: npt.NDArray[np.float64], seen: int, target: int) -> npt.NDArray[np.float64]:
    """What makes column `target` of the first `seen` columns, with the ridge."""
    a, b = samples[:, :seen], samples[:, target]
    return np.linalg.solve(a.T @ a + least_squares.RIDGE * np.eye(seen), a.T @ b)


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_and_slopes_are_the_weighted_least_squares_solution(channels: int) -> None:
    predictor = predicting.blank(1, channels, 1, 1, 1)
    n = predictor.filters.shape[2]
    given = n - channels
    samples = np.random.default_rng(channels).normal(0, 3, (200, n))
    predictor.products[0, :n, :n] = samples.T @ samples
    predictor.fresh[0] = predicting.SOLVED_AFTER
    nothing = np.zeros((0, channels), np.int64)
    predicting.learn(np.zeros((0, 3), np.int32), nothing, nothing, predictor)
    for channel in range(channels):
        of_channel = given + channel
        assert predictor.filters[0, channel, :given] == pytest.approx(solution(samples, given, of_channel), abs=1e-9)
        for earlier in range(channel):
            expected = solution(samples, given + earlier + 1, of_channel)[-1]
            assert predictor.slopes[0, channel, earlier] == pytest.approx(expected, abs=1e-9)
    assert not predictor.fresh[0]
    assert np.tril(samples.T @ samples)[4, 2] * predicting.KEPT == pytest.approx(predictor.products[0, 4, 2])


def test_what_follows_its_neighbours_is_predicted() -> None:
    """A wave along the rows follows a recurrence of two, which the base does not."""
    columns = np.arange(96)
    x = (128 + 100 * np.sin(columns * 0.9)).astype(np.uint8)[None, :, None].repeat(48, 0).repeat(3, 2)
    _, predictor = foreseen(x)
    late = predictor.residuals[0, 24:, 8:-8] / 32
    assert np.abs(late).mean() < 1
    assert np.abs(np.diff(x[0, :, 0].astype(int))).mean() > 20


def test_no_pixel_is_predicted_from_what_comes_later() -> None:
    x = picture(40, 44)
    before, _ = foreseen(x, 20)
    steps = wavefront(((40, 44),), 20)
    order, row, column = steps.places, 13, 9  # of the first block
    own = int(np.flatnonzero((order[:, 1] == row) & (order[:, 2] == column))[0])
    at = steps.starts[np.searchsorted(steps.starts, own, "right") - 1]  # its step's first pixel
    later = x.copy()
    later[order[at:, 1], order[at:, 2]] ^= 255
    after, _ = foreseen(later, 20)
    assert (after[row, column] == before[row, column]).all()
    changed = x.copy()
    changed[row, column - 1] ^= 128
    assert (foreseen(changed, 20)[0][row, column] != before[row, column]).any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("noise", [0, 2, 300])
def test_the_trainer_sees_what_the_codec_sees(channels: int, noise: float) -> None:
    x = picture(23, 31, channels, noise)
    batch = torch.from_numpy(np.stack([x, 255 - x]).transpose(0, 3, 1, 2).copy()).float()
    withheld = torch.tensor([False, True])
    _, centre = context_of(batch, torch.zeros_like(batch), torch.tensor([False, False]))
    found = predictions_of(batch, centre, withheld)
    assert found.shape == (2, prediction_inputs(channels), 23, 31)
    expected, _ = foreseen(x)
    assert (found[0].permute(1, 2, 0).numpy() * 2**INPUT_FRACTION == expected).all()
    assert np.abs(expected).max() <= ACTIVATION_MAX
    assert not found[1].any()


def test_a_pass_s_heads_see_what_the_trainer_s_do(
    tiny_recipe: Recipe, patches: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The neighbours, then the predictions, of every pixel of an image in one block, after the features."""
    _, model, _ = variants.build(tiny_recipe, "predicted", patches)
    x, passed = picture(22, 24), list[passes.Pass]()
    made = ContextCoder._pass
    monkeypatch.setattr(ContextCoder, "_pass", lambda *arguments: passed.append(made(*arguments)) or passed[-1])
    encode_picture(from_image(Image.fromarray(x)), Settings(), model, verify=False, fallback=False)
    own = passed[-1]
    batch = torch.from_numpy(x.transpose(2, 0, 1)[None].copy()).float()
    shown = torch.tensor([False])
    fallback = torch.from_numpy(own.scene.fallback.transpose(0, 3, 1, 2).copy()).float()
    inputs, centre = context_of(batch, fallback, shown)
    expected = torch.cat([inputs, predictions_of(batch, centre, shown)], 1)[0, :, own.places[:, 1], own.places[:, 2]].T
    found = own.found.inputs[: x.shape[0] * x.shape[1], -expected.shape[1] :]
    assert (found == expected.numpy() * 2**INPUT_FRACTION).all()
    assert np.ptp(found[:, -1]) > 0


def test_heads_and_settings_must_fit(tiny_recipe: Recipe, patches: UInt8) -> None:
    _, model, data = variants.build(tiny_recipe, "predicted", patches)
    settings = {name: {**own} for name, own in model.spec.variables.items()}
    for own in settings.values():
        own.pop("predictions", None)
    with pytest.raises(ModelError, match="inputs, not"):
        Model(variants.with_spec(data, variables=settings))
