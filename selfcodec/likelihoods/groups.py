"""A latent of many channels by the chain rule: groups of channels one after another, each in two checkerboard halves.

    group 0   even positions  | y, u                        odd positions  | y, u, the even ones
    group 1   even positions  | y, u, group 0               odd positions  | y, u, group 0, the even ones
    ...

(Minnen & Singh 2020, https://arxiv.org/abs/2007.08739; He et al. 2021, https://arxiv.org/abs/2103.15306.) A small
network for each group, run for each half, gives every value's Gaussian. Its grid is a table by quality and channel.
Positions are coded in bands of rows: a band's distributions depend on the halves before it alone, so that they are
evaluated while the band before is being coded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from selfcodec.arrays import Float32, Int32, Int64, Integers
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.coding.grid import MEAN_BITS, Gaussians
from selfcodec.errors import ModelError
from selfcodec.fixed_point import ACTIVATION_MAX, INPUT_FRACTION, LATENT_FRACTION, PARAM_FRACTION
from selfcodec.likelihoods.likelihood import Condition, Likelihood, giving
from selfcodec.modes import MAX_QUALITY
from selfcodec.networks.fields import Field, Input, Span
from selfcodec.networks.flow import latent_input
from selfcodec.networks.windows import Network
from selfcodec.parallel import mapped
from selfcodec.schedule import Step

BAND = 32
"""So many rows of positions are coded together. This is part of the format."""
MOST = ACTIVATION_MAX << (LATENT_FRACTION - INPUT_FRACTION)
"""Values have at most this magnitude in 2**-12, which is what networks can read."""
WEIGHT = 14.0
"""An error of one width counts as many bits as its square times this where an encoder rounds: measured, see
docs/decisions/0008-lossy-photographs.md."""
LOG_SCALE_UNIT = 4
"""One unit of a log-scale output is so many units of natural logarithm."""


class Half(Field):
    """A field that shows one half of a checkerboard, the even positions, and zeros elsewhere."""

    def box(self, rows: Span, columns: Span) -> Float32:
        x = super().box(rows, columns)
        x[:, :, (rows[0] + 1) % 2 :: 2, columns[0] % 2 :: 2] = 0
        x[:, :, rows[0] % 2 :: 2, (columns[0] + 1) % 2 :: 2] = 0
        return x


def places(rows: Span, width: int, odd: bool) -> tuple[Int64, Int64]:
    """Rows and columns, (n,), of one half's positions in some rows, row by row."""
    row, column = np.mgrid[rows[0] : rows[1], 0:width]
    own = (row + column) % 2 == int(odd)
    return row[own], column[own]


Take = Callable[[Int64, Int64, Int64, tuple[slice, Int64, Int64]], Int64]
"""Given raw means, raw log-scales and widths, (B, c, n), and where they are, gives values in 2**-12."""


