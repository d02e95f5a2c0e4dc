"""What is learned of an image while it is coded: the filters, the arithmetic, and that both sides learn the same."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest
import variants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from selfcodec import api, encoding
from selfcodec.arrays import UInt8
from selfcodec.decoding import cut_file, decode_file, open_file
from selfcodec.encoding import encode_picture, encode_pictures
from selfcodec.errors import FormatError
from selfcodec.format.container import pack
from selfcodec.images import from_image
from selfcodec.likelihoods.context import adapting, least_squares, passes
from selfcodec.models.config import Recipe
from selfcodec.modes import Mode
from selfcodec.networks.integer import Runtime
from selfcodec.settings import Settings, usual_effort
from selfcodec.zoo import Model

ADAPTING = Settings(effort=1)


@pytest.fixture(scope="module", params=["context", "predicted"])
def model(
    tiny_recipe: Recipe, patches: UInt8, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Model:
    """Variants in context, in tiles of 32 and blocks of 16, so that small images have several of both."""
    _, _, data = variants.build(tiny_recipe, request.param, patches)
    folder = tmp_path_factory.mktemp("adapting")
    return variants.install(folder, request.param, variants.with_blocks(data, 16, tile=32))


def coded(pixels: UInt8, model: Model, wanted: Settings = ADAPTING, runtime: Runtime | None = None) -> bytes:
    picture = from_image(Image.fromarray(pixels))
    return encode_picture(picture, wanted, model, runtime or Runtime(), verify=False, fallback=False).data


# The filters.


def memory_of(samples: npt.NDArray[np.float64], channels: int) -> adapting.Memory:
    """As if samples (N, n) had been seen."""
    memory = adapting.blank(1, channels, 1, len(samples))
    n = samples.shape[1]
    memory.products[0, :n, :n] = samples.T @ samples
    return memory


def found_from(memory: adapting.Memory) -> None:
    """Finds the filters of what was learned."""
    memory.fresh[0] = adapting.SOLVED_AFTER
    adapting.conclude(np.zeros((0, 3), np.int32), memory, adapting.room(memory, 1, 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_filter_is_the_least_squares_solution_over_what_its_channel_sees(channels: int) -> None:
    n = adapting.blank(1, channels, 1, 1).filters.shape[2]
    samples = np.random.default_rng(channels).normal(0, 3, (200, n))
    memory = memory_of(samples, channels)
    found_from(memory)
    for channel in range(channels):
        own = n - 1 - 2 * (channels - 1 - channel)
        seen = samples[:, :own]
        expected = np.linalg.solve(seen.T @ seen + least_squares.RIDGE * np.eye(own), seen.T @ samples[:, own])
        assert memory.filters[0, channel, :own] == pytest.approx(expected, abs=1e-9)
        assert not memory.filters[0, channel, own:].any()


def test_filters_of_what_says_nothing_are_finite() -> None:
    """Equal and missing columns leave the matrix without full rank, and huge ones without the ridge's digits."""
    n = adapting.blank(1, 3, 1, 1).filters.shape[2]
    samples = np.zeros((50, n))
    samples[:, 3] = samples[:, 7] = samples[:, n - 1] = 255e6
    memory = memory_of(samples, 3)
    found_from(memory)
    assert np.isfinite(memory.filters).all()
    assert np.abs(memory.filters).max() < 10


def test_what_was_learned_fades() -> None:
    memory = memory_of(np.ones((5, adapting.blank(1, 1, 1, 1).filters.shape[2])), 1)
    found_from(memory)
    assert memory.products[0, 2, 4] == 5 * adapting.KEPT
    assert memory.fresh[0] == 0
    assert memory.filters.any()


# The arithmetic.


def test_no_product_and_sum_are_fused(model: Model) -> None:
    """A fused operation rounds once where two round twice, so that processors with and without it would differ."""
    coded(np.zeros((3, 3, 3), np.uint8), model)
    compiled: Any = passes.coded  # which calls all the others
    again = numba.njit(nogil=True)(compiled.py_func)
    for signature in compiled.signatures:
        again.compile(signature)
    (text,) = again.inspect_asm().values()
    found = set(re.findall(r"^\s+(v?f[a-z]*m[a-z]*\w*|v?mul[sp]d)\b", text, re.MULTILINE))
    assert found
    assert not [name for name in found if re.match("vf|fn?m(add|sub|l[as])", name)]


@pytest.mark.parametrize("things", [1, 7, 8, 13])
def test_samples_are_added_one_after_another_to_their_planes(things: int) -> None:
    random, planes = np.random.default_rng(things), np.array([0, 0, 0, 1, 3, 3], np.int32)
    samples = least_squares.blank_samples(len(planes), things)
    samples.seen[:, :things] = random.normal(0, 9, (len(planes), things))
    samples.weights[:] = random.uniform(0, 1, len(planes))
    size = least_squares.filled_up(things)
    around, fresh = random.normal(0, 1, (6, size, size)), np.array([5, 6, 7, 8])
    before, products = around.copy(), around[1:-1]
    expected = products.copy()
    for b, seen, weight in zip(planes, samples.seen, samples.weights, strict=True):
        for i, j in zip(*np.triu_indices(size), strict=True):
            expected[b, i, j] += (weight * seen[j]) * seen[i]
    least_squares.take_in(np.stack([planes, planes, planes], 1), samples, products, fresh)
    assert (np.triu(products) == np.triu(expected)).all()
    assert fresh.tolist() == [8, 7, 7, 10]
    assert (around[[0, 3, -1]] == before[[0, 3, -1]]).all()


