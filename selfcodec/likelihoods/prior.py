"""The top latent u: a density that factorises, and an invertible map from where it does (paper eq. 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from selfcodec.arrays import Int64
from selfcodec.errors import ModelError
from selfcodec.likelihoods.latent import Latent
from selfcodec.likelihoods.likelihood import Condition, whole
from selfcodec.networks import flow
from selfcodec.networks.windows import Network
from selfcodec.schedule import Step

MOST_COUPLINGS = 64
"""A prior has at most so many coupling layers."""


class Prior(Latent):
    """p(u): v has a mixture of Gaussians for each channel, u = f(v) by coupling layers; the grid is v's.

    Settings:
        widths: of the grid, by channel, at quality 50, in 2**-12.
        density: v's components: `logits`, `means`, `log_scales`, each [M][C], in 2**-10.
        couplings: number of coupling layers.
    """

    kind = "prior"

    @staticmethod
    def networks(step: Step, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(f"f_{i}" for i in range(whole(settings, "couplings", 0, MOST_COUPLINGS)))

    def __init__(self, step: Step, settings: Mapping[str, Any], nets: Mapping[str, Network]) -> None:
        super().__init__(step, settings, nets)
        components = (settings["density"][name] for name in ("logits", "means", "log_scales"))
        self._components = [np.array(values, dtype=np.int64).T for values in components]  # each (C, M)
        if len({c.shape for c in self._components}) > 1 or self._components[0].shape[:-1] != (step.target.channels,):
            raise ModelError(f"density is not of {step.target.channels} channels with as many components each")

    @staticmethod
    def _outputs(step: Step) -> int:
        """Channels that a coupling gives: scales and translations of half of u's."""
        return step.target.channels

    def _density(self, at: Condition) -> tuple[Int64, Int64, Int64]:
        shape = (*at.shape, self._components[0].shape[1])
        logits, means, log_scales = (np.broadcast_to(c[None, :, None, None], shape) for c in self._components)
        return logits, means, log_scales

    def _to_coded(self, values: Int64, at: Condition) -> Int64:
        return flow.inverse_map(values, self._nets, at.runtime)

    def _from_coded(self, coded: Int64, at: Condition) -> Int64:
        return flow.forward_map(coded, self._nets, at.runtime)
