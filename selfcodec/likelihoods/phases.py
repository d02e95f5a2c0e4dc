"""Pixels in phases: the whole variable in one pass, or its four 2x2 sublattices one after another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from selfcodec.arrays import Float32, Int64, Integers
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.coding.mixture import WINDOW, Mixture, log_scale_index, softmax_weights
from selfcodec.coding.tables import PIXEL_LOG_SCALES, load_tables
from selfcodec.errors import ModelError
from selfcodec.fixed_point import INPUT_FRACTION, PARAM_FRACTION
from selfcodec.likelihoods.layout import (
    LOG_SCALE_OFFSET,
    MOST_MIXTURES,
    NEUTRAL,
    PIXEL_BITS,
    WINDOW_BELOW,
    PixelLayout,
    known_sum_phase,
    phase_offsets,
)
from selfcodec.likelihoods.likelihood import Condition, Likelihood, giving, whole
from selfcodec.likelihoods.pixels import as_input, pixel_base
from selfcodec.networks.windows import Network
from selfcodec.schedule import Step

FLAG = 1 << INPUT_FRACTION
"""It is the number 1 as a network's input."""
_COEFFICIENT_DROP = PARAM_FRACTION - PIXEL_BITS


def pixel_mixture(logits: Int64, means: Int64, log_scales: Int64, window: Int64 | None = None) -> Mixture:
    """Discretized logistics over 0..255 (paper eq. 19).

    Args:
        logits, log_scales: (B, N, M), in 2**-10, as the network gives them.
        means: (B, N, M), in 2**-5 grey levels, base prediction and channel autoregression included.
        window: (B, N), see `Mixture`.
    """
    tables, shape = load_tables(), logits.shape[:2]
    index = log_scale_index(log_scales, LOG_SCALE_OFFSET, PIXEL_LOG_SCALES)
    spacing = 1 << PIXEL_BITS
    return Mixture(
        tables.logistic,
        softmax_weights(logits),
        means,
        tables.pixel_inverse_scale[index],
        PIXEL_BITS,
        np.full(shape, -spacing // 2, dtype=np.int64),
        np.full(shape, spacing, dtype=np.int64),
        window,
    )


class Take(Protocol):
    """Where the values of a phase come from, channel after channel."""

    def __call__(self, mixture: Mixture, part: tuple[slice, slice], channel: int) -> Int64:
        """Numbers (B, N) of one channel of a part of the variable, (rows, columns)."""
        ...


class Phases(Likelihood):
    """p(pixels | parents): features of the parents, and a head for each phase that also sees the phases before it.

    Settings:
        phases: 1 or 4.
        mixtures: components.
        known_sum: whether the parent y leaves the last phase four values around 4 y minus the other phases.
    """

    kind = "phases"

    @staticmethod
    def networks(step: Step, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (f"p_{step.name}", *(f"p_{step.name}_{i}" for i in range(whole(settings, "phases", 1, 4))))

    def __init__(self, step: Step, settings: Mapping[str, Any], nets: Mapping[str, Network]) -> None:
        self.layout = PixelLayout(step.target.channels, whole(settings, "mixtures", 1, MOST_MIXTURES))
        self._phases = whole(settings, "phases", 1, 4)
        if self._phases not in (1, 4):
            raise ModelError(f"phases is {self._phases}, neither 1 nor 4")
        self._known_sum: bool = settings["known_sum"]
        self._offsets, self._cell = phase_offsets(self._phases), 1 if self._phases == 1 else 2
        self._trunk, *heads = (nets[name] for name in self.networks(step, settings))
        self._heads = [giving(head, self.layout.size) for head in heads]

    def encode(self, at: Condition, truth: Integers, coder: Encoder) -> Int64:
        def noted(mixture: Mixture, part: tuple[slice, slice], channel: int) -> Int64:
            numbers = truth[:, channel, part[0], part[1]].reshape(at.count, -1).astype(np.int64)
            coder.encode(mixture, numbers)
            return numbers

        return self._run(at, noted, withheld=False)

    def _decode(self, at: Condition, coder: Decoder) -> Int64:
        return self._run(at, lambda mixture, part, channel: coder.decode(mixture), withheld=False)

    def mean(self, at: Condition) -> Int64:
        return self._run(at, lambda mixture, part, channel: mixture.expected(), withheld=True)

    def _run(self, at: Condition, take: Take, *, withheld: bool) -> Int64:
        """All phases, (B, C, h, w), 0..255; `withheld` hides from each one those before it."""
        features = as_input(self._trunk.floats(*at.inputs, runtime=at.runtime))
        base = pixel_base(at, (features.shape[2], features.shape[3]), self._cell)
        out, parts = np.empty(at.shape, dtype=np.int64), list[Int64]()
        for i, (row, column) in enumerate(self._offsets):
            inputs = [features, _earlier(parts, withheld)] if i else [features]
            params = self._heads[i](*inputs, runtime=at.runtime)
            known = known_sum_phase(i, self._phases, self._known_sum) and not withheld
            centre = 4 * base - sum(parts) if known else base
            places = slice(row, None, self._cell), slice(column, None, self._cell)
            inner = out[:, :, places[0], places[1]].shape[2:]
            part = self._phase(at, params, centre, take, places, inner, known=known)
            out[:, :, places[0], places[1]] = part[:, :, : inner[0], : inner[1]]
            parts.append(part)
        return out

    def _phase(
        self,
        at: Condition,
        params: Int64,
        centre: Int64,
        take: Take,
        places: tuple[slice, slice],
        inner: tuple[int, ...],
        *,
        known: bool,
    ) -> Int64:
        """One phase's values (B, C, h, w), `centre` beyond `inner`; channel after channel.

        With `known`, `centre` is what the known sum leaves, and only the values in a window around it can occur.
        At an odd edge d repeats the last column; with y for what is missing there, the known sum still holds.
        """
        layout, (h, w) = self.layout, inner
        out = centre.copy()
        if not h or not w:
            return out
        for c in range(layout.channels):
            if c and at.grey:
                out[:, c] = out[:, 0]
                continue
            mean = (centre[:, c : c + 1] << PIXEL_BITS) + params[:, layout.means(c)]
            for e in range(c):
                residual = out[:, e : e + 1] - centre[:, e : e + 1]
                product = params[:, layout.coefficients(c, e)] * residual
                mean = mean + ((product + (1 << (_COEFFICIENT_DROP - 1))) >> _COEFFICIENT_DROP)
            logits, log_scales = params[:, layout.logits(c)], params[:, layout.log_scales(c)]
            window = None
            if known:
                lowest = np.clip(centre[:, c, :h, :w] - WINDOW_BELOW, 0, 256 - WINDOW)
                window = lowest.reshape(at.count, -1)
            flat = [_positions(p[:, :, :h, :w]) for p in (logits, mean, log_scales)]
            mixture = pixel_mixture(flat[0], flat[1], flat[2], window)
            out[:, c, :h, :w] = take(mixture, places, c).reshape(at.count, h, w)
        return out


def _earlier(parts: list[Int64], withheld: bool) -> Float32:
    """The phases before as a head's input, with a flag; zero, flag included, where they are withheld."""
    values = np.concatenate(parts, 1) - NEUTRAL
    flagged = np.concatenate([values, np.full_like(values[:, :1], FLAG)], 1).astype(np.float32)
    return np.zeros_like(flagged) if withheld else flagged


def _positions(p: Int64) -> Int64:
    """(B, M, h, w) to (B, h w, M)."""
    return np.ascontiguousarray(p.reshape(p.shape[0], p.shape[1], -1).transpose(0, 2, 1))
