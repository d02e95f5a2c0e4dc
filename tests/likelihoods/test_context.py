"""The local causal context: order, neighbours, joint mixtures, and that encoder and decoder agree."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import variants
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from selfcodec.arrays import UInt8
from selfcodec.coding.ans import interval
from selfcodec.coding.sampler import _RandomSource
from selfcodec.decoding import decode_file, open_file
from selfcodec.encoding import encode_picture
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION, PARAM_FRACTION
from selfcodec.images import from_image
from selfcodec.likelihoods.context import mixture as joint
from selfcodec.likelihoods.context import neighbours as context
from selfcodec.likelihoods.context.order import wavefront
from selfcodec.likelihoods.layout import ACTIVITY_RANGE, NEIGHBOURS, PixelLayout, context_inputs
from selfcodec.models.config import Recipe
from selfcodec.models.distributions import Centre, dmol_log_prob, dmol_mean
from selfcodec.models.likelihoods import neighbours as trainers
from selfcodec.models.likelihoods.neighbours import _gathered, _seen, context_of
from selfcodec.modes import Mode
from selfcodec.settings import Settings
from selfcodec.zoo import Model

LAYOUT = PixelLayout(3, 3, joint=True)
TERMS = joint.terms_of(LAYOUT)


@pytest.fixture(scope="module")
def model(tiny_recipe: Recipe, patches: UInt8, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The context variant in blocks of 16, so that small images have several."""
    _, _, data = variants.build(tiny_recipe, "context", patches)
    return variants.install(tmp_path_factory.mktemp("context"), "context", variants.with_blocks(data, 16))


# Order.


@given(
    sizes=st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=3), block=st.integers(1, 12)
)
def test_a_wavefront_visits_every_pixel_after_its_neighbours(sizes: list[tuple[int, int]], block: int) -> None:
    order = wavefront(tuple(sizes), block)
    assert len({tuple(place) for place in order.places.tolist()}) == len(order.places)
    for plane, (height, width) in enumerate(sizes):
        step = np.full((height, width), -1)
        for t, (start, stop) in enumerate(pairwise(order.starts)):
            of_step = order.places[start:stop]
            assert (np.diff(of_step[:, 0]) >= 0).all()
            assert (of_step[:, 0] == plane).sum() == order.counts[t, plane]
            assert stop > start
            own = of_step[of_step[:, 0] == plane]
            step[own[:, 1], own[:, 2]] = t
        assert (step >= 0).all()
        for row in range(height):
            for column in range(width):
                for r, c in ((row + dr, column + dc) for dr, dc in NEIGHBOURS):
                    inside = row // block * block <= r and column // block * block <= c < (column // block + 1) * block
                    if inside and c < width:
                        assert step[r, c] < step[row, column]


@given(
    sizes=st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=3), block=st.integers(1, 12)
)
def test_planes_are_coded_together_as_they_are_alone(sizes: list[tuple[int, int]], block: int) -> None:
    order = wavefront(tuple(sizes), block)
    for plane, size in enumerate(sizes):
        together = order.places[order.places[:, 0] == plane]
        assert (together[:, 1:] == wavefront((size,), block).places[:, 1:]).all()


# Neighbours: the trainer's floating point and the codec's integers.


def gathered(x: UInt8, fallback: UInt8, block: int, *, shown: bool) -> tuple[npt.NDArray[np.float32], ...]:
    """Of x in the middle of two planes, in row-major order; the features, two of 7, are checked and left out."""
    channels, height, width = x.shape
    planes, fallbacks = (np.zeros((2, height + 1, width + 2, channels), dtype=np.uint8) for _ in range(2))
    planes[1, :height, :width] = x.transpose(1, 2, 0)
    fallbacks[1, :height, :width] = fallback.transpose(1, 2, 0)
    planes[1, :, width:] = 255  # beyond the plane's width, and not to be seen
    features = np.full((2, height + 3, width + 2, 2), 7, dtype=np.int16)
    places = wavefront(((height, width),), block).places
    places = places + np.array([1, 0, 0], dtype=np.int32)
    inputs = np.full((len(places), 2 + context_inputs(channels)), np.nan, dtype=np.float32)
    bases = np.empty((len(places), channels), dtype=np.int64)
    activity = np.empty(len(places), dtype=np.int64)
    scene = context.Scene(planes, np.array([width, width]), fallbacks, features, block)
    context.gather(scene, places, shown, inputs, bases, activity)
    back = np.empty(len(places), dtype=np.int64)
    back[places[:, 1].astype(int) * width + places[:, 2]] = np.arange(len(places))
    assert (inputs[:, :2] == 7).all()
    return inputs[back, 2:], bases[back], activity[back]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("noise", [0, 1, 8, 300])