@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 11, 67])
def test_columns_are_taken_away_one_after_another(n: int) -> None:
    """Bit for bit as the page has it, however many of them are at hand at once."""
    samples = np.random.default_rng(n).normal(0, 5, (20, n))
    size = least_squares.filled_up(n)
    products = np.random.default_rng(0).normal(0, 1, (size, size))  # what is not looked at may be anything
    products[:n, :n] = np.triu(samples.T @ samples) + np.tril(products[:n, :n], -1)
    expected = np.triu(products[:n, :n]).T + least_squares.RIDGE * np.eye(n)
    for j in range(n):
        column = expected[:, j].copy()
        for i in range(j + 1, n):
            expected[i, j] = column[i] / column[j]
            for k in range(j + 1, i + 1):
                expected[i, k] -= expected[i, j] * column[k]
    found = least_squares.factored(products, n)
    assert (np.tril(found, -1) == np.tril(expected, -1)).all()


# Whole files.


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (33, 17), (50, 37)])
def test_lossless_files_come_back(model: Model, photo: UInt8, mode: str, size: tuple[int, int]) -> None:
    image = variants.make_image(photo, mode, *size)
    data = encode_picture(from_image(image), ADAPTING, model, verify=False, fallback=False).data
    assert open_file(data, model=model).header.adapting
    assert variants.same(decode_file(data, model=model), image)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    noise=st.sampled_from([0, 1, 5, 300]),
    batches=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 99),
)
def test_any_image_comes_back_in_any_batches(
    model: Model, size: tuple[int, int], noise: int, batches: tuple[int, int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    slopes = np.add.outer(2 * np.arange(size[0]), 3 * np.arange(size[1]))[..., None] + [0, 50, 90]
    pixels = (slopes + random.normal(0, noise, slopes.shape)).clip(0, 255).astype(np.uint8)
    data = coded(pixels, model, runtime=Runtime(batches[0]))
    assert data == coded(pixels, model)
    assert (np.asarray(decode_file(data, model=model, runtime=Runtime(batches[1]))) == pixels).all()


def test_what_repeats_is_learned(model: Model) -> None:
    """Every other column is brighter, which no network was trained for."""
    random = np.random.default_rng(0)
    pixels = (100 + 40 * (np.arange(64) % 2)[:, None] + random.normal(0, 2, (64, 64, 3))).clip(0, 255).astype(np.uint8)
    assert len(coded(pixels, model)) < 0.9 * len(coded(pixels, model, Settings()))


def test_people_get_what_adapts_unless_they_ask_for_no_effort(
    model: Model, photo: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_stored", lambda picture: bytes(1 << 20))
    image, folder = Image.fromarray(photo[:40, :50]), Path(model.where).parent
    monkeypatch.setenv("SELFCODEC_MODELS", str(folder.parent))
    found = {effort: api.encode(image, model=folder, effort=effort, verify=False) for effort in (None, 1, 0)}
    assert found[None] == found[1] == coded(photo[:40, :50], model)
    assert found[0] == coded(photo[:40, :50], model, Settings())
    assert usual_effort(Mode.LOSSLESS)
    assert not usual_effort(Mode.RS2)


def test_small_pictures_are_coded_both_ways_where_that_is_asked_for(model: Model, photo: UInt8) -> None:
    """Together and alone, the file is the smaller one, without learning where neither is; larger ones learn."""
    pictures = [from_image(Image.fromarray(photo[at : at + 9, at : at + 14])) for at in range(0, 60, 6)]
    ways = [
        [encode_picture(one, Settings(effort=effort), model, fallback=False).data for one in pictures]
        for effort in (0, 1)
    ]
    expected = [min(pair, key=len) for pair in zip(*ways, strict=True)]
    asked = Settings(effort=encoding.BOTH_WAYS)
    assert [encode_picture(one, asked, model, fallback=False).data for one in pictures] == expected
    together = encode_pictures(pictures, asked, model, fallback=False)
    assert [one.data for one in together] == expected
    for one, (plain, learning) in zip(together, zip(*ways, strict=True), strict=True):
        assert open_file(one.data, model=model).header.adapting == (len(learning) < len(plain))
    assert encoding.MOST_BOTH_WAYS < 64 * 65
    assert coded(photo[:64, :65], model, asked) == coded(photo[:64, :65], model)


def test_a_cut_file_does_not_adapt_and_shows_the_same(model: Model, photo: UInt8) -> None:
    files = [coded(photo[:40, :50], model, wanted) for wanted in (ADAPTING, Settings())]
    assert files[0] != files[1]
    for mode in (Mode.CG, Mode.RS1):
        cuts = [cut_file(data, mode, model=model) for data in files]
        headers = [open_file(data, model=model).header for data in cuts]
        assert headers[0] == headers[1]
        assert not headers[0].adapting
        images = [np.asarray(decode_file(data, model=model)) for data in cuts]
        assert (images[0] == images[1]).all()


def test_lossy_files_and_other_models_do_not_adapt(model: Model, tiny_model: Model, photo: UInt8) -> None:
    for coder, mode in ((model, Mode.CG), (tiny_model, Mode.LOSSLESS)):
        files = [coded(photo[:20, :30], coder, Settings(mode, effort=effort)) for effort in (0, 9)]
        assert files[0] == files[1]


def test_a_model_that_cannot_adapt_refuses_a_file_that_does(tiny_model: Model, photo: UInt8) -> None:
    container = open_file(coded(photo[:20, :30], tiny_model), model=tiny_model)
    forged = pack(replace(container, header=replace(container.header, adapting=True)))
    with pytest.raises(FormatError, match="adapts, which it cannot"):
        decode_file(forged, model=tiny_model)
