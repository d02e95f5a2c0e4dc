"""Pixels as a network's output: what a lossy decoder shows, whether or not the variable itself can be sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from selfcodec.arrays import Int64, Integers, UInt8
from selfcodec.coding.decoder import Decoder
from selfcodec.coding.encoder import Encoder
from selfcodec.errors import InputError, ModelError
from selfcodec.fixed_point import PARAM_FRACTION
from selfcodec.likelihoods.layout import MEAN_UNIT, NEUTRAL, PIXEL_BITS
from selfcodec.likelihoods.likelihood import Condition, Likelihood, giving
from selfcodec.likelihoods.phases import pixel_mixture
from selfcodec.networks.windows import Network
from selfcodec.schedule import Step

_DROP = PARAM_FRACTION - (MEAN_UNIT.bit_length() - 1)
"""An output in grey levels has so many fraction bits, which are those of pixels' means."""
MOST_LOG_SCALE = 1 << 20
"""A log-scale has at most this magnitude in 2**-10."""


class Reconstruction(Likelihood):
    """The mean of p(pixels | parents) from a network, in units of MEAN_UNIT grey levels from mid-grey.

    Settings:
        log_scales: of the logistics around the means, by channel, in 2**-10, see `phases.pixel_mixture`; none where the
            variable is never sent.
    """

    kind = "reconstruction"

    @staticmethod
    def networks(step: Step, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (f"p_{step.name}",)

    def __init__(self, step: Step, settings: Mapping[str, Any], nets: Mapping[str, Network]) -> None:
        (net,) = (nets[name] for name in self.networks(step, settings))
        self._net = giving(net, step.target.channels)
        self._name = step.name
        scales = tuple(settings["log_scales"])
        if len(scales) not in (0, step.target.channels):
            raise ModelError(f"{len(scales)} log-scales of {step.target.channels} channels")
        if not all(type(scale) is int and abs(scale) <= MOST_LOG_SCALE for scale in scales):
            raise ModelError(f"log-scales are not whole numbers of at most {MOST_LOG_SCALE}")
        self._log_scales = np.array(scales, dtype=np.int64)
        self.codable = bool(len(self._log_scales))

    def encode(self, at: Condition, truth: Integers, coder: Encoder) -> Int64:
        if not self.codable:
            raise InputError(f"the model cannot code {self._name}: choose a mode that does not send it")
        means, values = self._means(at), truth.astype(np.int64)
        for c in range(1 if at.grey else at.shape[1]):
            numbers = values[:, c].reshape(at.count, -1)
            coder.encode(pixel_mixture(*self._logistics(means, c)), numbers)
        return values

    def _decode(self, at: Condition, coder: Decoder) -> Integers:
        if not self.codable:  # of a sampler: once its parents are drawn, nothing is left to draw
            return self.mean(at)
        means, values = self._means(at), np.empty(at.shape, dtype=np.int64)
        for c in range(at.shape[1]):
            if c and at.grey:
                values[:, c] = values[:, 0]
            else:
                values[:, c] = coder.decode(pixel_mixture(*self._logistics(means, c))).reshape(at.count, *at.size)
        return values

    def mean(self, at: Condition) -> UInt8:
        """The picture, (B, C, h, w); where it is grey, its channels' average."""
        (h, w), out = at.size, np.empty(at.shape, dtype=np.uint8)
        for (top, bottom), (left, right), part in self._net.parts(
            *at.inputs, *at.plane_of(self._net), runtime=at.runtime
        ):
            inner = part[:, :, : max(0, h - top), : max(0, w - left)]  # of a window in the padding nothing
            params = inner.astype(np.int64)
            values = np.clip(NEUTRAL + ((params + (1 << (_DROP - 1))) >> _DROP), 0, 255)
            if at.grey:
                channels = at.shape[1]
                values = ((2 * values.sum(1, keepdims=True) + channels) // (2 * channels)).repeat(channels, 1)
            out[:, :, top:bottom, left:right] = values
        return out

    def _means(self, at: Condition) -> Int64:
        """In 2**-5 grey levels, (B, C, h, w)."""
        (h, w), planes = at.size, at.plane_of(self._net)
        params = self._net(*at.inputs, *planes, runtime=at.runtime)[:, :, :h, :w]
        return params + (NEUTRAL << PIXEL_BITS)

    def _logistics(self, means: Int64, channel: int) -> tuple[Int64, Int64, Int64]:
        """Logits, means and log-scales (B, N, 1) of one channel."""
        own = means[:, channel].reshape(len(means), -1, 1)
        return np.zeros_like(own), own, np.full_like(own, self._log_scales[channel])