def test_the_codec_sees_what_the_trainer_sees(
    channels: int, shown: bool, noise: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(noise)
    smooth = np.add.outer(np.arange(11) * 3, np.arange(13) * 2)[None] + 60 * np.arange(channels)[:, None, None]
    x = (smooth + random.normal(0, noise, (channels, 11, 13))).clip(0, 255).astype(np.uint8)
    fallback = random.integers(0, 256, x.shape).astype(np.uint8)
    monkeypatch.setattr(trainers, "_gathered", _seen)  # in PyTorch, as on a GPU
    real, centre = context_of(
        torch.from_numpy(x[None]).float(), torch.from_numpy(fallback[None]).float(), torch.tensor([not shown])
    )
    inputs, bases, activity = gathered(x, fallback, 64, shown=shown)
    rounded = torch.floor(real * 2**INPUT_FRACTION + 0.5).clamp(-ACTIVATION_MAX, ACTIVATION_MAX)
    assert (rounded[0].permute(1, 2, 0).flatten(0, 1).numpy() == inputs).all()
    assert (centre.base[0].permute(1, 2, 0).flatten(0, 1).numpy() == bases).all()
    assert isinstance(centre.unit, torch.Tensor)
    assert (centre.unit.flatten().numpy() == 2.0 ** (activity - 3)).all()


@pytest.mark.parametrize("noise", [0, 2, 300])
def test_the_trainer_s_two_ways_agree(noise: int) -> None:
    """Compiled on a processor, in PyTorch on a GPU; but for the rounding of distances finer than the codec's inputs."""
    random = torch.Generator().manual_seed(noise)
    x = (100 + noise * torch.randn(3, 3, 12, 17, generator=random)).floor().clamp(0, 255)
    fallback, withheld = 255 - x, torch.tensor([False, True, False])
    compiled, torch_s = (way(x, fallback, withheld) for way in (_gathered, _seen))
    assert (compiled[0] - torch_s[0]).abs().max() <= 2.0 ** -(INPUT_FRACTION + 1)
    assert torch.equal(compiled[1], torch_s[1])
    assert torch.equal(compiled[2], torch_s[2])


def test_pixels_to_come_and_other_blocks_are_not_looked_at() -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (3, 12, 12)).astype(np.uint8)
    before = gathered(x, x, 6, shown=True)
    later = x.copy()
    later[:, 3, 4:], later[:, 4:6], later[:, :, 6:], later[:, 6:] = 0, 0, 0, 0
    after = gathered(later, x, 6, shown=True)
    for a, b in zip(before, after, strict=True):
        assert (a.reshape(12, 12, -1)[:4, :4] == b.reshape(12, 12, -1)[:4, :4]).all()
    changed = x.copy()
    changed[:, 3, 3] ^= 128
    inputs = [seen[0].reshape(12, 12, -1)[3, 4] for seen in (before, gathered(changed, x, 6, shown=True))]
    assert (inputs[0] != inputs[1]).any()


# Joint mixtures: probabilities.


