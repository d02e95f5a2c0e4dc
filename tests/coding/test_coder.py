"""Entropy coding: round trips, prefixes of a stream, its length, sampling, and a golden vector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfcodec.arrays import Int64, Words
from selfcodec.coding import ans, stack
from selfcodec.coding.ans import popped, renewed
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.coding.mixture import WINDOW, Mixture
from selfcodec.coding.sampler import Sampler
from selfcodec.coding.symbols import ALPHABET, CHUNK
from selfcodec.coding.tables import PRECISION
from selfcodec.errors import FormatError, TruncatedError
from selfcodec.fixed_point import PARAM_MAX
from selfcodec.likelihoods.latent import latent_mixture
from selfcodec.likelihoods.phases import pixel_mixture

GOLDEN = "0000001a 502f2695 27887fa3 013e4b8a be745b76 b4ee4419 82ea1add"
"""The words of `golden_mixture` for the bytes 0, 11, 22, ... 253; any change of them is a change of the format."""


@pytest.fixture(scope="module", autouse=True, params=[stack.AnsCoder, ans.AnsCoder], ids=["installed", "own"])
def _each_coder(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything holds of the installed coder and of the one that takes its place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "AnsCoder", request.param)
        yield


def random_mixture(seed: int, batch: int, count: int, components: int = 3) -> Mixture:
    """Pixel distributions of every width."""
    rng = np.random.default_rng(seed)
    shape = (batch, count, components)
    logits, log_scales = rng.integers(-3000, 3000, shape), rng.integers(-6000, 4000, shape)
    return pixel_mixture(logits, rng.integers(-500, 9000, shape), log_scales)


def random_latents(seed: int, batch: int, count: int) -> Mixture:
    rng = np.random.default_rng(seed)
    shape = (batch, count, 1)
    means, log_scales = rng.integers(-5000, 5000, shape), rng.integers(-4000, 4000, shape)
    return latent_mixture(np.zeros(shape, np.int64), means, log_scales, rng.integers(1, 9000, shape[:2]))[0]


def likely_values(mixture: Mixture, seed: int) -> Int64:
    """A draw from the distributions, by inverting the CDF in floating point."""
    rng = np.random.default_rng(seed)
    edges = np.broadcast_to(np.arange(1, 256), (*mixture.shape, 255))
    share = mixture.cumulative(edges) / (mixture.weights.sum(-1)[..., None] * 2.0**30)
    return (share < rng.random((*mixture.shape, 1))).sum(-1)


def encode(mixture: Mixture, values: Int64) -> tuple[list[Words], npt.NDArray[np.float64]]:
    encoder = Encoder(mixture.shape[0])
    encoder.encode(mixture, values)
    encoder.mark()
    streams = encoder.finish()
    return [stream.words for stream in streams], np.array([stream.bits[0] for stream in streams])


def hexadecimal(words: Words) -> str:
    return " ".join(f"{word:08x}" for word in words)


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 40), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_values_come_back(seed: int, batch: int, count: int, latent: bool) -> None:
    mixture = random_latents(seed, batch, count) if latent else random_mixture(seed, batch, count)
    values = np.random.default_rng(seed).integers(0, 256, mixture.shape)
    words, _ = encode(mixture, values)
    decoder = Decoder(words)
    assert (decoder.decode(mixture) == values).all()
    decoder.finish()


def in_windows(mixture: Mixture, seed: int) -> Mixture:
    """The same distributions, of four bytes each."""
    return replace(mixture, window=np.random.default_rng(seed).integers(0, 256 - WINDOW + 1, mixture.shape))


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_values_in_windows_come_back(seed: int, batch: int, count: int) -> None:
    mixture = in_windows(random_mixture(seed, batch, count), seed)
    assert mixture.window is not None
    values = mixture.window + np.random.default_rng(seed).integers(0, WINDOW, mixture.shape)
    words, bits = encode(mixture, values)
    decoder = Decoder(words)
    assert (decoder.decode(mixture) == values).all()
    decoder.finish()
    edges = mixture.cumulative(mixture.window[..., None] + np.arange(WINDOW + 1))
    weights = np.diff(edges, axis=-1) + 1
    most = encode(mixture, mixture.window + weights.argmax(-1))[1]
    assert most == pytest.approx(np.log2(weights.sum(-1) / weights.max(-1)).sum(1), rel=1e-4, abs=1e-3)
    assert (bits >= most - count * 1e-6).all()  # probabilities are multiples of 2**-24


@given(st.integers(0, 2**32), st.sampled_from((WINDOW, ALPHABET)), st.integers(0, 46))
@settings(max_examples=200, deadline=None)
def test_probabilities_are_those_of_the_arithmetic_page(seed: int, count: int, magnitude: int) -> None:
    """What one symbol does to a known state of the coder tells its probability and where that begins."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 2 + ((1 << magnitude) >> rng.integers(0, magnitude + 1, count)))
    total = 2**PRECISION - count
    sums = [0, *(int(s) for s in np.cumsum(weights))]
    scale = np.float64(total) / np.float64(sums[-1])
    edges = [*(int(np.floor(np.float64(s) * scale)) for s in sums[:-1]), total]
    for symbol in range(count):
        start, size = edges[symbol] + symbol, edges[symbol + 1] - edges[symbol] + 1
        state = (1 << 32) + int(rng.integers(0, 2**32))
        coder = stack.AnsCoder(np.array([state % 2**32, state >> 32], np.uint32))
        coder.encode_reverse(np.array([symbol], np.int32), stack.MODEL, weights[None].astype(np.float64))
        found = sum(int(word) << (32 * i) for i, word in enumerate(coder.get_compressed()))
        assert found == (state // size << PRECISION) + state % size + start


def test_samples_of_windows_are_in_them() -> None:
    mixture = in_windows(random_mixture(7, 2, 20000), 8)
    assert mixture.window is not None
    offsets = Sampler([1, 2]).decode(mixture) - mixture.window
    assert np.unique(offsets).tolist() == list(range(WINDOW))


@pytest.mark.parametrize("value", [0, 15, 16, 128, 240, 255])
@pytest.mark.parametrize("mean", [-(2**21), 0, 2**21])
def test_impossible_values_come_back(value: int, mean: int) -> None:
    shape = (1, 9, 2)
    mixture = pixel_mixture(np.zeros(shape, np.int64), np.full(shape, mean), np.full(shape, -PARAM_MAX))
    values = np.full((1, 9), value)
    words, bits = encode(mixture, values)
    assert (Decoder(words).decode(mixture) == values).all()
    assert bits[0] <= 9 * 48


def test_a_batch_gives_the_streams_of_its_images() -> None:
    mixture = random_mixture(5, 4, 200)
    values = likely_values(mixture, 6)
    words, bits = encode(mixture, values)
    for image in range(4):
        alone = Mixture(
            mixture.cdf,
            *(part[image : image + 1] for part in (mixture.weights, mixture.means, mixture.inverse_scales)),
            mixture.bits,
            *(part[image : image + 1] for part in (mixture.first_edge, mixture.spacing)),
        )
        (expected,), own_bits = encode(alone, values[image : image + 1])
        assert hexadecimal(words[image]) == hexadecimal(expected)
        assert bits[image] == pytest.approx(own_bits[0])
        assert (Decoder([expected]).decode(alone) == values[image]).all()


@given(st.integers(0, 2**32), st.lists(st.integers(1, 30), min_size=2, max_size=4))
@settings(max_examples=25, deadline=None)
def test_sections_decode_from_the_words_up_to_their_marks(seed: int, counts: list[int]) -> None:
    sections = [random_mixture(seed + i, 2, count) for i, count in enumerate(counts)]
    values = [np.random.default_rng(seed).integers(0, 256, mixture.shape) for mixture in sections]
    encoder = Encoder(2)
    for mixture, value in zip(sections, values, strict=True):
        encoder.encode(mixture, value)
        encoder.mark()
    for image, stream in enumerate(encoder.finish()):
        words, ends = stream.words, stream.ends
        assert ends == sorted(ends)
        assert ends[-1] == len(words)
        for last, end in enumerate(ends):
            # Where words were cut off, others in their place make sure that none of them is looked at.
            others = np.full(len(words) - end, 0x5A5A5A5A, np.uint32)
            for prefix in (words[:end], np.concatenate([words[:end], others])):
                decoder = Decoder([prefix])
                for mixture, value in zip(sections[: last + 1], values, strict=False):
                    single = Mixture(
                        mixture.cdf,
                        *(p[image : image + 1] for p in (mixture.weights, mixture.means, mixture.inverse_scales)),
                        mixture.bits,
                        *(p[image : image + 1] for p in (mixture.first_edge, mixture.spacing)),
                    )
                    assert (decoder.decode(single) == value[image]).all()


@pytest.mark.parametrize("count", [1, 10, 100, 3000])
def test_streams_are_as_long_as_the_model_says(count: int) -> None:
    mixture = random_mixture(count, 2, count)
    words, bits = encode(mixture, likely_values(mixture, 1))
    for image in range(2):
        real = 32 * len(words[image])
        assert bits[image] - 1 <= real <= 1.01 * bits[image] + 96


def test_bits_are_those_of_the_distributions() -> None:
    mixture = random_mixture(3, 1, 500)
    values = likely_values(mixture, 4)
    _, bits = encode(mixture, values)
    edges = np.stack([values, values + 1], -1)
    low, high = np.moveaxis(mixture.cumulative(edges), -1, 0)
    exact = -np.log2((high - low) / (mixture.weights.sum(-1) * 2.0**30)).sum()
    assert bits[0] == pytest.approx(exact, rel=2e-4)


@pytest.mark.parametrize("symbol", [0, 1, 7, 14, 15])
@pytest.mark.parametrize("spread", [0.5, 8.0, 20.0])
def test_bits_are_what_a_symbol_costs(symbol: int, spread: float) -> None:
    """Also the least probable ones: the same symbol many times over takes its bits to within the coder's ends."""
    rng = np.random.default_rng(symbol)
    weights = np.floor(np.exp(rng.normal(0, spread, 16)) * 1e4) + 1
    symbols = np.full((1, 2000), symbol)
    symbols[0, -1] = 15  # coded first, since symbols 0 are free for a coder in its initial state
    encoder, repeated = Encoder(1), np.tile(weights, (1, 2000, 1))
    encoder.note(symbols, repeated)
    encoder.mark()
    (stream,) = encoder.finish()
    bits = stream.bits[0]
    assert bits - 24 <= 32 * len(stream.words) <= bits + 64 + 1e-4 * bits


def test_bits_add_up() -> None:
    encoder, mixture = Encoder(2), random_mixture(8, 2, 30)
    values = likely_values(mixture, 9)
    for _ in range(3):
        encoder.encode(mixture, values)
        encoder.mark()
    for stream, once in zip(encoder.finish(), encode(mixture, values)[1], strict=True):
        assert stream.bits == pytest.approx([once] * 3)


def golden_mixture() -> tuple[Mixture, Int64]:
    """Three components at different places, from narrow to wide."""
    n = np.arange(24)[None, :, None]
    m = np.arange(3)[None, None, :]
    values = 11 * np.arange(24)[None]
    return pixel_mixture(100 * n * m, 32 * (11 * n + 40 * m - 50), 700 * m - 100 * n), values


def test_golden_vector() -> None:
    mixture, values = golden_mixture()
    (words,), _ = encode(mixture, values)
    assert hexadecimal(words) == GOLDEN
    golden = np.array([int(word, 16) for word in GOLDEN.split()], np.uint32)
    assert (Decoder([golden]).decode(mixture) == values).all()


@pytest.mark.parametrize("count", [4, 5, 6, 23])
def test_chunks(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = random_mixture(count, 2, count)
    values = likely_values(mixture, 1)
    whole, whole_bits = encode(mixture, values)
    monkeypatch.setattr("selfcodec.coding.encoder.CHUNK", 5)
    monkeypatch.setattr("selfcodec.coding.decoder.CHUNK", 5)
    words, bits = encode(mixture, values)
    decoder = Decoder(words)
    assert (decoder.decode(mixture) == values).all()
    decoder.finish()
    assert bits == pytest.approx(whole_bits)
    assert (hexadecimal(words[0]) == hexadecimal(whole[0])) == (count <= 5)


def test_more_than_a_chunk() -> None:
    mixture = random_mixture(1, 1, CHUNK + 3, components=1)
    values = np.random.default_rng(1).integers(0, 256, mixture.shape)
    words, _ = encode(mixture, values)
    assert (Decoder(words).decode(mixture) == values).all()


def test_words_left_over_or_missing_are_noticed() -> None:
    mixture = random_mixture(2, 1, 60)
    values = likely_values(mixture, 3)
    (words,), _ = encode(mixture, values)
    for wrong in (np.concatenate([words, words]), np.concatenate([words, np.ones(1, np.uint32)])):
        decoder = Decoder([wrong])
        decoder.decode(mixture)
        with pytest.raises(TruncatedError):
            decoder.finish()


def test_a_zero_where_the_stream_begins_is_no_stream() -> None:
    with pytest.raises(FormatError, match="damaged"):
        Decoder([np.array([0, 1, 2], np.uint32)])


def test_an_empty_stream_decodes_to_something() -> None:
    values = Decoder([np.zeros(0, np.uint32)]).decode(random_mixture(0, 1, 50))
    assert values.min() >= 0
    assert values.max() <= 255


def test_equal_seeds_draw_equal_bytes_and_others_do_not() -> None:
    mixture = random_mixture(4, 3, 300)
    first, again = (Sampler([7, 8, 7 << 32]).decode(mixture) for _ in range(2))
    assert (first == again).all()
    other = Sampler([9, 8, 6 << 32]).decode(mixture)
    assert (other[1] == first[1]).all()
    assert (other[0] != first[0]).mean() > 0.5
    assert (other[2] != first[2]).mean() > 0.5


def test_a_draw_does_not_depend_on_the_batch() -> None:
    rows = random_mixture(11, 1, 5000, components=1)
    twice = Mixture(
        rows.cdf,
        *(np.repeat(part, 2, 0) for part in (rows.weights, rows.means, rows.inverse_scales)),
        rows.bits,
        *(np.repeat(part, 2, 0) for part in (rows.first_edge, rows.spacing)),
    )
    alone = Sampler([3]).decode(rows)
    assert (Sampler([3, 4]).decode(twice)[0] == alone[0]).all()


def test_draws_follow_the_distribution() -> None:
    count = 20000
    shape = (1, count, 2)
    logits = np.broadcast_to(np.array([0, -700]), shape)
    means = np.broadcast_to(np.array([32 * 60, 32 * 180]), shape)
    mixture = pixel_mixture(logits, means, np.broadcast_to(np.array([500, -500]), shape))
    drawn = np.bincount(Sampler([123]).decode(mixture)[0], minlength=256)
    edges = np.broadcast_to(np.arange(257), (1, 1, 257))
    shares = np.diff(mixture.part(slice(0, 1)).cumulative(edges)[0, 0]) / (mixture.weights[0, 0].sum() * 2.0**30)
    expected = count * shares
    common = expected > 5
    chi_square = ((drawn - expected) ** 2 / np.maximum(expected, 1e-9))[common].sum()
    freedom = common.sum() - 1
    assert abs(chi_square - freedom) < 5 * np.sqrt(2 * freedom)
    assert drawn[~common].sum() < 3 * expected[~common].sum() + 20


def test_a_sampler_survives_random_words_that_begin_with_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zeros:
        def random_raw(self, count: int) -> npt.NDArray[np.uint64]:
            return np.zeros(count, np.uint64)

    monkeypatch.setattr(np.random, "Philox", lambda key: Zeros())
    assert Sampler([0]).decode(random_mixture(1, 1, 20)).shape == (1, 20)


def test_the_mean_is_the_byte_that_holds_it() -> None:
    shape = (1, 6, 1)
    means = np.array([-3200, 0, 15, 16, 32 * 200 + 5, 32 * 300]).reshape(shape)
    mixture = pixel_mixture(np.zeros(shape, np.int64), means, np.zeros(shape, np.int64))
    assert mixture.expected().tolist() == [[0, 0, 0, 1, 200, 255]]


@pytest.mark.parametrize("kind", ["words", "random words"])
def test_loops_that_read_symbol_by_symbol_read_the_same(kind: str) -> None:
    """Of each image, in turns with reading arrays; random words are drawn anew where those left might not do."""
    rng = np.random.default_rng(5)
    words = [rng.integers(1, 2**32, 15000, dtype=np.uint32) for _ in range(2)]
    one, other = (Sampler([1, 2]) if kind == "random words" else Decoder(words) for _ in range(2))
    for in_loops in (True, False, True, True):
        groups = rng.integers(0, 3000, (3, 2))
        frequencies = [rng.integers(1, 1000, (counts.sum(), 16)).astype(np.float64) for counts in groups]
        expected = [one.symbols(f, c.tolist()) for f, c in zip(frequencies, groups, strict=True)]
        if not in_loops:
            for own, counts, symbols in zip(frequencies, groups, expected, strict=True):
                assert (other.symbols(own, counts.tolist()) == symbols).all()
            continue
        with closing(other.opened()) as opened:
            streams = opened.streams(groups)
            for own, counts, symbols in zip(frequencies, groups, expected, strict=True):
                parts = zip((0, 1), np.split(own, counts[:1]), strict=True)
                found = list[int]()
                for image, rows in parts:
                    renewed(streams, image, len(rows))
                    found += [popped(streams.registers[image], streams.words[image], row) for row in rows]
                assert found == symbols.tolist()
