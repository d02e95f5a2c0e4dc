"""q(latent | source) (paper eq. 17, 22): what an encoder sends of a latent is the posterior's mean, on its grid."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from selfcodec.arrays import Int32
from selfcodec.fixed_point import LATENT_FRACTION, PARAM_FRACTION
from selfcodec.networks.fields import Field
from selfcodec.networks.integer import Runtime
from selfcodec.networks.windows import Network
from selfcodec.schedule import Step


class Posterior:
    """The variational family's mean of one latent; decoders never need it."""

    @staticmethod
    def networks(step: Step) -> tuple[str, ...]:
        """Names of the networks that it needs."""
        return (f"q_{step.name}",)

    def __init__(self, step: Step, nets: Mapping[str, Network]) -> None:
        (self._net,) = (nets[name] for name in self.networks(step))
        self._channels = step.target.channels

    def mean(self, source: Field, plane: int, size: tuple[int, int], runtime: Runtime) -> Int32:
        """The mean, (B, C, h, w), in 2**-12.

        Args:
            source: what it is inferred from, as a network's input.
            plane: the file's quality as networks see it.
            size: (h, w).
            runtime: how networks run.
        """
        count = source.shape[0]
        out = np.empty((count, self._channels, *size), dtype=np.int32)
        planes = self._net.plane_inputs(plane, count)
        for (top, bottom), (left, right), part in self._net.parts(source, *planes, runtime=runtime):
            place = out[:, :, top:bottom, left:right]
            place[...] = part[:, : self._channels, : place.shape[2], : place.shape[3]]
        out <<= LATENT_FRACTION - PARAM_FRACTION  # in place, since a photograph's latent is as large as the photograph
        return out
