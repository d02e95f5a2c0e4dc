"""Latents by groups of channels: a second reader by the arithmetic page, the chain rule, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tiny_lossy
from tiny_lossy import CHANNELS, GROUPS

from selfcodec.arrays import Int64, Integers, UInt8, Words
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.coding.grid import symbol_table
from selfcodec.errors import ModelError
from selfcodec.likelihoods.families import build_likelihood
from selfcodec.likelihoods.groups import BAND, MOST, Groups
from selfcodec.networks.integer import Runtime
from selfcodec.networks.windows import Network
from selfcodec.schedule import Step
from selfcodec.walk import Batch, Means, Received, Sent, Source, Values, walk

SIZES = [(1, 1), (17, 33), (50, 70), (16 * BAND + 9, 12), (32 * BAND + 40, 16)]
"""Height and width: one position, odd numbers of them, and two and three bands of rows."""
QUALITIES = (1, 37, 50, 100)


def batch(size: tuple[int, int], quality: int, *, count: int = 1, grey: bool = False, **runtime: Any) -> Batch:
    return Batch(tiny_lossy.model(), size, count, grey, Runtime(**runtime), quality)


def step() -> Step:
    return next(step for step in tiny_lossy.model().steps if step.name == "z1")


def likelihood() -> Groups:
    family = tiny_lossy.model().likelihoods["z1"]
    assert isinstance(family, Groups)
    return family


def images(size: tuple[int, int], count: int = 1, *, grey: bool = False) -> UInt8:
    found = np.stack([tiny_lossy.photo(*size, top=60 + 40 * i) for i in range(count)])
    return found[..., :1].repeat(3, 3) if grey else found


def encoded(at: Batch, pixels: UInt8, *, y: bool = False, **options: Any) -> tuple[Values, list[Words]]:
    """Values as the encoder has them, and each image's words; with y or without."""
    names = ("u", "y1", "z1") if y else ("u", "z1")
    coder = Encoder(at.count)
    sent = Sent(coder, at.infer(pixels, names), {"z1": at.quality}, **options)
    walk([at], {name: sent if name in names else Means() for name in ("u", "y1", "z1", "x")})
    return at.values, [stream.words for stream in coder.finish()]


def decoded(ats: list[Batch], words: list[Words], quality: int, *, y: bool = False) -> list[Values]:
    decoder = Decoder(words)
    received, filled = Received(decoder, {"z1": quality}), Means()
    sources: dict[str, Source] = {"u": received, "y1": received if y else filled, "z1": received, "x": filled}
    walk(ats, sources)
    decoder.finish()
    return [at.values for at in ats]