def parameters(seed: int, count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    params = random.normal(0, 700, (count, LAYOUT.size)).round().astype(np.float32)
    params[:, LAYOUT.log_scales(0).start : LAYOUT.log_scales(2).stop] *= 0.5
    return params, random.integers(0, 256, (count, 3)), random.integers(*ACTIVITY_RANGE, count, endpoint=True)


def coded_bits(
    params: npt.NDArray[np.float32],
    bases: npt.NDArray[np.int64],
    activity: npt.NDArray[np.int64],
    values: npt.NDArray[np.int64],
    coded: int = 3,
) -> npt.NDArray[np.float64]:
    """-log2 p (n, coded) of the values that the encoder notes, all in one step."""
    n, state = len(params), np.empty((len(params), joint.STATE, LAYOUT.mixtures), dtype=np.int64)
    starts, sizes = (np.empty((coded, n), dtype=np.uint32) for _ in range(2))
    for channel in range(coded):
        joint.advance(params, TERMS, bases, activity, values, channel, np.zeros(n, dtype=np.int64), state)
        joint.note(channel, TERMS, state, values, starts[channel], sizes[channel])
    assert (starts.astype(np.int64) + sizes <= 2**24).all()
    assert sizes.min() >= 1
    bits: npt.NDArray[np.float64] = 24 - np.log2(sizes)
    return bits.T


def centre_of(bases: npt.NDArray[np.int64], activity: npt.NDArray[np.int64]) -> Centre:
    q = torch.from_numpy(activity).double()[:, None, None, None]
    return Centre(torch.from_numpy(bases).double()[:, :, None, None], 4 * 2 ** (q - 5), (q - 5) * (710 / 1024))


@pytest.mark.parametrize("seed", range(4))
def test_coded_bits_are_the_trainer_s_probabilities(seed: int) -> None:
    params, bases, activity = parameters(seed, 400)
    random = np.random.default_rng(100 + seed)
    near = bases + (random.normal(0, 1, bases.shape) * 2.0 ** (activity[:, None] - 4)).round().astype(np.int64)
    values = near.clip(0, 255)
    real = torch.from_numpy(params).double()[:, :, None, None] / 2**PARAM_FRACTION
    x = torch.from_numpy(values).double()[:, :, None, None]
    expected = -dmol_log_prob(real, x, centre_of(bases, activity), LAYOUT).flatten().numpy() / np.log(2)
    found = coded_bits(params, bases, activity, values).sum(1)
    likely = expected < 20  # what is rarer meets the floors of the integer weights
    assert likely.mean() > 0.5
    assert np.abs(found - expected)[likely].mean() < 0.03
    assert found.mean() < expected.mean() + 0.05


def test_a_channel_s_bytes_share_one_probability() -> None:
    """Over all 256 values of the second channel, given the first, the coded probabilities sum to 1."""
    params, bases, activity = parameters(9, 1)
    many = [np.repeat(a, 256, 0) for a in (params, bases, activity)]
    values = np.stack([np.full(256, bases[0, 0]), np.arange(256), np.full(256, 7)], 1)
    bits = coded_bits(many[0], many[1], many[2], values)
    assert (2.0 ** -bits[:, 1]).sum() == pytest.approx(1, abs=1e-6)
    assert np.ptp(bits[:, 0]) == 0


def test_what_the_first_channel_reveals_sharpens_the_second() -> None:
    """Two components that disagree on both channels: seeing the first tells which one it is."""
    layout = PixelLayout(2, 2, joint=True)
    params = np.zeros((1, layout.size), dtype=np.float32)
    params[0, layout.means(0)] = params[0, layout.means(1)] = (-5000, 5000)
    bases, activity, terms = np.full((1, 2), 128), np.array([7]), joint.terms_of(layout)
    state, interval = np.empty((1, joint.STATE, 2), dtype=np.int64), np.empty((2, 1), dtype=np.uint32)
    given, unstretched = (params, terms, bases, activity), np.zeros(1, dtype=np.int64)
    first = 128 - round(5000 * 16 / 1024)
    values = np.array([[first, first]])
    joint.advance(*given, values, 0, unstretched, state)
    assert state[0, 0].tolist() == [2**16, 2**16]
    joint.note(0, terms, state, values, *interval)
    alone = int(interval[1, 0])
    joint.advance(*given, values, 1, unstretched, state)
    joint.note(1, terms, state, values, *interval)
    assert state[0, 0, 0] > 1000 * state[0, 0, 1]
    assert int(interval[1, 0]) == pytest.approx(2 * alone, rel=0.01)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2**24 - 1), st.sampled_from([1, 2, 5]))
def test_a_value_is_found_by_any_number_of_its_interval(seed: int, quantile: int, mixtures: int) -> None:
    """Intervals are those of constriction's `Categorical` of 256 frequencies, and the search finds them."""
    random = np.random.default_rng(seed)
    state = np.zeros((joint.STATE, mixtures), dtype=np.int64)
    state[0] = random.integers(1, 2**17, mixtures)
    state[1] = random.integers(-3000, 256 * 32 + 3000, mixtures)
    state[2] = random.choice(TERMS.scales, mixtures)
    unit, at = joint._unit(state[0]), np.empty(mixtures, dtype=np.int64)
    starts, sums = [], []
    for value in range(257):
        starts.append(joint._start(TERMS.cdf, state, unit, value, at))
        sums.append(int((state[0] * at).sum()))
    frequencies = np.diff(sums).astype(np.float64)
    for value in (0, 1, 77, 254, 255):
        assert interval(frequencies, value) == (starts[value], starts[value + 1] - starts[value])
    value, start, end = joint._find(TERMS.cdf, state, np.int64(quantile), at)
    assert (start, end) == (starts[value], starts[value + 1])
    assert start <= quantile < end
    for row, edge in ((joint._BELOW, value), (joint._ABOVE, value + 1)):
        found = state[row].copy()
        joint._start(TERMS.cdf, state, unit, edge, at)
        assert (found == at).all()


