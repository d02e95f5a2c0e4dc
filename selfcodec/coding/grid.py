"""Whole numbers under Gaussians, by table: for latents of very many values, most of which are zero.

A number is a latent's index on its grid, its mean and deviation are in units of the grid's width. With m the mean
rounded and s the deviation, in sixteenths of an octave, a number n is coded by its distance d = n - m:

    s <= 2.5      one 16-way symbol, d + 7; the two ends stand for all beyond, and an escape tells how far
    s > 2.5       the same of d >> k, with the k that halves s often enough, and then k bits, equally probable
    certain       nothing, where the table gives d = 0 all but 2**-16: there the encoder takes the mean

A table holds the symbols' frequencies for every deviation and every 32nd of a width that the mean may be off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from selfcodec.arrays import Bool, Float32, Float64, Int32, Int64, UInt8
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.coding.mixture import Mixture
from selfcodec.coding.notes import Weighted
from selfcodec.coding.symbols import ALPHABET
from selfcodec.coding.tables import (
    CDF_BITS,
    GRID_HIGHEST,
    GRID_LOWEST,
    GRID_STEPS,
    load_tables,
)
from selfcodec.fixed_point import PARAM_FRACTION

MEAN_BITS = 5
"""Means are in units of 2**-5 widths."""
_HALF = 1 << (MEAN_BITS - 1)
_PLACES = 2 * _HALF + 1
"""A mean is at so many places around the nearest whole number, -1/2 and 1/2 included."""
_CENTRE = 7
"""This symbol is the mean's own."""
CERTAIN_BITS = 16
"""A symbol with all but 2**-16 of the probability is not coded."""
MOST_SHIFT = 8
_OCTAVES = 23637
"""16 / ln 2, times 2**10: 1 in natural logarithms is so many sixteenths of an octave in 2**-10."""


@dataclass(frozen=True, eq=False)
class SymbolTable:
    """The frequencies of symbols, by row: deviations from the narrowest, and places of the mean from -1/2.

    Attributes:
        frequencies: (rows, 16), whole numbers, at least 1.
        live: (rows,), whether the symbol is coded.
        costs: (rows, 16), bits; for encoders only.
    """

    frequencies: Float64
    live: Bool
    costs: Float32