class Groups(Likelihood):
    """p(z | y, u) by groups of channels and halves of a checkerboard.

    Settings:
        groups: channels of each group.
        widths: of the grid, by quality 1..100 and channel, in 2**-12.
        log_scales: what is added to log-scales, likewise, in 2**-10; scales are in widths.
    """

    kind = "groups"

    @staticmethod
    def networks(step: Step, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(f"p_{step.name}_{i}" for i in range(len(settings["groups"])))

    def __init__(self, step: Step, settings: Mapping[str, Any], nets: Mapping[str, Network]) -> None:
        self._widths = _table(settings, "widths", step.target.channels, 1, 2 * MOST)
        self._log_scales = _table(settings, "log_scales", step.target.channels, -(1 << 20), 1 << 20)
        sizes = settings["groups"]
        if not all(type(n) is int and n > 0 for n in sizes) or sum(sizes) != step.target.channels:
            raise ModelError(f"groups of {sizes!r:.40} channels are not {step.target.channels} in all")
        edges = np.cumsum([0, *sizes]).tolist()
        self._slices = [slice(*pair) for pair in pairwise(edges)]
        names = self.networks(step, settings)
        self._nets = [
            giving(nets[name], 2 * (own.stop - own.start)) for name, own in zip(names, self._slices, strict=True)
        ]

    def encode(self, at: Condition, truth: Integers, coder: Encoder) -> Int32:
        def noted(means: Int64, log_scales: Int64, widths: Int64, where: tuple[slice, Int64, Int64]) -> Int64:
            gaussians = _gaussians(means, log_scales, widths)
            own = truth[:, where[0]][:, :, where[1], where[2]]
            points = (own / widths).astype(np.float32).reshape(gaussians.rows.shape)
            numbers = gaussians.nearest(points, WEIGHT / at.thrift).reshape(own.shape)
            numbers = _bounded(numbers, widths).reshape(gaussians.rows.shape)
            return self._values(gaussians.encode(numbers, coder), widths)

        return self._run(at, noted, truth.astype(np.int32, copy=False))

    def _decode(self, at: Condition, coder: Decoder) -> Int32:
        def read(means: Int64, log_scales: Int64, widths: Int64, where: tuple[slice, Int64, Int64]) -> Int64:
            return self._values(_gaussians(means, log_scales, widths).decode(coder), widths)

        return self._run(at, read, np.zeros(at.shape, dtype=np.int32))

    def mean(self, at: Condition) -> Int32:
        def taken(means: Int64, log_scales: Int64, widths: Int64, where: tuple[slice, Int64, Int64]) -> Int64:
            return means << (LATENT_FRACTION - PARAM_FRACTION)

        return self._run(at, taken, np.zeros(at.shape, dtype=np.int32))

    def grid(self, quality: int) -> Int64:
        return self._widths[quality - 1]

    @staticmethod
    def _values(numbers: Int64, widths: Int64) -> Int64:
        """Values (B, c, n) of grid indices (B, c n)."""
        shaped = numbers.reshape(len(numbers), widths.shape[1], -1)
        return np.clip(shaped * widths, -MOST, MOST)

    def _run(self, at: Condition, take: Take, z: Int32) -> Int32:
        """All values, (B, C, h, w), in 2**-12, put into `z`; what is there before is seen by `take` alone."""
        widths = self._widths[at.quality - 1][None, :, None]
        offsets = self._log_scales[at.quality - 1][None, :, None]
        for i, own in enumerate(self._slices):
            for odd in (False, True):
                for where, params in self._parameters(at, z, i, odd):
                    means, raw = np.split(params, 2, axis=1)
                    values = take(means, LOG_SCALE_UNIT * raw + offsets[:, own], widths[:, own], (own, *where))
                    z[:, own, where[0], where[1]] = values
        return z

    def _parameters(
        self, at: Condition, z: Int32, group: int, odd: bool
    ) -> Iterator[tuple[tuple[Int64, Int64], Int64]]:
        """Band by band rows and columns of a half's positions, (n,), and the network's outputs there, (B, 2 c, n)."""
        _, _, h, w = at.shape
        own, net = self._slices[group], self._nets[group]
        shown = z if odd else np.broadcast_to(np.int32(0), z.shape)
        flag = np.broadcast_to(np.int32((1 << LATENT_FRACTION) * odd), (at.count, 1, *at.extent))
        before = [Field(z[:, : own.start], at.extent, latent_input)] if group else []
        inputs: list[Input] = [
            *at.inputs,
            *before,
            Half(shown[:, own], at.extent, latent_input),
            Half(flag, at.extent, latent_input),
            *at.plane_of(net),
        ]
        bands = [(top, min(top + BAND, h)) for top in range(0, h, BAND)]

        def evaluated(band: Span) -> tuple[tuple[Int64, Int64], Int64]:
            rows, columns = places(band, w, odd)
            low, high = band[0], -(-band[1] // 2) * 2  # u has half as many rows
            out = np.empty((at.count, 2 * (own.stop - own.start), high - low, at.extent[1]), dtype=np.int64)
            for (top, bottom), (left, right), part in net.parts(*inputs, runtime=at.runtime, rows=(low, high)):
                out[:, :, top - low : bottom - low, left:right] = part
            return (rows, columns), out[:, :, rows - low, columns]

        yield from mapped([partial(evaluated, band) for band in bands])


def _gaussians(means: Int64, log_scales: Int64, widths: Int64) -> Gaussians:
    """Of raw parameters (B, c, n), as (B, c n)."""
    up = LATENT_FRACTION - PARAM_FRACTION + MEAN_BITS + 1
    in_widths = ((means << up) + widths) // (2 * widths)
    return Gaussians.of(in_widths.reshape(len(means), -1), log_scales.reshape(len(means), -1))


def _bounded(numbers: Int64, widths: Int64) -> Int64:
    """Grid indices whose values networks can read."""
    most = MOST // widths
    return np.clip(numbers, -most, most)


def _table(settings: Mapping[str, Any], name: str, channels: int, low: int, high: int) -> Int64:
    """A setting (100, C) of whole numbers; ModelError for another."""
    table = np.array(settings[name])
    if table.shape != (MAX_QUALITY, channels) or table.dtype != np.int64 or table.min() < low or table.max() > high:
        raise ModelError(f"{name} are not {MAX_QUALITY} x {channels} whole numbers from {low} to {high}")
    return table
