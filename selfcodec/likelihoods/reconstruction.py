"""Pixels that are never sent: a network's output is the picture, for models that are lossy only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from selfcodec.arrays import Int64
from selfcodec.coding.coder import Decoder, Encoder
from selfcodec.errors import InputError
from selfcodec.fixed_point import PARAM_FRACTION
from selfcodec.likelihoods.layout import MEAN_UNIT
from selfcodec.likelihoods.likelihood import Condition, Likelihood, giving
from selfcodec.likelihoods.pixels import pixel_base
from selfcodec.networks.windows import Network
from selfcodec.schedule import Step

_DROP = PARAM_FRACTION - (MEAN_UNIT.bit_length() - 1)
"""An output in grey levels has so many fraction bits."""


class Reconstruction(Likelihood):
    """The mean of p(pixels | parents) alone, in units of MEAN_UNIT grey levels from y, or from mid-grey."""

    kind = "reconstruction"
    codable = False

    @staticmethod
    def networks(step: Step, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (f"p_{step.name}",)

    def __init__(self, step: Step, settings: Mapping[str, Any], nets: Mapping[str, Network]) -> None:
        (net,) = (nets[name] for name in self.networks(step, settings))
        self._net = giving(net, step.target.channels)
        self._name = step.name

    def encode(self, at: Condition, truth: Int64, coder: Encoder) -> Int64:
        raise InputError(f"the model cannot code {self._name}: choose a mode that does not send it")

    def _decode(self, at: Condition, coder: Decoder) -> Int64:
        """Of a sampler: once its parents are drawn, nothing is left to draw."""
        return self.mean(at)

    def mean(self, at: Condition) -> Int64:
        (h, w), base = at.size, pixel_base(at, at.size, 1)
        params = self._net(*at.inputs, runtime=at.runtime).cpu().numpy()[:, :, :h, :w]
        grey = at.shape[1] > 1 and at.grey
        values = np.clip(base + ((params + (1 << (_DROP - 1))) >> _DROP), 0, 255)
        return values[:, :1].repeat(at.shape[1], 1) if grey else values