@cache
def symbol_table() -> SymbolTable:
    """The table, computed from the shipped ones in integers."""
    tables = load_tables()
    places = np.arange(-_HALF, _HALF + 1)
    shape = (len(tables.grid_inverse_scale), _PLACES)
    mixture = Mixture(
        tables.normal,
        np.ones((*shape, 1), dtype=np.int64),
        np.broadcast_to(places[:, None], (*shape, 1)),
        np.broadcast_to(tables.grid_inverse_scale[:, None, None], (*shape, 1)),
        MEAN_BITS,
        np.full(shape, -(_CENTRE << MEAN_BITS) - _HALF),
        np.full(shape, 1 << MEAN_BITS),
    )
    below = mixture.cumulative(np.broadcast_to(np.arange(1, ALPHABET), (*shape, ALPHABET - 1)))
    ends = np.zeros((*shape, 1), dtype=np.int64)
    cumulative = np.concatenate([ends, below, ends + (1 << CDF_BITS)], 2)  # the ends stand for all beyond
    frequencies = np.diff(cumulative, axis=2).reshape(-1, ALPHABET) + 1
    other = frequencies.sum(1) - frequencies[:, _CENTRE] - (ALPHABET - 1)
    live = other >= (1 << (CDF_BITS - CERTAIN_BITS))
    costs = np.log2(frequencies.sum(1, keepdims=True) / frequencies)
    return SymbolTable(frequencies.astype(np.float64), live, costs.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Gaussians:
    """The distributions of N numbers of each of B images.

    Attributes:
        centres: the means, rounded, (B, N).
        shifts: k, (B, N).
        rows: of the symbol table, (B, N).
    """

    centres: Int64
    shifts: UInt8
    rows: Int32

    @staticmethod
    def of(means: Int64, log_scales: Int64) -> Gaussians:
        """Args: means (B, N) in 2**-5 widths; natural logarithms of deviations in widths (B, N), in 2**-10."""
        bits = 2 * PARAM_FRACTION
        steps = (log_scales * _OCTAVES + (1 << (bits - 1))) >> bits
        steps = np.clip(steps, GRID_LOWEST, GRID_HIGHEST + MOST_SHIFT * GRID_STEPS)
        shifts = np.maximum(0, -((GRID_HIGHEST - steps) // GRID_STEPS))
        centres = (means + _HALF) >> MEAN_BITS
        places = (means - (centres << MEAN_BITS) + _HALF) >> shifts  # from -1/2; of d >> k, in its own widths
        rows = (steps - GRID_STEPS * shifts - GRID_LOWEST) * _PLACES + places
        return Gaussians(centres, shifts.astype(np.uint8), rows.astype(np.int32))

    @property
    def live(self) -> Bool:
        """Which numbers are coded, (B, N)."""
        return symbol_table().live[self.rows]

    def nearest(self, points: Float32, weight: float) -> Int64:
        """The numbers (B, N) that stand best for points of the grid's space, in widths.

        The nearest number, or the next one towards the mean where that saves more bits than `weight` times by how much
        the squared error grows (rate-distortion optimised quantisation, e.g. Karczewicz et al. 2008, VCEG-AH21).
        """
        numbers = np.rint(points).astype(np.int64)
        if not weight:
            return numbers
        distances = numbers - self.centres
        closer = distances - np.sign(distances)
        own = (self.shifts == 0) & (np.abs(distances) <= _CENTRE)
        costs = symbol_table().costs
        rows, old, new = self.rows[own], distances[own], closer[own]
        saved = costs[rows, old + _CENTRE] - costs[rows, new + _CENTRE]
        near, far = points[own] - numbers[own], points[own] - (self.centres[own] + new)
        numbers[own] = np.where(saved > weight * (far * far - near * near), self.centres[own] + new, numbers[own])
        return numbers

    def encode(self, numbers: Int64, coder: Encoder) -> Int64:
        """Notes numbers (B, N); returns them as the decoder will have them: where nothing is coded, the means'."""
        live = self.live
        kept = [row[on] for row, on in zip(self.rows, live, strict=True)]
        shifts = [k[on] for k, on in zip(self.shifts, live, strict=True)]
        distances = [(n - c)[on] for n, c, on in zip(numbers, self.centres, live, strict=True)]
        symbols = [(d >> k) + _CENTRE for d, k in zip(distances, shifts, strict=True)]
        inside = [np.clip(s, 0, ALPHABET - 1).astype(np.uint8) for s in symbols]
        coder.defer(partial(_notes, inside, kept))
        for k in range(1, _most(shifts) + 1):
            low = [(d[own == k] & ((1 << k) - 1)).astype(np.uint8) for d, own in zip(distances, shifts, strict=True)]
            coder.defer(partial(_equally_probable, low, 1 << k))
        beyond = [np.abs(s - i)[_at_end(i)] for s, i in zip(symbols, inside, strict=True)]
        if any(map(len, beyond)):
            coder.note_escapes(beyond)
        return np.where(live, numbers, self.centres)

    def decode(self, coder: Decoder) -> Int64:
        """The next numbers, (B, N)."""
        live = self.live
        counts = live.sum(1).tolist()
        numbers = self.centres.copy()
        symbols = coder.symbols(symbol_table().frequencies[self.rows[live]], counts)
        shifts, owner = self.shifts[live], np.repeat(np.arange(len(live)), counts)
        low = np.zeros(len(symbols), dtype=np.int64)
        for k in range(1, int(shifts.max(initial=0)) + 1):
            own = shifts == k
            in_image = np.bincount(owner[own], minlength=len(live))
            low[own] = coder.symbols(np.ones((int(own.sum()), 1 << k)), in_image.tolist())
        ends = _at_end(symbols)
        beyond = coder.escapes(np.bincount(owner[ends], minlength=len(live)).tolist())
        symbols[ends] += np.where(symbols[ends] == 0, -beyond, beyond)
        numbers[live] += ((symbols - _CENTRE) << shifts) + low
        return numbers


def _most(shifts: Sequence[UInt8]) -> int:
    return max((int(k.max(initial=0)) for k in shifts), default=0)


def _at_end(symbols: Int64 | UInt8) -> Bool:
    return (symbols == 0) | (symbols == ALPHABET - 1)


def _equally_probable(symbols: Sequence[UInt8], count: int) -> Weighted:
    """Symbols 0..count - 1 with equal frequencies."""
    return Weighted([s.astype(np.int64) for s in symbols], [np.ones((len(s), count)) for s in symbols])


def _notes(symbols: Sequence[UInt8], rows: Sequence[Int32]) -> Weighted:
    """Symbols with their frequencies, looked up only when their turn has come: rows take far less room."""
    frequencies = symbol_table().frequencies
    return Weighted([s.astype(np.int64) for s in symbols], [frequencies[row] for row in rows])