def test_impossible_values_are_coded_nevertheless() -> None:
    """Far outside every component, where the tables say 0, every byte keeps a probability."""
    params = np.zeros((256, LAYOUT.size), dtype=np.float32)
    params[:, LAYOUT.log_scales(0).start : LAYOUT.log_scales(2).stop] = -16383
    values = np.repeat(np.arange(256)[:, None], 3, 1)
    bits = coded_bits(params, np.full((256, 3), 30), np.full(256, 3), values)
    assert np.isfinite(bits).all()
    assert bits.max() < 40


def test_what_is_nearly_certain_keeps_its_weight() -> None:
    params = np.zeros((400, LAYOUT.size), dtype=np.float32)
    params[:, LAYOUT.log_scales(0).start : LAYOUT.log_scales(2).stop] = -3000
    bases = np.repeat(np.linspace(0, 255, 400).astype(np.int64)[:, None], 3, 1)
    assert coded_bits(params, bases, np.full(400, 5), bases).max() < 0.1


def test_means_are_the_trainer_s() -> None:
    params, bases, activity = parameters(3, 300)
    values = np.empty((300, 3), dtype=np.int64)
    joint.expected(params, TERMS, bases, activity, 3, LAYOUT.mixtures, values)
    real = torch.from_numpy(params).double()[:, :, None, None] / 2**PARAM_FRACTION
    expected = dmol_mean(real, centre_of(bases, activity), LAYOUT).flatten(1).numpy()
    assert (np.abs(expected - values) <= 1).mean() > 0.97
    joint.expected(params, TERMS, bases, activity, 1, LAYOUT.mixtures, values)
    assert (values == values[:, :1]).all()


# Whole files.


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (33, 17), (50, 37)])
def test_lossless_files_come_back(model: Model, photo: UInt8, mode: str, size: tuple[int, int]) -> None:
    image = variants.make_image(photo, mode, *size)
    data = encode_picture(from_image(image), Settings(), model, verify=False, fallback=False).data
    assert open_file(data, model=model).header.mode is Mode.LOSSLESS
    assert variants.same(decode_file(data, model=model), image)


def test_a_drawn_file_is_drawn_the_same_every_time(model: Model, photo: UInt8) -> None:
    picture = from_image(variants.make_image(photo, "RGB", 40, 30))
    files = [encode_picture(picture, Settings(Mode.CG, seed=seed), model, fallback=False).data for seed in (1, 1, 2)]
    images = [decode_file(data, model=model).tobytes() for data in files]
    assert images[0] == images[1] != images[2]


def test_drawn_pixels_do_not_depend_on_how_many_steps_run_together(
    model: Model, photo: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random words are renewed where docs/arithmetic.md says, in the middle of a step, too."""
    picture = from_image(Image.fromarray(np.tile(photo[:40, :50], (6, 5, 1))))
    data = encode_picture(picture, Settings(Mode.CG, seed=7), model, fallback=False, verify=False).data
    renewals, take = list[int](), _RandomSource.take
    monkeypatch.setattr(_RandomSource, "take", lambda own, count: (renewals.append(count), take(own, count)))
    drawn = list[bytes]()
    for pixels in (1, 100, 1 << 14):
        monkeypatch.setattr("selfcodec.likelihoods.context.coder.PIXELS_AT_ONCE", pixels)
        drawn.append(decode_file(data, model=model).tobytes())
    assert sum(renewals) > 3 * 2 * 4096  # more than what each of three starts with
    assert drawn[0] == drawn[1] == drawn[2]


def test_lossy_files_need_no_wavefront_and_follow_y(model: Model, photo: UInt8) -> None:
    picture = from_image(variants.make_image(photo, "RGB", 40, 30))
    decoded = {}
    for mode in (Mode.RS1, Mode.CG, Mode.CR):
        data = encode_picture(picture, Settings(mode), model, fallback=False).data
        decoded[mode] = np.asarray(decode_file(data, model=model)).astype(float)
    error = {mode: np.square(image - picture.planes).mean() for mode, image in decoded.items()}
    assert error[Mode.CG] < error[Mode.RS1]


def test_bits_are_what_the_file_takes(model: Model, photo: UInt8) -> None:
    picture = from_image(variants.make_image(photo, "RGB", 90, 60))
    encoded = encode_picture(picture, Settings(), model, verify=False, fallback=False)
    promised = sum(encoded.model_bits.values()) / 8
    assert promised < len(encoded.data) < 1.01 * promised + 24


def test_a_model_s_folder_tells_its_blocks(model: Model) -> None:
    for name in ("y1", "x"):
        assert model.spec.variables[name] == {"kind": "context", "mixtures": 2, "block": 16}
    assert Path(model.where).name == "weights.safetensors"