def same(a: Values, b: Values) -> bool:
    return all((a[name] == b[name]).all() for name in ("u", "y1", "z1", "x"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("quality", QUALITIES)
def test_the_decoder_has_the_encoder_s_values(size: tuple[int, int], quality: int) -> None:
    truth, words = encoded(batch(size, quality), images(size))
    assert truth["z1"].shape == (1, CHANNELS, -(-size[0] // 16), -(-size[1] // 16))
    assert np.unique(truth["z1"]).size > 2
    assert same(truth, decoded([batch(size, quality)], words, quality)[0])


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("y", [False, True])
def test_grey_images_and_sent_thumbnails(grey: bool, y: bool) -> None:
    truth, words = encoded(batch((50, 70), 60, grey=grey), images((50, 70), grey=grey), y=y)
    assert same(truth, decoded([batch((50, 70), 60, grey=grey)], words, 60, y=y)[0])
    assert np.ptp(truth["x"].astype(int), axis=1).max() > 0 or grey


def test_batches_of_several_sizes_are_read_together() -> None:
    """Each image has its own stream, whatever it was coded or is read with."""
    sizes, quality = [(40, 33), (17, 64)], 70
    together = [encoded(batch(size, quality, count=2), images(size, 2)) for size in sizes]
    words = [w for _, streams in together for w in streams]
    found = decoded([batch(size, quality, count=2) for size in sizes], words, quality)
    for (truth, _), values in zip(together, found, strict=True):
        assert same(truth, values)
    for size, (_, streams) in zip(sizes, together, strict=True):
        for i in range(2):
            alone = encoded(batch(size, quality), images(size, 2)[i : i + 1])[1]
            assert alone[0].tolist() == streams[i].tolist()


def test_numbers_of_every_kind_occur() -> None:
    """Otherwise the tests of this module would say little."""
    seen: dict[str, int] = dict.fromkeys(("certain", "fine", "coarse", "beyond", "nonzero"), 0)

    def take(means: Int64, log_scales: Int64, widths: Int64, where: tuple[slice, Int64, Int64]) -> Int64:
        shape = means.shape
        gaussians = groups._gaussians(means, log_scales, widths)
        values = truth[:, where[0]][:, :, where[1], where[2]]
        symbols = (values // widths).reshape(gaussians.rows.shape) - gaussians.centres >> gaussians.shifts
        live = gaussians.live
        seen["certain"] += int((~live).sum())
        seen["fine"] += int((live & (gaussians.shifts == 0)).sum())
        seen["coarse"] += int((live & (gaussians.shifts > 0)).sum())
        seen["beyond"] += int((live & ((symbols <= -7) | (symbols >= 8))).sum())
        seen["nonzero"] += int((symbols != 0).sum())
        return values.reshape(shape)

    from selfcodec.likelihoods import groups

    for quality in (1, 50):
        at = batch((96, 128), quality)
        truth = encoded(at, images((96, 128)))[0]["z1"]
        likelihood()._run(at.condition(step(), quality), take, np.zeros_like(truth))
    assert min(seen.values()) > 5, seen


# A second reader.


@dataclass
class Reader:
    """Reads z by the arithmetic page: one number after another, with networks run on whole inputs."""

    at: Batch
    decoder: Decoder

    def network(self, name: str, z: Int64, flag: Int64, group: slice) -> Int64:
        """Outputs (2 c, h', w') for z (C, h', w') and a flag (h', w')."""
        inputs = [field.whole() for field in self.at.condition(step()).inputs]
        latents = np.clip((z + 32) >> 6, -1023, 1023)
        known = [latents[: group.start]] if group.start else []
        arrays = [*known, latents[group] * flag, 64 * flag[None]]
        planes = [np.full((1, 1, 1), tiny_lossy.tables()[0][self.at.quality - 1])]
        inputs += [array[None].astype(np.float32) for array in arrays + planes]
        return tiny_lossy.model().nets[name](*inputs)[0]

    def numbers(self, places: list[tuple[int, int, int]]) -> list[int]:
        """The numbers of (mean in 2**-5 widths, log-scale in 2**-10, ...) one after another."""
        centres = [(mean + 16) >> 5 for mean, _, _ in places]
        steps = [min(max((scale * 23637 + 2**19) >> 20, -72), 21 + 8 * 16) for _, scale, _ in places]
        shifts = [max(0, -((21 - s) // 16)) for s in steps]
        rows = [
            (s - 16 * k + 72) * 33 + ((mean - 32 * c + 16) >> k)
            for s, k, c, (mean, _, _) in zip(steps, shifts, centres, places, strict=True)
        ]
        table = symbol_table()
        found: dict[int, int] = {}
        for i, row in enumerate(rows):
            if table.live[row]:
                found[i] = self.symbol(table.frequencies[row]) - 7
        low = dict.fromkeys(found, 0)
        for k in range(1, 9):
            for i in found:
                if shifts[i] == k:
                    low[i] = self.symbol(np.ones(1 << k))
        ends = [i for i, symbol in found.items() if symbol in (-7, 8)]
        digits = {i: self.symbol(np.array([64.0, 32, 16, 8, 4, 2, 1])) for i in ends}
        for place in range(max(digits.values(), default=-1), -1, -1):
            for i in ends:
                if digits[i] >= place:
                    beyond = 16**place * self.symbol(np.ones(16))
                    found[i] += beyond if found[i] >= 8 else -beyond
        return [c + ((found[i] << shifts[i]) + low[i] if i in found else 0) for i, c in enumerate(centres)]

    def symbol(self, frequencies: np.ndarray) -> int:
        return int(self.decoder.symbols(frequencies[None], [1])[0])

    def read(self) -> Int64:
        (h, w), (height, width) = self.at.extent(step().target), self.at.padded("z1")
        _, widths, offsets = tiny_lossy.tables()
        z = np.zeros((CHANNELS, height, width), np.int64)
        even = np.add.outer(np.arange(height), np.arange(width)) % 2 == 0
        for i, count in enumerate(GROUPS):
            group = slice(sum(GROUPS[:i]), sum(GROUPS[: i + 1]))
            for half in (even, ~even):
                flag = np.zeros_like(z[0]) if half is even else even.astype(np.int64)
                out = self.network(f"p_z1_{i}", z, flag, group)
                found = z.copy()
                for top in range(0, h, 32):
                    where = [
                        (c, r, column)
                        for c in range(count)
                        for r in range(top, min(top + 32, h))
                        for column in range(w)
                        if half[r, column]
                    ]
                    own = [widths[self.at.quality - 1][group.start + c] for c, _, _ in where]
                    places = [
                        (
                            (256 * int(out[p]) + width_) // (2 * width_),
                            4 * int(out[count + p[0], p[1], p[2]]) + offsets[self.at.quality - 1][group.start + p[0]],
                            width_,
                        )
                        for p, width_ in zip(where, own, strict=True)
                    ]
                    for (c, r, column), number, width_ in zip(where, self.numbers(places), own, strict=True):
                        found[group.start + c, r, column] = min(max(number * width_, -65472), 65472)
                z = found
        return z[:, :h, :w]


@pytest.mark.parametrize(("size", "quality"), [((1, 1), 50), ((50, 70), 1), ((50, 70), 64), ((16 * BAND + 20, 33), 90)])
def test_a_reader_by_the_page_finds_the_same(size: tuple[int, int], quality: int) -> None:
    truth, words = encoded(batch(size, quality), images(size))
    decoder, at = Decoder(words), batch(size, quality)
    walk([at], {"u": Received(decoder), "y1": Means()})
    assert (Reader(at, decoder).read() == truth["z1"][0]).all()
    decoder.finish()


# The chain rule.

Parameters = dict[tuple[int, bool], tuple[Int64, Int64]]
"""Means and log-scales by group and half."""


def parameters(at: Batch, z: Integers) -> Parameters:
    """Those of every half, where the values are these."""
    found: Parameters = {}

    def take(means: Int64, log_scales: Int64, widths: Int64, where: tuple[slice, Int64, Int64]) -> Int64:
        own, rows, columns = where
        key = likelihood()._slices.index(own), bool((rows[0] + columns[0]) % 2)
        found[key] = means, log_scales
        return z[:, own][:, :, rows, columns].astype(np.int64)

    likelihood()._run(at.condition(step(), at.quality), take, np.zeros(z.shape, np.int32))
    return found


@pytest.mark.parametrize("group", range(len(GROUPS)))
@pytest.mark.parametrize("odd", [False, True])
def test_what_a_half_sees_comes_before_it(group: int, odd: bool) -> None:
    """Other values in one half change the halves that come after it, and none before; nor its own."""
    at = batch((64, 96), 50)
    z = encoded(at, images((64, 96)))[0]["z1"]
    rows, columns = np.mgrid[: z.shape[2], : z.shape[3]]
    own = likelihood()._slices[group]
    changed = z.copy()
    changed[:, own] += 9000 * ((rows + columns) % 2 == odd).astype(z.dtype)
    before, after = parameters(at, z), parameters(at, changed)
    assert list(before) == [(i, half) for i in range(len(GROUPS)) for half in (False, True)]
    moved = {key for key in before if any((a != b).any() for a, b in zip(before[key], after[key], strict=True))}
    assert moved == {key for key in before if key > (group, odd) and (key[0] > group or not odd)}


def test_parameters_depend_on_the_parents_and_on_the_quality() -> None:
    at = batch((64, 96), 50)
    z = encoded(at, images((64, 96)))[0]["z1"]
    usual = parameters(at, z)
    for name in ("u", "y1"):
        other = batch((64, 96), 50)
        other.values = {**at.values, name: at.values[name] * 0 + (3000 if name == "u" else 250)}
        assert any((usual[key][0] != moved[0]).any() for key, moved in parameters(other, z).items())
    other = batch((64, 96), 51)
    other.values = at.values
    assert any((usual[key][1] != moved[1]).any() for key, moved in parameters(other, z).items())


def test_what_is_not_sent_is_what_is_expected() -> None:
    at = batch((40, 50), 30)
    walk([at], dict.fromkeys(("u", "y1", "z1"), Means()))
    expected = parameters(at, at.values["z1"])
    rows, columns = np.mgrid[:3, :4]
    for (group, odd), (means, _) in expected.items():
        half = (rows + columns) % 2 == odd
        assert (at.values["z1"][:, likelihood()._slices[group]][:, :, half] == 4 * means).all()


# What encoders choose.


def test_thrift_saves_words() -> None:
    sizes = [sum(map(len, encoded(batch((96, 128), 60), images((96, 128)), thrift=t)[1])) for t in (0.1, 1.0, 8.0)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_values_beyond_what_networks_read_are_the_nearest_that_they_do() -> None:
    at = batch((32, 32), 80)
    walk([at], dict.fromkeys(("u", "y1"), Means()))
    condition, coder = at.condition(step(), 80), Encoder(1)
    values = likelihood().encode(condition, np.full((1, CHANNELS, 2, 2), 10 * MOST), coder)
    widths = np.array(tiny_lossy.tables()[1][79])[None, :, None, None]
    live = values == MOST // widths * widths
    assert live.mean() > 0.8
    assert (np.abs(values) <= MOST).all()
    (stream,) = coder.finish()
    (found,) = likelihood().decode([condition], Decoder([stream.words]))
    assert (found == values).all()


# What is refused.


def networks() -> dict[str, Network]:
    return {name: Network(net) for name, net in tiny_lossy.model().nets.items()}


def settings() -> dict[str, Any]:
    return {**tiny_lossy.variables()["z1"]}


def with_row(name: str, index: int, value: Any) -> dict[str, Any]:
    table = [list(row) for row in settings()[name]]
    table[index] = value
    return {name: table}


WIDTHS, SCALES = f"widths are not 100 x {CHANNELS} whole numbers from 1 to ", "log_scales are not 100 x "
REFUSED: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "another sum": (lambda: {"groups": [2, 3, 5]}, f"groups of .* channels are not {CHANNELS} in all"),
    "an empty group": (lambda: {"groups": [0, *GROUPS]}, "p_z1_3' is missing|are not 9 in all"),
    "no groups": (lambda: {"groups": []}, "are not 9 in all"),
    "other networks": (lambda: {"groups": [3, 2, 4]}, "a network gives 4 channels, not 6"),
    "more groups than networks": (lambda: {"groups": [2, 3, 3, 1]}, "'p_z1_3' is missing|gives 8 channels, not 6"),
    "fractions of channels": (lambda: {"groups": [2.0, 3.0, 4.0]}, "groups of .* channels are not"),
    "texts": (lambda: {"groups": ["2", "3", "4"]}, "variable z1: "),
    "no list": (lambda: {"groups": 9}, "variable z1: "),
    "too few qualities": (lambda: {"widths": settings()["widths"][1:]}, WIDTHS),
    "too few channels": (lambda: {"widths": [row[1:] for row in settings()["widths"]]}, WIDTHS),
    "a ragged table": (lambda: with_row("widths", 3, [5]), "variable z1: "),
    "no width": (lambda: with_row("widths", 99, [0] * CHANNELS), WIDTHS),
    "a width beyond all values": (lambda: with_row("widths", 0, [2 * MOST + 1] * CHANNELS), WIDTHS),
    "a fraction of a width": (lambda: with_row("widths", 0, [1.5] * CHANNELS), WIDTHS),
    "a huge width": (lambda: with_row("widths", 0, [10**30] * CHANNELS), WIDTHS),
    "a width that is none": (lambda: with_row("widths", 0, [None] * CHANNELS), WIDTHS),
    "a log-scale too large": (lambda: with_row("log_scales", 7, [2**20 + 1] * CHANNELS), SCALES),
    "log-scales of another kind": (lambda: {"log_scales": {}}, SCALES),
}


@pytest.mark.parametrize("what", REFUSED)
def test_settings_that_do_not_fit_are_refused(what: str) -> None:
    change, message = REFUSED[what]
    with pytest.raises(ModelError, match=message) as caught:
        build_likelihood(step(), {**settings(), **change()}, networks())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["groups", "widths", "log_scales"])
def test_settings_that_are_missing_are_named(name: str) -> None:
    left = {key: value for key, value in settings().items() if key != name}
    with pytest.raises(ModelError, match=f"{name}' is missing"):
        build_likelihood(step(), left, networks())


def test_the_settings_themselves_are_taken() -> None:
    assert isinstance(build_likelihood(step(), settings(), networks()), Groups)
